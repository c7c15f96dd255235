/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of a database that a bad disk has cut or changed, and of one of another format. */
#include "gateway/store_db.h"

#include "base/fdio.h"
#include "gateway/store_sql.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { FUNCTIONS = 150, PAGE = 4096, FLIPS = 120 };

static char dir[] = "/tmp/faasd-db-XXXXXX";
static char path[64], aside[80];

static int make_dir(void **state)
{
    (void)state;
    strcpy(dir + sizeof(dir) - 7, "XXXXXX");
    if (!mkdtemp(dir))
        return -1;
    snprintf(path, sizeof(path), "%s/faasd.db", dir);
    snprintf(aside, sizeof(aside), "%s.damaged", path);
    return 0;
}

static int remove_dir(void **state)
{
    (void)state;
    char command[64];
    snprintf(command, sizeof(command), "rm -rf %s", dir);
    return system(command);
}

static void name_of(unsigned number, char out[32])
{
    snprintf(out, 32, "function-%u", number);
}

static void fill(void)
{
    struct err e = {.text = ""};
    struct store_sql *q;
    assert_int_equal(store_sql_open(&q, dir, &e), 0);
    for (unsigned i = 0; i < FUNCTIONS; i++) {
        char name[32], code[MESSAGE_DIGEST_MAX];
        name_of(i, name);
        snprintf(code, sizeof(code), "%064u", i);
        struct store_revision r = {.function = name,
                                   .revision = code,
                                   .code = code,
                                   .number = 1,
                                   .created_ms = 1000 + i,
                                   .code_bytes = i,
                                   .handler = "run",
                                   .settings =
                                       STR_LITERAL("{\"memory\":\"64M\",\"description\":\"what fills a page\"}")};
        assert_int_equal(store_sql_put(q, &r, &e), 0);
    }
    store_sql_close(q);
}

static unsigned loaded, changed;
static bool has_last;

static int on_row(const struct store_revision *r, void *context)
{
    char name[32], code[MESSAGE_DIGEST_MAX];
    (void)context;
    loaded++;
    has_last = has_last || strcmp(r->function, "last") == 0;
    name_of((unsigned)r->code_bytes, name);
    snprintf(code, sizeof(code), "%064u", (unsigned)r->code_bytes);
    changed += strcmp(r->function, name) != 0 || strcmp(r->code, code) != 0 ||
               !str_is(r->settings, "{\"memory\":\"64M\",\"description\":\"what fills a page\"}");
    return 0;
}

/* Opens, loads, closes. 0 or -errno. */
static int load(bool *ret_salvaged)
{
    struct err e = {.text = ""};
    struct store_sql *q;
    loaded = changed = 0;
    int r = store_sql_open(&q, dir, &e);
    if (r < 0)
        return r;
    *ret_salvaged = store_db_is_salvaged(store_sql_db(q));
    r = store_sql_load(q, on_row, NULL, &e);
    store_sql_close(q);
    return r;
}

