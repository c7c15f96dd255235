/* SPDX-License-Identifier: Apache-2.0 */
/* The rows of layers, in a database of the real format. */
#include "gateway/store_layers.h"

#include "gateway/store_db.h"
#include "gateway/store_sql.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char dir[] = "/tmp/faasd-layers-XXXXXX";
static struct store_sql *sql;
static struct store_db *db;
static char seen[1024]; /* "NAME:NUMBER=CODE " for each */

static int set_up(void **state)
{
    (void)state;
    struct err e = {0};
    strcpy(dir + sizeof(dir) - 7, "XXXXXX");
    if (!mkdtemp(dir) || store_sql_open(&sql, dir, &e) < 0)
        return -1;
    db = store_sql_db(sql);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    char command[64];
    store_sql_close(sql);
    snprintf(command, sizeof(command), "rm -rf %s", dir);
    return system(command);
}

static uint64_t put_as(const char *name, const char *code, const char *attributes)
{
    struct err e = {0};
    uint64_t number = 0;
    const struct store_layer row = {
        .name = name, .code = code, .code_bytes = 77, .created_ms = 1000, .attributes = attributes, .most = 100};
    assert_int_equal(store_layers_insert(db, &row, &number, &e), 0);
    return number;
}

static uint64_t put(const char *name, const char *code)
{
    return put_as(name, code, "{}");
}

static int on_layer(const struct store_layer *row, void *context)
{
    assert_ptr_equal(context, seen);
    size_t n = strlen(seen);
    snprintf(seen + n, sizeof(seen) - n, "%s:%lu=%s ", row->name, (unsigned long)row->number, row->code);
    return 0;
}

static int on_code(const char *code, void *context)
{
    assert_ptr_equal(context, seen);
    size_t n = strlen(seen);
    snprintf(seen + n, sizeof(seen) - n, "%s ", code);
    return 0;
}

/* What is not said filters nothing. */
static const char *list(struct store_layers_query q)
{
    struct err e = {0};
    q.runtime = q.runtime ? q.runtime : "";
    q.architecture = q.architecture ? q.architecture : "";
    q.from_name = q.from_name ? q.from_name : "";
    q.most = q.most ? q.most : 50;
    seen[0] = '\0';
    assert_int_equal(store_layers_list(db, &q, on_layer, seen, &e), 0);
    return seen;
}

static int read_one(const char *name, uint64_t number)
{
    struct err e = {0};
    seen[0] = '\0';
    int r = store_layers_read(db, name, number, on_layer, seen, &e);
    assert_int_equal(e.code, -r);
    return r;
}

#define QUERY(...) ((struct store_layers_query){__VA_ARGS__})

static void numbers_count_for_each_name_and_are_not_given_twice(void **state)
{
    (void)state;
    struct err e = {0};
    assert_int_equal(put("a", "c1"), 1);
    assert_int_equal(put("a", "c2"), 2);
    assert_int_equal(put("b", "c3"), 1);
    assert_int_equal(store_layers_remove(db, "a", 2, &e), 0);
    assert_int_equal(put("a", "c4"), 3);
    assert_int_equal(store_layers_remove(db, "b", 1, &e), 0);
    assert_int_equal(put("b", "c5"), 2);
    assert_int_equal(store_layers_remove(db, "nobody", 1, &e), 0);
}

static void one_is_read_whole_until_it_is_removed(void **state)
{
    (void)state;
    struct err e = {0};
    put("a", "c1");
    assert_int_equal(read_one("a", 1), 0);
    assert_string_equal(seen, "a:1=c1 ");
    assert_int_equal(read_one("a", 2), -ENOENT);
    assert_int_equal(read_one("b", 1), -ENOENT);
    assert_int_equal(read_one("a' OR 1=1 --", 1), -ENOENT);
    assert_int_equal(store_layers_remove(db, "a", 1, &e), 0);
    assert_int_equal(read_one("a", 1), -ENOENT);
    assert_string_equal(seen, "");
}

static int check_row(const struct store_layer *row, void *context)
{
    (void)context;
    assert_int_equal(row->code_bytes, 77);
    assert_int_equal(row->created_ms, 1000);
    assert_string_equal(row->attributes, "{\"Description\":\"a \\\"b\\\"\"}");
    assert_string_equal(row->policy, "[1]");
    assert_string_equal(row->policy_revision, "r1");
    return -EUCLEAN; /* whoever reads says why it ends */
}

static void policies_are_set_on_what_is_there(void **state)
{
    (void)state;
    struct err e = {0};
    const struct store_layer policy = {.name = "a", .number = 1, .policy = "[1]", .policy_revision = "r1"};
    put_as("a", "c1", "{\"Description\":\"a \\\"b\\\"\"}");
    assert_int_equal(store_layers_set_policy(db, &policy, &e), 0);
    assert_int_equal(store_layers_read(db, "a", 1, check_row, NULL, &e), -EUCLEAN);
    assert_int_equal(e.code, EUCLEAN);
    assert_int_equal(store_layers_remove(db, "a", 1, &e), 0);
    assert_int_equal(store_layers_set_policy(db, &policy, &e), 0); /* of one that is gone: nothing */
    assert_int_equal(read_one("a", 1), -ENOENT);
}

