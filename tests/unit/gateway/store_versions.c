/* SPDX-License-Identifier: Apache-2.0 */
/* Stored versions and aliases, with the store's real thread and database in a directory of its own. */
#include "gateway/store_versions.h"

#include "store_fixture.h"

#include "base/clock.h"

#include <errno.h>
#include <sqlite3.h>
#include <string.h>

static bool answered;

/* ---- doing it ---- */

static void on_task(struct store_task *t)
{
    (void)t;
    answered = true;
}

static void wait_for_answer(void)
{
    while (!answered)
        ev_run(gateway.loop, EVRUN_ONCE);
}

static int do_task(struct store_task *t)
{
    answered = false;
    t->done = on_task;
    store_submit(gateway.store, t);
    wait_for_answer();
    return t->error.code;
}

static void on_done(void *owner, const struct err *e)
{
    *(int *)owner = e->code;
    answered = true;
}

static void put(const char *function, uint64_t number, uint64_t replaced)
{
    int code = -1;
    struct store_revision r = {.function = function,
                               .revision = "4e57",
                               .code = "c0de",
                               .number = number,
                               .created_ms = 1000000 + number,
                               .code_bytes = 77,
                               .replaced = replaced,
                               .current = true,
                               .handler = "bin/run",
                               .settings = STR_LITERAL("{\"runtime\":\"exec\",\"description\":\"a \\\"b\\\"\"}")};
    answered = false;
    store_put_revision(gateway.store, &r, on_done, &code);
    wait_for_answer();
    assert_int_equal(code, 0);
}

static int set_alias(const char *function, const char *name, uint64_t number, uint64_t second)
{
    struct versions_alias a = {.number = number, .second = second, .weight = second ? 250000 : 0};
    struct store_alias_change q;
    snprintf(a.name, sizeof(a.name), "%s", name);
    store_alias_change_init(&q, function, &a);
    q.aliases_max = 3;
    return do_task(&q.task);
}

static int move(const char *function, uint64_t number)
{
    struct store_version_move q;
    store_version_move_init(&q, function, number);
    return do_task(&q.task);
}

/* Its number, or 0 with ENOENT. */
static uint64_t read_number(const char *function, uint64_t number)
{
    struct store_version_read q;
    store_version_read_init(&q, function, number);
    int code = do_task(&q.task);
    uint64_t found = code ? 0 : q.row.revision.number;
    assert_true(code == 0 || code == ENOENT);
    store_version_read_fini(&q);
    return found;
}

static struct versions known;

/* `used`: pairs of number and time, ended by 0. */
static struct versions *uses(const uint64_t *used)
{
    versions_fini(&known);
    for (; used && *used; used += 2)
        assert_int_equal(versions_add(&known, used[0], used[1]), 0);
    return &known;
}

static void collect(uint32_t keep, uint32_t most, uint64_t since_ms, const struct versions *v, const char *expected)
{
    char out[256] = "";
    struct store_version_collect q;
    assert_int_equal(store_version_collect_init(&q, "f", v), 0);
    q.keep = keep;
    q.most = most;
    q.since_ms = since_ms;
    assert_int_equal(do_task(&q.task), 0);
    for (size_t i = 0; i < q.dropped_count; i++)
        sprintf(out + strlen(out), "%lu ", (unsigned long)q.dropped[i]);
    assert_string_equal(out, expected);
    store_version_collect_fini(&q);
}

/* ---- what stands there after a restart ---- */

static void print_number(const char *function, uint64_t number, uint64_t used_ms, void *context)
{
    char *out = context;
    sprintf(out + strlen(out), "%s:%lu/%lu ", function, (unsigned long)number, (unsigned long)used_ms);
}

static void print_alias(const char *function, const struct versions_alias *a, void *context)
{
    char *out = context;
    sprintf(out + strlen(out), "%s:%s=%lu,%lu,%u ", function, a->name, (unsigned long)a->number,
            (unsigned long)a->second, a->weight);
}

static const char *rows(void)
{
    static char out[4096];
    struct err e;
    out[0] = '\0';
    store_close(gateway.store);
    open_store(false);
    struct store_versions_events on = {.on_number = print_number, .on_alias = print_alias, .context = out};
    assert_int_equal(store_versions_load(gateway.store, &on, &e), 0);
    assert_int_equal(store_start(gateway.store, &e), 0);
    return out;
}

static void numbers_and_aliases_are_there_after_a_restart(void **state)
{
    (void)state;
    put("g", 1, 0);
    put("f", 1, 0);
    put("f", 2, 1);
    assert_int_equal(set_alias("f", "prod", 1, 2), 0);
    assert_int_equal(set_alias("g", "edge", 0, 0), 0);
    assert_string_equal(rows(), "f:1/0 f:2/0 g:1/0 f:prod=1,2,250000 g:edge=0,0,0 ");
}

