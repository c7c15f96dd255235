/* SPDX-License-Identifier: Apache-2.0 */
/* The store from the loop's side, with its real thread, database and files in a directory of its own. */
#include "store_fixture.h"

#include "base/clock.h"
#include "base/fdio.h"
#include "gateway/store_ring.h"
#include "gateway/store_sql.h"

#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <string.h>

static const char CODE_A[] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
static const char CODE_B[] = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

static void reopen(bool start)
{
    store_close(gateway.store);
    open_store(start);
}

/* ---- waiting for answers ---- */

struct answer {
    unsigned calls;
    struct err error;
    char text[1 << 19];
    size_t n;
    bool published;
};

static void take(struct answer *a, const struct err *e, const char *text, size_t n)
{
    a->calls++;
    a->error = *e;
    a->n = n < sizeof(a->text) - 1 ? n : sizeof(a->text) - 1;
    if (a->n)
        memcpy(a->text, text, a->n);
    a->text[a->n] = '\0';
    ev_break(gateway.loop, EVBREAK_ALL);
}

static void on_done(void *owner, const struct err *e)
{
    take(owner, e, "", 0);
}

static void on_text(void *owner, const struct err *e, struct str text)
{
    take(owner, e, text.p, text.n);
}

static uint64_t log_end;

static void on_log(void *owner, const struct err *e, struct str ndjson, uint64_t end)
{
    log_end = end;
    take(owner, e, ndjson.p, ndjson.n);
}

static void on_digest(void *owner, const struct err *e, const struct store_tree *tree)
{
    ((struct answer *)owner)->published = tree->published;
    take(owner, e, tree->digest, strlen(tree->digest));
}

static struct answer *wait_for(struct answer *a)
{
    while (!a->calls)
        ev_run(gateway.loop, 0);
    assert_int_equal(a->calls, 1);
    return a;
}

static int put_number(const char *function, uint64_t number, const char *code)
{
    static struct answer a;
    a.calls = 0;
    struct store_revision r = {.function = function,
                               .revision = "4e57",
                               .code = code,
                               .number = number,
                               .created_ms = 1000 + number,
                               .code_bytes = 77,
                               .current = true,
                               .handler = "bin/run",
                               .settings = STR_LITERAL("{\"memory\":\"64M\"}")};
    store_put_revision(gateway.store, &r, on_done, &a);
    assert_int_equal(a.calls, 0); /* never from inside the call */
    return -wait_for(&a)->error.code;
}

static struct answer *read_back(const struct store_log_query *q)
{
    static struct answer a;
    a.calls = 0;
    store_read_log(gateway.store, q, on_log, &a);
    return wait_for(&a);
}

static unsigned count_lines(const char *text)
{
    unsigned n = 0;
    for (; *text; text++)
        n += *text == '\n';
    return n;
}

/* ---- the registry ---- */

static int print_row(const struct store_revision *r, void *context)
{
    char *out = context;
    sprintf(out + strlen(out), "%s:%lu%s:%.1s:%s:%lu ", r->function, (unsigned long)r->number, r->current ? "*" : "",
            r->code, r->handler, (unsigned long)r->code_bytes);
    assert_true(str_is(r->settings, "{\"memory\":\"64M\"}"));
    return 0;
}

static const char *rows(void)
{
    static char out[4096];
    struct err e;
    out[0] = '\0';
    reopen(false);
    assert_int_equal(store_load(gateway.store, print_row, out, &e), 0);
    assert_int_equal(store_start(gateway.store, &e), 0);
    return out;
}

static void revisions_are_there_after_a_restart(void **state)
{
    (void)state;
    assert_int_equal(put_number("b", 1, CODE_A), 0);
    assert_int_equal(put_number("a", 1, CODE_A), 0);
    assert_int_equal(put_number("a", 2, CODE_B), 0);
    assert_string_equal(rows(), "a:1:a:bin/run:77 a:2*:b:bin/run:77 b:1*:a:bin/run:77 ");
}