static void write_file(const char *bytes, size_t n)
{
    char command[80];
    snprintf(command, sizeof(command), "rm -f %s/*", dir);
    assert_int_equal(system(command), 0);
    scoped_fd fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_int_equal(fd_write_full(fd, bytes, n), 0);
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

static void one_cut_at_any_page_is_found_and_what_is_left_of_it_used(void **state)
{
    (void)state;
    size_t n;
    bool salvaged;
    unsigned best = 0;
    fill();
    scoped_free char *bytes = read_file(&n);
    assert_int_equal(load(&salvaged), 0);
    assert_true(!salvaged && loaded == FUNCTIONS && changed == 0);
    for (size_t cut = PAGE; cut < n; cut += PAGE / 2) {
        write_file(bytes, cut);
        assert_int_equal(load(&salvaged), 0);
        assert_true(salvaged && access(aside, R_OK) == 0);
        /* Half a page reads as zeros: what such a row says is not what was deployed, and its digest tells that (gateway/revision.c). */
        assert_true(changed == 0 || cut % PAGE);
        best = loaded > best ? loaded : best;
    }
    assert_true(best > FUNCTIONS / 2); /* or nothing was ever read back */
    /* Nothing at all is a first start. */
    write_file(bytes, 0);
    assert_int_equal(load(&salvaged), 0);
    assert_true(!salvaged && loaded == 0);
}

static void one_with_flipped_bits_never_stops_the_start(void **state)
{
    (void)state;
    size_t n;
    bool salvaged;
    unsigned found = 0;
    fill();
    scoped_free char *bytes = read_file(&n);
    srandom(1);
    for (unsigned i = 0; i < FLIPS; i++) {
        size_t at = (size_t)random() % n;
        char bit = (char)(1 << random() % 8);
        bytes[at] ^= bit;
        write_file(bytes, n);
        int r = load(&salvaged);
        bytes[at] ^= bit;
        /* The format's number, in the header, may now be one that this program does not know. */
        if (at >= 60 && at < 64 && r == -EPROTO)
            continue;
        assert_int_equal(r, 0);
        assert_true(loaded <= FUNCTIONS);
        found += salvaged;
    }
    assert_true(found > 0);
}

static void rows_in_the_log_of_a_damaged_one_are_used_too(void **state)
{
    (void)state;
    struct err e = {.text = ""};
    struct store_sql *q;
    bool salvaged;
    char copy[64], command[300];
    snprintf(copy, sizeof(copy), "%s.copy", dir);
    fill();
    /* As a power cut leaves it: the last row is in the write-ahead log alone. */
    assert_int_equal(store_sql_open(&q, dir, &e), 0);
    struct store_revision r = {
        .function = "last", .revision = "x", .code = "x", .number = 1, .handler = "run", .settings = STR_LITERAL("{}")};
    assert_int_equal(store_sql_put(q, &r, &e), 0);
    snprintf(command, sizeof(command), "rm -rf %s && cp -r %s %s", copy, dir, copy);
    assert_int_equal(system(command), 0);
    store_sql_close(q);
    snprintf(command, sizeof(command), "rm -rf %s && mv %s %s", dir, copy, dir);
    assert_int_equal(system(command), 0);
    size_t n;
    scoped_free char *bytes = read_file(&n);
    scoped_fd fd = open(path, O_WRONLY | O_CLOEXEC);
    memset(bytes, 0xee, 40);
    assert_int_equal(pwrite(fd, bytes, 40, (off_t)(n / 2 / PAGE * PAGE)), 40);
    assert_int_equal(load(&salvaged), 0);
    assert_true(salvaged && loaded > 0 && has_last);
}

static void one_of_an_older_format_is_kept_beside_the_new_one(void **state)
{
    (void)state;
    static const char *const steps[] = {"CREATE TABLE a (x INTEGER) STRICT; INSERT INTO a VALUES (7)",
                                        "ALTER TABLE a ADD COLUMN y INTEGER",
                                        "CREATE TABLE nonsense (x NO SUCH TYPE) STRICT"};
    struct store_db_format format = {.name = "some.db", .steps = steps, .count = 1, .cache_kib = 128};
    struct err e = {.text = ""};
    struct store_db *db;
    char kept[96];
    snprintf(kept, sizeof(kept), "%s/some.db.format-1", dir);
    assert_int_equal(store_db_open(&db, dir, &format, &e), 0);
    store_db_close(db);
    assert_int_equal(access(kept, F_OK), -1);
    format.count = 2;
    assert_int_equal(store_db_open(&db, dir, &format, &e), 0);
    store_db_close(db);
    assert_int_equal(access(kept, F_OK), 0);
    /* A step that fails changes nothing: the program of the format before still reads it. */
    format.count = 3;
    assert_true(store_db_open(&db, dir, &format, &e) < 0);
    format.count = 2;
    assert_int_equal(store_db_open(&db, dir, &format, &e), 0);
    store_db_close(db);
    /* The kept one is whole and of its format. */
    format.name = "some.db.format-1";
    format.count = 1;
    assert_int_equal(store_db_open(&db, dir, &format, &e), 0);
    const char *const text = "SELECT x FROM a";
    struct sqlite3_stmt *s = NULL;
    bool failed;
    assert_int_equal(store_db_prepare(db, &text, 1, &s, &e), 0);
    assert_true(store_db_next(s, &failed) && store_db_number(s, 0) == 7);
    store_db_finalize(&s, 1);
    store_db_close(db);
}

#define DB_TEST(name) cmocka_unit_test_setup_teardown(name, make_dir, remove_dir)

int main(void)
{
    const struct CMUnitTest tests[] = {
        DB_TEST(one_cut_at_any_page_is_found_and_what_is_left_of_it_used),
        DB_TEST(one_with_flipped_bits_never_stops_the_start),
        DB_TEST(rows_in_the_log_of_a_damaged_one_are_used_too),
        DB_TEST(one_of_an_older_format_is_kept_beside_the_new_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