/* ---- reading and moving ---- */

static void a_version_is_read_as_it_was_put(void **state)
{
    (void)state;
    struct store_version_read q;
    put("f", 1, 0);
    put("f", 2, 1);
    store_version_read_init(&q, "f", 1);
    assert_int_equal(do_task(&q.task), 0);
    const struct store_revision *r = &q.row.revision;
    assert_string_equal(r->revision, "4e57");
    assert_string_equal(r->code, "c0de");
    assert_string_equal(r->handler, "bin/run");
    assert_true(str_starts_with(r->settings, "{\"runtime\":\"exec\""));
    assert_int_equal(r->number, 1);
    assert_int_equal(r->created_ms, 1000001);
    assert_int_equal(r->code_bytes, 77);
    assert_false(r->current);
    store_version_read_fini(&q);
    assert_int_equal(read_number("f", 3), 0);
    assert_int_equal(read_number("nobody", 1), 0);
}

static void the_version_before_is_what_was_replaced(void **state)
{
    (void)state;
    put("f", 1, 0);
    assert_int_equal(read_number("f", 0), 0);
    put("f", 2, 1);
    put("f", 3, 2);
    assert_int_equal(read_number("f", 0), 2);
    assert_int_equal(move("f", 1), 0);
    assert_int_equal(read_number("f", 0), 0);
    put("f", 4, 1);
    assert_int_equal(read_number("f", 0), 1);
    /* Where it is gone, or a database of an older faasd does not say it, the next older one. */
    collect(3, 3, 0, uses(NULL), "1 ");
    assert_int_equal(read_number("f", 0), 3);
}

static void a_move_to_nothing_changes_nothing(void **state)
{
    (void)state;
    put("f", 1, 0);
    put("f", 2, 1);
    assert_int_equal(move("f", 3), ENOENT);
    assert_int_equal(move("nobody", 1), ENOENT);
    assert_int_equal(read_number("f", 0), 1); /* 2 is current as before */
    assert_int_equal(move("f", 2), 0);
    assert_int_equal(move("f", 1), 0);
    assert_int_equal(read_number("f", 0), 0);
}

static void a_list_says_what_each_version_is(void **state)
{
    (void)state;
    struct store_version_list q;
    put("f", 1, 0);
    put("f", 2, 1);
    assert_int_equal(store_version_list_init(&q, "f", uses((uint64_t[]){1, 2000, 2, 0, 0})), 0);
    assert_int_equal(do_task(&q.task), 0);
    assert_true(
        str_is(buf_str(&q.json),
               "[{\"number\":1,\"current\":false,\"created\":\"1970-01-01T00:16:40.001Z\","
               "\"used\":\"1970-01-01T00:00:02.000Z\",\"revision\":\"4e57\",\"code\":\"c0de\",\"code_bytes\":77,"
               "\"runtime\":\"exec\",\"description\":\"a \\\"b\\\"\"},"
               "{\"number\":2,\"current\":true,\"created\":\"1970-01-01T00:16:40.002Z\",\"used\":null,"
               "\"revision\":\"4e57\",\"code\":\"c0de\",\"code_bytes\":77,\"runtime\":\"exec\","
               "\"description\":\"a \\\"b\\\"\"}]"));
    store_version_list_fini(&q);
}

/* ---- aliases ---- */

static void an_alias_names_what_is_there(void **state)
{
    (void)state;
    put("f", 1, 0);
    assert_int_equal(set_alias("f", "a", 2, 0), ENOENT);
    assert_int_equal(set_alias("f", "a", 1, 2), ENOENT);
    assert_int_equal(set_alias("nobody", "a", 0, 0), ENOENT);
    assert_int_equal(set_alias("f", "a", STORE_ALIAS_REMOVE, 0), ENOENT);
    assert_string_equal(rows(), "f:1/0 ");
    assert_int_equal(set_alias("f", "a", 0, 0), 0);
    assert_int_equal(set_alias("f", "a", 1, 0), 0);
    assert_string_equal(rows(), "f:1/0 f:a=1,0,0 ");
    assert_int_equal(set_alias("f", "a", STORE_ALIAS_REMOVE, 0), 0);
    assert_string_equal(rows(), "f:1/0 ");
}

static void a_function_has_so_many_aliases(void **state)
{
    (void)state;
    put("f", 1, 0);
    for (const char *name = "abc"; *name; name++)
        assert_int_equal(set_alias("f", (char[]){*name, '\0'}, 1, 0), 0);
    assert_int_equal(set_alias("f", "d", 1, 0), E2BIG);
    assert_int_equal(set_alias("f", "a", 0, 0), 0);
}