static void a_number_is_given_once_and_a_refusal_changes_nothing(void **state)
{
    (void)state;
    assert_int_equal(put_number("a", 1, CODE_A), 0);
    assert_int_equal(put_number("a", 2, CODE_A), 0);
    assert_int_equal(put_number("a", 2, CODE_B), -EEXIST);
    assert_string_equal(rows(), "a:1:a:bin/run:77 a:2*:a:bin/run:77 ");
}

static void a_first_deploy_replaces_what_could_not_be_loaded(void **state)
{
    (void)state;
    put_number("a", 1, CODE_A);
    put_number("a", 2, CODE_A);
    assert_int_equal(put_number("a", 1, CODE_B), 0);
    assert_string_equal(rows(), "a:1*:b:bin/run:77 ");
}

static void a_deleted_function_is_gone_with_its_log(void **state)
{
    (void)state;
    static struct answer a;
    char path[128];
    a.calls = 0;
    put_number("a", 1, CODE_A);
    store_log_line(gateway.store, "a", 1, "", STR_LITERAL("x"));
    assert_int_equal(count_lines(read_back(&(struct store_log_query){.function = "a"})->text), 1);
    store_delete_function(gateway.store, "a", on_done, &a);
    assert_int_equal(wait_for(&a)->error.code, 0);
    snprintf(path, sizeof(path), "%s/a", log_dir);
    assert_int_equal(access(path, F_OK), -1);
    assert_string_equal(rows(), "");
}

static void the_logs_of_unknown_functions_go_at_start(void **state)
{
    (void)state;
    put_number("known", 1, CODE_A);
    store_log_line(gateway.store, "known", 1, "", STR_LITERAL("x"));
    store_log_line(gateway.store, "unknown", 1, "", STR_LITERAL("x"));
    reopen(true);
    assert_int_equal(count_lines(read_back(&(struct store_log_query){.function = "known"})->text), 1);
    assert_int_equal(count_lines(read_back(&(struct store_log_query){.function = "unknown"})->text), 0);
}

