/* SPDX-License-Identifier: Apache-2.0 */
/* What holds for asynchronous calls of a qualifier: by name, and for as long as that names something. */
#include "gateway/async_config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static struct versions v;

static void put(const char *qualifier, int retries)
{
    struct async_config c = {.retries = retries, .max_age_s = ASYNC_CONFIG_UNSAID};
    snprintf(c.qualifier, sizeof(c.qualifier), "%s", qualifier);
    assert_int_equal(async_config_put(&v, &c), 0);
}

static int retries_of(const char *qualifier)
{
    const struct async_config *c = async_config_find(&v, str_from(qualifier));
    return c ? c->retries : -2;
}

static int set_up(void **state)
{
    (void)state;
    struct versions_alias a = {.name = "prod", .number = 1};
    v = (struct versions){0};
    return versions_add(&v, 1, 0) || versions_add(&v, 2, 0) || versions_set_alias(&v, &a);
}

static int tear_down(void **state)
{
    (void)state;
    versions_fini(&v);
    return 0;
}

static void no_qualifier_is_the_latest(void **state)
{
    (void)state;
    put("$LATEST", 1);
    assert_int_equal(retries_of(""), 1);
    assert_int_equal(retries_of("$LATEST"), 1);
    assert_int_equal(retries_of("prod"), -2);
}

static void they_are_listed_by_qualifier_and_replaced(void **state)
{
    (void)state;
    put("prod", 2);
    put("$LATEST", 1);
    put("1", 0);
    put("prod", 1);
    assert_string_equal(v.async->qualifier, "$LATEST");
    assert_string_equal(v.async->next->qualifier, "1");
    assert_string_equal(v.async->next->next->qualifier, "prod");
    assert_null(v.async->next->next->next);
    assert_int_equal(retries_of("prod"), 1);
}

static void they_go_with_what_they_are_said_of(void **state)
{
    (void)state;
    struct versions_alias a = {.name = "prod", .number = 2};
    put("prod", 2);
    put("1", 0);
    put("2", 1);
    versions_set_alias(&v, &a);
    assert_int_equal(retries_of("prod"), 2);
    versions_remove_alias(&v, STR_LITERAL("prod"));
    versions_forget(&v, 1);
    assert_int_equal(retries_of("prod"), -2);
    assert_int_equal(retries_of("1"), -2);
    assert_int_equal(retries_of("2"), 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(no_qualifier_is_the_latest),
        TEST(they_are_listed_by_qualifier_and_replaced),
        TEST(they_go_with_what_they_are_said_of),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