static void a_removed_function_takes_its_aliases_along(void **state)
{
    (void)state;
    int code = -1;
    put("f", 1, 0);
    put("g", 1, 0);
    set_alias("f", "a", 1, 0);
    set_alias("g", "a", 1, 0);
    answered = false;
    store_delete_function(gateway.store, "f", on_done, &code);
    wait_for_answer();
    assert_int_equal(code, 0);
    assert_string_equal(rows(), "g:1/0 g:a=1,0,0 ");
    put("g", 1, 0); /* a first deploy over what could not be loaded */
    assert_string_equal(rows(), "g:1/0 ");
}

/* ---- what goes ---- */

static void the_newest_the_named_and_the_current_stay(void **state)
{
    (void)state;
    for (uint64_t n = 1; n <= 8; n++)
        put("f", n, n - 1);
    put("g", 1, 0);
    set_alias("f", "a", 2, 4);
    move("f", 3);
    collect(2, 100, 0, uses(NULL), "1 5 6 ");
    assert_string_equal(rows(), "f:2/0 f:3/0 f:4/0 f:7/0 f:8/0 g:1/0 f:a=2,4,250000 ");
    set_alias("f", "a", 8, 0);
    collect(2, 100, 0, uses(NULL), "2 4 ");
    collect(2, 100, 0, uses(NULL), "");
}

static void the_lately_used_stay_up_to_a_number_and_those_in_use(void **state)
{
    (void)state;
    struct pool *pool = (struct pool *)(void *)&known; /* any that is not NULL */
    for (uint64_t n = 1; n <= 6; n++)
        put("f", n, n - 1);
    struct versions *v = uses((uint64_t[]){1, 500, 2, 900, 3, 2000, 4, 1500, 6, 10, 0});
    versions_find(v, 1)->pool = pool;
    collect(1, 100, 1000, v, "2 5 ");
    assert_string_equal(rows(), "f:1/500 f:3/2000 f:4/1500 f:6/10 ");
    /* A use that was noted does not get older, and the newest three are all that use keeps. */
    collect(1, 3, 1000, uses((uint64_t[]){3, 5, 0}), "1 ");
    collect(1, 2, 1000, uses(NULL), "3 ");
    assert_string_equal(rows(), "f:4/1500 f:6/10 ");
    /* A clock that is not set: whatever was used stays. */
    collect(1, 100, 0, uses(NULL), "");
    collect(1, 100, UINT32_MAX, uses(NULL), "4 ");
}

/* ---- a database of the faasd before ---- */

/* What the first format had: one table, without the columns and triggers that came later. */
static void make_first_format(void)
{
    char path[128], drop[4096] = "";
    sqlite3 *db;
    sqlite3_stmt *s;
    snprintf(path, sizeof(path), "%s/faasd.db", db_dir);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(
        sqlite3_prepare_v2(db,
                           "SELECT type || ' ' || name FROM sqlite_schema WHERE type IN ('table', 'trigger')"
                           " AND name <> 'revisions' AND name NOT LIKE 'sqlite%' ORDER BY type DESC",
                           -1, &s, NULL),
        SQLITE_OK);
    while (sqlite3_step(s) == SQLITE_ROW)
        sprintf(drop + strlen(drop), "DROP %s; ", (const char *)sqlite3_column_text(s, 0));
    sqlite3_finalize(s);
    strcat(drop,
           "ALTER TABLE revisions DROP COLUMN used_ms; ALTER TABLE revisions DROP COLUMN replaced; "
           "ALTER TABLE revisions DROP COLUMN publication; ALTER TABLE revisions DROP COLUMN attributes; "
           "DROP INDEX revisions_opt; ALTER TABLE revisions DROP COLUMN opt; ALTER TABLE revisions DROP COLUMN role; "
           "PRAGMA user_version = 1");
    assert_int_equal(sqlite3_exec(db, drop, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static void an_older_database_is_migrated(void **state)
{
    (void)state;
    put("f", 1, 0);
    put("f", 2, 0);
    store_close(gateway.store);
    make_first_format();
    open_store(false);
    assert_int_equal(store_start(gateway.store, &(struct err){0}), 0);
    assert_int_equal(read_number("f", 0), 1);
    assert_int_equal(set_alias("f", "a", 1, 0), 0);
    assert_string_equal(rows(), "f:1/0 f:2/0 f:a=1,0,0 ");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(numbers_and_aliases_are_there_after_a_restart),
        TEST(a_version_is_read_as_it_was_put),
        TEST(the_version_before_is_what_was_replaced),
        TEST(a_move_to_nothing_changes_nothing),
        TEST(a_list_says_what_each_version_is),
        TEST(an_alias_names_what_is_there),
        TEST(a_function_has_so_many_aliases),
        TEST(a_removed_function_takes_its_aliases_along),
        TEST(the_newest_the_named_and_the_current_stay),
        TEST(the_lately_used_stay_up_to_a_number_and_those_in_use),
        TEST(an_older_database_is_migrated),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    versions_fini(&known);
    return failed;
}