static void orphans_are_trees_without_a_row(void **state)
{
    (void)state;
    static struct answer a;
    int versions = open(boot.versions_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    a.calls = 0;
    put_number("a", 1, CODE_A);
    mkdirat(versions, CODE_A, 0755);
    mkdirat(versions, CODE_B, 0755);
    mkdirat(versions, "no-digest", 0755);
    close(versions);
    store_list_orphans(gateway.store, on_text, &a);
    assert_int_equal(wait_for(&a)->error.code, 0);
    assert_int_equal(a.n, sizeof(CODE_B));
    assert_string_equal(a.text, CODE_B);
}

static void a_database_of_a_newer_faasd_is_refused(void **state)
{
    (void)state;
    char path[128];
    sqlite3 *db;
    struct err e;
    store_close(gateway.store);
    gateway.store = NULL;
    snprintf(path, sizeof(path), "%s/faasd.db", db_dir);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "PRAGMA user_version = 99", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    assert_null(store_open(&gateway, db_dir, log_dir, &e));
    assert_non_null(strstr(e.text, "newer faasd"));
}

static void a_file_that_is_no_database_is_set_aside_and_no_tree_is_thrown_away(void **state)
{
    (void)state;
    char path[128];
    struct err e;
    store_close(gateway.store);
    gateway.store = NULL;
    snprintf(path, sizeof(path), "%s/faasd.db", db_dir);
    int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
    for (int i = 0; i < 100; i++)
        assert_int_equal(fd_write_full(fd, "this is not a database at all, is it? ", 38), 0);
    close(fd);
    gateway.store = store_open(&gateway, db_dir, log_dir, &e);
    assert_non_null(gateway.store);
    assert_int_equal(store_start(gateway.store, &e), 0);
    strcat(path, ".damaged");
    assert_int_equal(access(path, R_OK), 0);
    int versions = open(boot.versions_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    mkdirat(versions, CODE_A, 0755);
    close(versions);
    static struct answer a;
    a.calls = 0;
    store_list_orphans(gateway.store, on_text, &a);
    assert_int_equal(wait_for(&a)->n, 0);
    unlink(path);
    reopen(true);
    a.calls = 0;
    store_list_orphans(gateway.store, on_text, &a);
    assert_string_equal(wait_for(&a)->text, CODE_A);
}

/* ---- trees ---- */

static void a_staged_tree_is_hashed(void **state)
{
    (void)state;
    static struct answer a;
    char path[2 * CONFIG_PATH_MAX];
    a.calls = 0;
    snprintf(path, sizeof(path), "%s/42", boot.staging_dir);
    mkdir(path, 0755);
    store_digest_tree(gateway.store, 42, on_digest, &a);
    assert_int_equal(wait_for(&a)->error.code, 0);
    assert_int_equal(a.n, 64);
    assert_false(a.published);
    snprintf(path, sizeof(path), "%s/%.64s", boot.versions_dir, a.text);
    mkdir(path, 0755);
    a.calls = 0;
    store_digest_tree(gateway.store, 42, on_digest, &a);
    assert_true(wait_for(&a)->published);
    a.calls = 0;
    store_digest_tree(gateway.store, 43, on_digest, &a);
    assert_int_equal(wait_for(&a)->error.code, ENOENT);
}

/* ---- jobs ---- */

static unsigned answered, refused;

static void on_one_of_many(void *owner, const struct err *e)
{
    (void)owner;
    answered++;
    refused += e->code == EAGAIN;
    assert_true(e->code == 0 || e->code == EAGAIN);
}

static void more_jobs_than_fit_are_refused_but_all_are_answered(void **state)
{
    (void)state;
    enum { COUNT = 1000 };
    answered = refused = 0;
    for (int i = 0; i < COUNT; i++)
        store_delete_function(gateway.store, "nobody", on_one_of_many, NULL);
    assert_int_equal(answered, 0);
    while (answered < COUNT)
        ev_run(gateway.loop, EVRUN_ONCE);
    assert_true(refused > 0);
    assert_true(refused <= COUNT - STORE_QUEUE_SLOTS);
    assert_int_equal(put_number("a", 1, CODE_A), 0);
}

static void closing_finishes_what_was_handed_over(void **state)
{
    (void)state;
    struct store_revision r = {.function = "late",
                               .revision = "r",
                               .code = CODE_A,
                               .number = 1,
                               .handler = "bin/run",
                               .code_bytes = 77,
                               .settings = STR_LITERAL("{\"memory\":\"64M\"}")};
    store_put_revision(gateway.store, &r, on_one_of_many, NULL);
    store_log_line(gateway.store, "late", 1, "", STR_LITERAL("the last word"));
    answered = 0;
    assert_string_equal(rows(), "late:1*:a:bin/run:77 ");
    assert_int_equal(answered, 0); /* its caller is gone by then */
    assert_int_equal(count_lines(read_back(&(struct store_log_query){.function = "late"})->text), 1);
}

/* ---- lines ---- */

static void a_line_that_was_handed_over_is_read_back(void **state)
{
    (void)state;
    store_log_line(gateway.store, "f", 12, "req-1", STR_LITERAL("hello \033[31m"));
    const char *text = read_back(&(struct store_log_query){.function = "f"})->text;
    assert_non_null(strstr(text, "\"instance\":12,\"request\":\"req-1\",\"message\":\"hello \\\\x1b[31m\"}\n"));
}

static void a_long_line_is_cut_and_says_so(void **state)
{
    (void)state;
    char text[1000];
    memset(text, 'x', sizeof(text));
    store_log_line(gateway.store, "f", 1, "", (struct str){text, sizeof(text)});
    const char *got = read_back(&(struct store_log_query){.function = "f"})->text;
    assert_non_null(strstr(got, "xxx... (800 bytes cut)\""));
    assert_true(strlen(got) < 400);
}

/* Lines on disk, and how many others they say are missing. */
static unsigned count_on_disk(const char *function, unsigned *ret_missing)
{
    char path[128], line[512];
    unsigned n = 0, missing;
    snprintf(path, sizeof(path), "%s/%s/log", log_dir, function);
    FILE *f = fopen(path, "re");
    assert_non_null(f);
    *ret_missing = 0;
    while (fgets(line, sizeof(line), f)) {
        const char *told = strstr(line, "faasd: ");
        if (told && sscanf(told, "faasd: %u lines are missing", &missing) == 1)
            *ret_missing += missing;
        else
            n++;
    }
    fclose(f);
    return n;
}

static void every_line_of_a_flood_is_written_or_counted(void **state)
{
    (void)state;
    enum { COUNT = 400000 };
    config.log_function_bytes = 1 << 30;
    store_configure(gateway.store);
    for (int i = 0; i < COUNT; i++)
        store_log_line(gateway.store, "flood", 1, "req",
                       STR_LITERAL("a line of an ordinary length, as programs write them"));
    read_back(&(struct store_log_query){.function = "flood", .lines = 1});
    store_log_line(gateway.store, "flood", 1, "", STR_LITERAL("the end"));
    assert_non_null(strstr(read_back(&(struct store_log_query){.function = "flood", .lines = 1})->text, "the end"));
    unsigned missing;
    unsigned written = count_on_disk("flood", &missing);
    assert_int_equal(written + missing, COUNT + 1);
    assert_true(missing > 0); /* or the ring never filled, and this tested nothing */
    /* Told once. */
    store_log_line(gateway.store, "flood", 1, "", STR_LITERAL("once more"));
    assert_null(
        strstr(read_back(&(struct store_log_query){.function = "flood", .lines = 2})->text, "are missing here"));
}

static struct store_follower follower, second;
static unsigned followed;

static void on_line(struct store_follower *f, struct str ndjson, uint64_t at)
{
    followed++;
    assert_true(at > 0 && at < UINT64_MAX);
    assert_true(ndjson.p[0] == '{' && ndjson.p[ndjson.n - 1] == '\n');
    store_unfollow(gateway.store, f);
    if (f == &second)
        store_unfollow(gateway.store, &follower);
}

static void followers_hear_their_function_and_may_leave(void **state)
{
    (void)state;
    followed = 0;
    follower = (struct store_follower){.function = "f", .on_line = on_line};
    second = (struct store_follower){.function = "f", .on_line = on_line};
    store_follow(gateway.store, &follower);
    store_log_line(gateway.store, "g", 1, "", STR_LITERAL("x"));
    assert_int_equal(followed, 0);
    store_log_line(gateway.store, "f", 1, "", STR_LITERAL("x"));
    assert_int_equal(followed, 1);
    store_log_line(gateway.store, "f", 1, "", STR_LITERAL("x"));
    assert_int_equal(followed, 1);
    /* One that sends away the one who would be next. */
    store_follow(gateway.store, &follower);
    store_follow(gateway.store, &second);
    store_log_line(gateway.store, "f", 1, "", STR_LITERAL("x"));
    assert_int_equal(followed, 2);
}

enum { HEARD_MAX = 4096 };
static uint64_t heard[HEARD_MAX];

static void on_heard(struct store_follower *f, struct str ndjson, uint64_t at)
{
    (void)f;
    (void)ndjson;
    assert_true(followed < HEARD_MAX);
    heard[followed++] = at;
}

/* Whenever the disk is read: each line is either in the answer or heard with a place after its end. */
static void a_line_is_in_the_answer_or_comes_after_it(void **state)
{
    (void)state;
    static struct answer a;
    unsigned later = 0;
    follower = (struct store_follower){.function = "f", .on_line = on_heard};
    store_follow(gateway.store, &follower);
    followed = 0;
    while (followed + 1 < HEARD_MAX) {
        a.calls = 0;
        store_read_log(gateway.store, &(struct store_log_query){.function = "f"}, on_log, &a);
        while (!a.calls && followed + 1 < HEARD_MAX) {
            store_log_line(gateway.store, "f", 1, "", STR_LITERAL("x"));
            /* Not so fast that all of them are there before the thread has woken up. */
            for (uint64_t next = clock_mono_ns() + 20000; !a.calls && clock_mono_ns() < next;)
                ev_run(gateway.loop, EVRUN_NOWAIT);
        }
        wait_for(&a);
        unsigned after = 0;
        for (unsigned i = 0; i < followed; i++)
            after += heard[i] > log_end;
        assert_int_equal(count_lines(a.text) + after, followed);
        later += after;
    }
    store_unfollow(gateway.store, &follower);
    assert_true(later > 0); /* or nothing came while the disk was read */
}

/* ---- other modules' work ---- */

static const pthread_t *loop_thread;
static unsigned tasks_done;
static const char *const COUNT = "SELECT count(*) FROM revisions";

static void run_task(struct store_task *t, struct store_db *db)
{
    struct sqlite3_stmt *s = NULL;
    bool failed;
    assert_false(pthread_equal(pthread_self(), *loop_thread));
    if (store_db_prepare(db, &COUNT, 1, &s, &t->error) == 0 && store_db_next(s, &failed))
        err_say(&t->error, EEXIST, "%lu rows", (unsigned long)store_db_number(s, 0));
    store_db_finalize(&s, 1);
}

static void on_task(struct store_task *t)
{
    tasks_done++;
    assert_int_equal(t->error.code, EEXIST);
    assert_string_equal(t->error.text, "2 rows");
    ev_break(gateway.loop, EVBREAK_ALL);
}

static void tasks_see_the_database_on_the_stores_thread(void **state)
{
    (void)state;
    static struct store_task task = {.run = run_task, .done = on_task};
    const pthread_t self = pthread_self();
    loop_thread = &self;
    tasks_done = 0;
    assert_int_equal(put_number("f", 1, CODE_A), 0);
    assert_int_equal(put_number("f", 2, CODE_B), 0);
    store_submit(gateway.store, &task);
    assert_int_equal(tasks_done, 0);
    while (!tasks_done)
        ev_run(gateway.loop, 0);
    assert_int_equal(tasks_done, 1);
}

static void new_limits_are_taken_over(void **state)
{
    (void)state;
    char path[128], text[180];
    struct stat st;
    memset(text, 'x', sizeof(text));
    config.log_function_bytes = 64 << 10;
    store_configure(gateway.store);
    for (int i = 0; i < 2000; i++) {
        store_log_line(gateway.store, "f", 1, "", (struct str){text, sizeof(text)});
        if (i % 200 == 0)
            read_back(&(struct store_log_query){.function = "f", .lines = 1});
    }
    read_back(&(struct store_log_query){.function = "f", .lines = 1});
    snprintf(path, sizeof(path), "%s/f/log", log_dir);
    assert_int_equal(stat(path, &st), 0);
    assert_true(st.st_size <= 32 << 10);
}

int main(void)
{
#define STORE_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        STORE_TEST(revisions_are_there_after_a_restart),
        STORE_TEST(a_number_is_given_once_and_a_refusal_changes_nothing),
        STORE_TEST(a_first_deploy_replaces_what_could_not_be_loaded),
        STORE_TEST(a_deleted_function_is_gone_with_its_log),
        STORE_TEST(the_logs_of_unknown_functions_go_at_start),
        STORE_TEST(orphans_are_trees_without_a_row),
        STORE_TEST(a_database_of_a_newer_faasd_is_refused),
        STORE_TEST(a_file_that_is_no_database_is_set_aside_and_no_tree_is_thrown_away),
        STORE_TEST(a_staged_tree_is_hashed),
        STORE_TEST(more_jobs_than_fit_are_refused_but_all_are_answered),
        STORE_TEST(closing_finishes_what_was_handed_over),
        STORE_TEST(a_line_that_was_handed_over_is_read_back),
        STORE_TEST(a_long_line_is_cut_and_says_so),
        STORE_TEST(every_line_of_a_flood_is_written_or_counted),
        STORE_TEST(followers_hear_their_function_and_may_leave),
        STORE_TEST(a_line_is_in_the_answer_or_comes_after_it),
        STORE_TEST(tasks_see_the_database_on_the_stores_thread),
        STORE_TEST(new_limits_are_taken_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