static void versions_are_listed_from_the_newest_page_by_page(void **state)
{
    (void)state;
    struct err e = {0};
    for (unsigned i = 0; i < 5; i++)
        put("a", "c");
    put("aa", "c");
    assert_int_equal(store_layers_remove(db, "a", 4, &e), 0);
    assert_string_equal(list(QUERY(.name = "a")), "a:5=c a:3=c a:2=c a:1=c ");
    assert_string_equal(list(QUERY(.name = "a", .most = 2)), "a:5=c a:3=c ");
    assert_string_equal(list(QUERY(.name = "a", .most = 2, .from_number = 2)), "a:2=c a:1=c ");
    assert_string_equal(list(QUERY(.name = "a", .from_number = 4)), "a:3=c a:2=c a:1=c ");
    assert_string_equal(list(QUERY(.name = "none")), "");
}

static void layers_are_listed_by_their_newest_version_that_is_left(void **state)
{
    (void)state;
    struct err e = {0};
    put("b", "c1");
    put("a", "c2");
    put("a", "c3");
    put("gone", "c4");
    assert_int_equal(store_layers_remove(db, "gone", 1, &e), 0);
    assert_string_equal(list(QUERY(.name = NULL)), "a:2=c3 b:1=c1 ");
    assert_string_equal(list(QUERY(.name = NULL, .most = 1)), "a:2=c3 ");
    assert_string_equal(list(QUERY(.name = NULL, .from_name = "aa")), "b:1=c1 ");
    assert_int_equal(store_layers_remove(db, "a", 2, &e), 0);
    assert_string_equal(list(QUERY(.name = NULL)), "a:1=c2 b:1=c1 ");
}

static void what_they_say_of_themselves_filters_lists(void **state)
{
    (void)state;
    put_as("a", "c1", "{\"CompatibleRuntimes\":[\"python3.11\",\"nodejs20.x\"]}");
    put_as("a", "c2", "{\"CompatibleRuntimes\":[\"nodejs20.x\"],\"CompatibleArchitectures\":[\"x86_64\"]}");
    put("a", "c3");
    assert_string_equal(list(QUERY(.name = "a", .runtime = "nodejs20.x")), "a:2=c2 a:1=c1 ");
    assert_string_equal(list(QUERY(.name = "a", .runtime = "python3.11")), "a:1=c1 ");
    assert_string_equal(list(QUERY(.name = "a", .architecture = "x86_64")), "a:2=c2 ");
    assert_string_equal(list(QUERY(.name = "a", .runtime = "python3.11", .architecture = "x86_64")), "");
    assert_string_equal(list(QUERY(.name = "a", .runtime = "nodejs")), "");
    assert_string_equal(list(QUERY(.name = NULL, .runtime = "python3.11")), "a:1=c1 "); /* the newest that fits */
    assert_string_equal(list(QUERY(.name = NULL, .runtime = "ruby3.2")), "");
}

static void only_so_many_are_kept_of_all_names(void **state)
{
    (void)state;
    struct err e = {0};
    uint64_t number = 77;
    struct store_layer row = {.name = "c", .code = "c3", .attributes = "{}", .most = 2};
    put("a", "c1");
    put("b", "c2");
    assert_int_equal(store_layers_insert(db, &row, &number, &e), -E2BIG);
    assert_non_null(strstr(e.text, "'lambda.layers'"));
    assert_int_equal(number, 77);
    assert_int_equal(store_layers_remove(db, "a", 1, &e), 0); /* makes room */
    assert_int_equal(store_layers_insert(db, &row, &number, &e), 0);
    assert_int_equal(number, 1);
}

static void trees_are_told_once_each_while_a_version_is_left(void **state)
{
    (void)state;
    struct err e = {0};
    put("a", "c1");
    put("b", "c1");
    put("b", "c2");
    seen[0] = '\0';
    assert_int_equal(store_layers_each_code(db, on_code, seen, &e), 0);
    assert_string_equal(seen, "c1 c2 ");
    assert_int_equal(store_layers_remove(db, "b", 2, &e), 0);
    assert_int_equal(store_layers_remove(db, "a", 1, &e), 0);
    seen[0] = '\0';
    assert_int_equal(store_layers_each_code(db, on_code, seen, &e), 0);
    assert_string_equal(seen, "c1 ");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(numbers_count_for_each_name_and_are_not_given_twice),
        TEST(one_is_read_whole_until_it_is_removed),
        TEST(policies_are_set_on_what_is_there),
        TEST(versions_are_listed_from_the_newest_page_by_page),
        TEST(layers_are_listed_by_their_newest_version_that_is_left),
        TEST(what_they_say_of_themselves_filters_lists),
        TEST(only_so_many_are_kept_of_all_names),
        TEST(trees_are_told_once_each_while_a_version_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
