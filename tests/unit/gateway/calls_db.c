/* SPDX-License-Identifier: Apache-2.0 */
/* The calls' database after a bad disk, an upgrade, a downgrade: what can be read of it is run, and nothing that was not accepted. */
#include "gateway/calls_db.h"

#include "base/fdio.h"
#include "codec/settings.h"
#include "gateway/store_db.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { CALLS = 120, ENDED = 40, PAGE = 4096, FLIPS = 150, NOW = 1000000 };

static char dir[] = "/tmp/faasd-calls-db-XXXXXX";
static char path[80], aside[96], fresh[96];
static const struct calls_moment moment = {.queue_ms = NOW, .boot_ms = 5, .real_ms = 6, .boot_id = "this boot"};

static int make_dir(void **state)
{
    (void)state;
    strcpy(dir + sizeof(dir) - 7, "XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    snprintf(path, sizeof(path), "%s/" CALLS_DB_NAME, dir);
    snprintf(aside, sizeof(aside), "%s.damaged", path);
    snprintf(fresh, sizeof(fresh), "%s.salvage", path);
    return 0;
}

static int remove_dir(void **state)
{
    (void)state;
    char command[64];
    snprintf(command, sizeof(command), "rm -rf %s", dir);
    return system(command);
}

static void command_in_dir(const char *format)
{
    char command[300];
    snprintf(command, sizeof(command), "cd %s && %s", dir, format);
    assert_int_equal(system(command), 0);
}

/* ---- rows ---- */

static void print_body(unsigned number, char out[128])
{
    snprintf(out, 128, "%u: what was asked for, long enough that some rows fill a page", number);
}

static void id_of(unsigned number, uint8_t out[CALLS_ID_BYTES])
{
    memset(out, 0x40, CALLS_ID_BYTES);
    memcpy(out, &number, sizeof(number));
}

static void put(struct calls_db *d, unsigned number)
{
    struct err e = {.text = ""};
    char body[128];
    enum calls_answer answer;
    struct calls_entry c = {.function = number % 2 ? "odd" : "even", .real_ms = 7, .head = STR_LITERAL("head")};
    print_body(number, body);
    c.body = str_from(body);
    id_of(number, c.id);
    assert_int_equal(calls_db_put(d, &c, NOW, &answer, &e), 0);
    assert_int_equal(answer, CALLS_DONE);
}

static void commit(struct calls_db *d)
{
    struct err e = {.text = ""};
    assert_int_equal(calls_db_commit(d, &moment, &e), 0);
}

static struct calls_db *open_db(void)
{
    struct err e = {.text = ""};
    struct calls_db *d = NULL;
    struct calls_moment last;
    if (calls_db_open(&d, dir, &last, &e) < 0)
        fail_msg("%s", e.text);
    return d;
}

/* CALLS + ENDED, of which the first ENDED have failed. */
static void fill(void)
{
    struct err e = {.text = ""};
    struct calls_db *d = open_db();
    assert_int_equal(calls_db_begin(d, &e), 0);
    for (unsigned i = 0; i < CALLS + ENDED; i++)
        put(d, i);
    for (unsigned i = 0; i < ENDED; i++) {
        const struct calls_result r = {.seq = i + 1, .status = CALLS_FAILED, .attempts = 3, .http_status = 500};
        assert_int_equal(calls_db_settle(d, &r, &moment, &e), 0);
    }
    commit(d);
    calls_db_close(d);
}

struct seen {
    unsigned good, damaged, wrong;
};

static bool on_row(void *context, const struct calls_row *row)
{
    struct seen *s = context;
    char body[128];
    unsigned number;
    memcpy(&number, row->id, sizeof(number));
    print_body(number, body);
    bool as_put = str_is(row->head, "head") && str_is(row->body, body);
    s->good += as_put && !row->damaged;
    s->damaged += row->damaged;
    s->wrong += !as_put && !row->damaged;
    return true;
}

static bool nothing_is_leased(void *context, uint64_t seq)
{
    (void)context;
    (void)seq;
    return false;
}

static int fetch(struct calls_db *d, const char *function, struct seen *s, struct err *e)
{
    struct calls_fetch f = {
        .function = function, .now_ms = NOW, .leased = {.has = nothing_is_leased}, .on_row = on_row, .context = s};
    return calls_db_fetch(d, &f, e);
}

/* Opens and reads all that waits, salvaging as the calls' thread does. */
static int load(struct seen *s, struct calls_totals *ret_totals)
{
    struct err e = {.text = ""};
    struct calls_db *d = NULL;
    struct calls_moment last;
    int r = calls_db_open(&d, dir, &last, &e);
    for (int try = 0; r == 0 && try < 2; try++) {
        *s = (struct seen){0};
        r = fetch(d, "even", s, &e);
        r = r < 0 ? r : fetch(d, "odd", s, &e);
        if (r != -EUCLEAN)
            break;
        calls_db_close(d);
        d = NULL;
        r = calls_db_salvage(&d, dir, &last, &e);
    }
    if (d)
        *ret_totals = *calls_db_totals(d);
    calls_db_close(d);
    return r;
}

static char *read_file(size_t *ret_n)
{
    struct stat st;
    scoped_fd fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_int_equal(fstat(fd, &st), 0);
    char *bytes = malloc((size_t)st.st_size);
    assert_int_equal(fd_read_full(fd, bytes, (size_t)st.st_size), st.st_size);
    *ret_n = (size_t)st.st_size;
    return bytes;
}

static void write_file(const char *bytes, size_t n)
{
    command_in_dir("rm -f *");
    scoped_fd fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_int_equal(fd_write_full(fd, bytes, n), 0);
}

/* ---- tests ---- */

static void one_cut_at_any_page_is_found_and_its_calls_are_run(void **state)
{
    (void)state;
    size_t n;
    struct seen s;
    struct calls_totals t;
    unsigned best = 0;
    fill();
    scoped_free char *bytes = read_file(&n);
    assert_int_equal(load(&s, &t), 0);
    assert_int_equal(s.good, CALLS);
    assert_int_equal(s.damaged + s.wrong, 0);
    for (size_t cut = PAGE; cut < n; cut += PAGE / 2) {
        write_file(bytes, cut);
        assert_int_equal(load(&s, &t), 0);
        assert_int_equal(access(aside, R_OK), 0);
        assert_int_equal(access(fresh, F_OK), -1);
        assert_int_equal(s.wrong, 0);
        assert_true(t.queued == s.good + s.damaged || cut % PAGE); /* zeros may name another function */
        best = s.good > best ? s.good : best;
    }
    assert_true(best > CALLS / 2);
}

static void one_with_flipped_bits_never_stops_the_start_nor_runs_what_was_not_asked_for(void **state)
{
    (void)state;
    size_t n;
    unsigned salvaged = 0, damaged = 0;
    fill();
    scoped_free char *bytes = read_file(&n);
    srandom(1);
    for (unsigned i = 0; i < FLIPS; i++) {
        struct seen s;
        struct calls_totals t;
        size_t at = (size_t)random() % n;
        char bit = (char)(1 << random() % 8);
        bytes[at] ^= bit;
        write_file(bytes, n);
        int r = load(&s, &t);
        bytes[at] ^= bit;
        if (at >= 60 && at < 64 && r == -EPROTO)
            continue; /* the format's number, in the header */
        assert_int_equal(r, 0);
        assert_int_equal(s.wrong, 0);
        salvaged += access(aside, F_OK) == 0;
        damaged += s.damaged;
    }
    assert_true(salvaged > 0 && damaged > 0);
}

static void calls_in_the_log_of_a_damaged_one_are_run_too(void **state)
{
    (void)state;
    struct err e = {.text = ""};
    struct seen s;
    struct calls_totals t;
    fill();
    struct calls_db *d = open_db();
    assert_int_equal(calls_db_begin(d, &e), 0);
    put(d, CALLS + ENDED);
    commit(d);
    command_in_dir("mkdir kept && cp calls.db* kept"); /* as a power cut leaves it */
    calls_db_close(d);
    command_in_dir("rm calls.db* && mv kept/* . && rmdir kept && head -c 16384 /dev/zero | tr '\\0' n |"
                   " dd of=calls.db bs=4096 seek=6 conv=notrunc status=none");
    assert_int_equal(load(&s, &t), 0);
    assert_int_equal(access(aside, F_OK), 0);
    d = open_db();
    uint8_t id[CALLS_ID_BYTES];
    enum calls_answer answer;
    const struct calls_leased leased = {.has = nothing_is_leased};
    id_of(CALLS + ENDED, id);
    assert_int_equal(calls_db_begin(d, &e), 0);
    assert_int_equal(calls_db_cancel(d, id, &leased, &moment, &answer, &e), 0);
    assert_int_equal(answer, CALLS_DONE); /* it was there */
    calls_db_rollback(d);
    calls_db_close(d);
}

static void the_clock_goes_on_where_a_lost_state_can_not_tell(void **state)
{
    (void)state;
    struct err e = {.text = "as the test says", .code = EUCLEAN};
    struct calls_moment last;
    struct calls_db *d;
    const char *const texts[] = {"DELETE FROM state"};
    struct store_db *raw;
    struct sqlite3_stmt *statement;
    const struct store_db_format format = {.name = CALLS_DB_NAME, .steps = texts, .count = 2, .cache_kib = 64};
    fill();
    assert_int_equal(store_db_open(&raw, dir, &format, &e), 0);
    assert_int_equal(store_db_prepare(raw, texts, 1, &statement, &e), 0);
    assert_true(store_db_finish(statement));
    store_db_finalize(&statement, 1);
    store_db_close(raw);
    assert_int_equal(calls_db_open(&d, dir, &last, &e), 0);
    assert_int_equal(last.queue_ms, NOW); /* what was due is due, and nothing is older than it was */
    assert_int_equal(calls_db_totals(d)->queued, CALLS);
    assert_int_equal(calls_db_totals(d)->failed, ENDED);
    assert_true(calls_db_totals(d)->queued_bytes > 0 && calls_db_totals(d)->failed_bytes > 0);
    calls_db_close(d);
    assert_int_equal(access(aside, F_OK), 0);
}

/* Wherever a replacement is cut off, the next opening has all rows. */
static void a_salvage_that_is_cut_off_is_finished(void **state)
{
    (void)state;
    struct seen s;
    struct calls_totals t;
    fill();
    command_in_dir("cp calls.db whole && cp calls.db calls.db.salvage && mv calls.db calls.db.damaged");
    command_in_dir("echo left > calls.db-wal"); /* of the damaged one: must not be taken for the new one's */
    assert_int_equal(load(&s, &t), 0);
    assert_int_equal(s.good, CALLS);
    assert_int_equal(access(fresh, F_OK), -1);
    command_in_dir("grep -q left calls.db.damaged-wal");
    /* before anything was decided: what stands at the name counts, the half copy goes when it is in the way */
    command_in_dir(
        "rm -f calls.db* && cp whole calls.db && echo half > calls.db.salvage && truncate -s -4096 calls.db");
    assert_int_equal(load(&s, &t), 0);
    assert_true(s.good > CALLS / 2);
    assert_int_equal(access(fresh, F_OK), -1);
    /* beside one that is whole it is of no use to anybody */
    command_in_dir(
        "rm -f calls.db* && cp whole calls.db && for e in '' -wal -shm; do echo half > calls.db.salvage$e; done");
    assert_int_equal(load(&s, &t), 0);
    assert_int_equal(s.good, CALLS);
    command_in_dir("test -z \"$(ls | grep salvage)\"");
}

static void when_the_damaged_ones_are_too_many_nothing_is_changed(void **state)
{
    (void)state;
    struct seen s;
    struct calls_totals t;
    fill();
    command_in_dir("truncate -s -4096 calls.db && cp calls.db before");
    command_in_dir("touch calls.db.damaged && for i in 2 3 4 5 6 7 8 9; do touch calls.db.damaged-$i; done");
    assert_int_equal(load(&s, &t), -EEXIST);
    command_in_dir("cmp calls.db before && test ! -e calls.db.salvage");
}

static void set_format(int number)
{
    static const char *const texts[] = {"PRAGMA user_version = 1", "PRAGMA user_version = 99"};
    struct err e = {.text = ""};
    struct store_db *raw;
    struct sqlite3_stmt *s[2];
    const struct store_db_format format = {.name = CALLS_DB_NAME, .steps = texts, .count = 2, .cache_kib = 64};
    assert_int_equal(store_db_open(&raw, dir, &format, &e), 0);
    assert_int_equal(store_db_prepare(raw, texts, 2, s, &e), 0);
    assert_true(store_db_finish(s[number == 99]));
    store_db_finalize(s, 2);
    store_db_close(raw);
}

static void one_of_a_newer_faasd_is_refused_and_left_alone(void **state)
{
    (void)state;
    struct err e = {.text = ""};
    struct calls_db *d = NULL;
    struct calls_moment last;
    fill();
    set_format(99);
    command_in_dir("cp calls.db before");
    assert_int_equal(calls_db_open(&d, dir, &last, &e), -EPROTO);
    assert_non_null(strstr(e.text, "newer faasd"));
    assert_non_null(strstr(e.text, CALLS_DB_NAME));
    command_in_dir("cmp calls.db before && test ! -e calls.db.damaged");
}

/* Format 1 had no sums: its calls run unchecked. */
static void make_old(void)
{
    static const char *const texts[] = {"ALTER TABLE calls DROP COLUMN sum", "ALTER TABLE ended DROP COLUMN sum"};
    struct err e = {.text = ""};
    struct store_db *raw;
    const struct store_db_format format = {.name = CALLS_DB_NAME, .steps = texts, .count = 2, .cache_kib = 64};
    fill();
    assert_int_equal(store_db_open(&raw, dir, &format, &e), 0);
    for (int i = 0; i < 2; i++) {
        struct sqlite3_stmt *s;
        assert_int_equal(store_db_prepare(raw, &texts[i], 1, &s, &e), 0);
        assert_true(store_db_finish(s));
        store_db_finalize(&s, 1);
    }
    store_db_close(raw);
    set_format(1);
}

static void one_of_an_older_faasd_is_kept_and_goes_on(void **state)
{
    (void)state;
    struct seen s;
    struct calls_totals t;
    make_old();
    command_in_dir("cp calls.db before");
    assert_int_equal(load(&s, &t), 0);
    assert_int_equal(s.good, CALLS);
    assert_int_equal(t.queued, CALLS);
    assert_int_equal(t.failed, ENDED);
    command_in_dir("test -s calls.db.format-1 && test ! -e calls.db.damaged");
    /* the kept one is what the older program can go on with */
    command_in_dir("rm calls.db && mv calls.db.format-1 calls.db");
    assert_int_equal(load(&s, &t), 0);
    assert_int_equal(s.good, CALLS);
}

static void one_of_an_older_faasd_that_is_damaged_is_salvaged(void **state)
{
    (void)state;
    struct seen s;
    struct calls_totals t;
    make_old();
    command_in_dir("truncate -s -4096 calls.db");
    assert_int_equal(load(&s, &t), 0);
    assert_true(s.good > CALLS / 2);
    assert_int_equal(s.wrong, 0);
}

#define DB_TEST(name) cmocka_unit_test_setup_teardown(name, make_dir, remove_dir)

int main(void)
{
    const struct CMUnitTest tests[] = {
        DB_TEST(one_cut_at_any_page_is_found_and_its_calls_are_run),
        DB_TEST(one_with_flipped_bits_never_stops_the_start_nor_runs_what_was_not_asked_for),
        DB_TEST(calls_in_the_log_of_a_damaged_one_are_run_too),
        DB_TEST(the_clock_goes_on_where_a_lost_state_can_not_tell),
        DB_TEST(a_salvage_that_is_cut_off_is_finished),
        DB_TEST(when_the_damaged_ones_are_too_many_nothing_is_changed),
        DB_TEST(one_of_a_newer_faasd_is_refused_and_left_alone),
        DB_TEST(one_of_an_older_faasd_is_kept_and_goes_on),
        DB_TEST(one_of_an_older_faasd_that_is_damaged_is_salvaged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
