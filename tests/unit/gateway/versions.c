/* SPDX-License-Identifier: Apache-2.0 */
/* What a function's qualifiers name. */
#include "gateway/versions.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct versions v;

static int set_up(void **state)
{
    (void)state;
    versions_fini(&v);
    for (uint64_t n = 1; n <= 3; n++)
        assert_int_equal(versions_add(&v, n, 0), 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    versions_fini(&v);
    return 0;
}

static void name(const char *alias, uint64_t number, uint64_t second, uint32_t weight)
{
    struct versions_alias a = {.number = number, .second = second, .weight = weight};
    snprintf(a.name, sizeof(a.name), "%s", alias);
    assert_int_equal(versions_set_alias(&v, &a), 0);
}

static uint64_t resolve(const char *qualifier)
{
    uint64_t number = UINT64_MAX;
    assert_int_equal(versions_resolve(&v, str_from(qualifier), &number), VERSIONS_FOUND);
    return number;
}

static enum versions_found find(const char *qualifier)
{
    uint64_t number = 77;
    enum versions_found found = versions_resolve(&v, str_from(qualifier), &number);
    assert_int_equal(number, 77); /* untouched */
    return found;
}

static void assert_choices(const char *expected)
{
    char out[VERSIONS_CHOICES_MAX];
    versions_print_choices(&v, out);
    assert_string_equal(out, expected);
}

/* ---- numbers ---- */

static void numbers_stay_in_order_and_are_given_once(void **state)
{
    (void)state;
    assert_int_equal(versions_next(&v), 4);
    versions_forget(&v, 2);
    versions_forget(&v, 2);
    assert_null(versions_find(&v, 2));
    assert_int_equal(versions_next(&v), 4);
    assert_int_equal(versions_add(&v, 9, 5), 0);
    assert_int_equal(versions_add(&v, 2, 7), 0); /* as the store lists them, in any order */
    assert_int_equal(versions_next(&v), 10);
    assert_choices("$LATEST, 1, 2, 3 and 9");
    assert_int_equal(versions_find(&v, 2)->used_ms, 7);
}

static void a_number_that_is_known_takes_the_later_use(void **state)
{
    (void)state;
    versions_add(&v, 3, 100);
    versions_add(&v, 3, 50);
    assert_int_equal(v.count, 3);
    assert_int_equal(versions_find(&v, 3)->used_ms, 100);
}

static void the_first_number_is_1(void **state)
{
    (void)state;
    struct versions none = {0};
    assert_int_equal(versions_next(&none), 1);
    assert_null(versions_find(&none, 1));
    versions_forget(&none, 1);
    versions_fini(&none);
}

static void what_was_reserved_is_there(void **state)
{
    (void)state;
    assert_int_equal(versions_reserve(&v), 0);
    const struct versions_known *before = v.known;
    assert_int_equal(versions_add(&v, 4, 0), 0);
    assert_ptr_equal(v.known, before);
}

/* ---- aliases ---- */

static void an_aliass_name_is_as_lambda_has_it(void **state)
{
    (void)state;
    static const char *const good[] = {"a", "prod", "PROD-1_x", "1a", "-", "_", "0x1"};
    static const char *const bad[] = {"", "1", "123", "a.b", "a b", "a:b", "$LATEST", "\xc3\xa9", "a/b", "a%"};
    char longest[VERSIONS_ALIAS_MAX + 1];
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_true(versions_alias_is_valid(str_from(good[i])));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(versions_alias_is_valid(str_from(bad[i])));
    memset(longest, 'x', sizeof(longest));
    assert_true(versions_alias_is_valid((struct str){longest, 128}));
    assert_false(versions_alias_is_valid((struct str){longest, 129}));
    assert_false(versions_alias_is_valid((struct str){"a\0b", 3}));
}

static void aliases_are_kept_by_name(void **state)
{
    (void)state;
    static const char *const names[] = {"m", "b", "z", "a", "ab", "y", "c"};
    for (uint64_t i = 0; i < 7; i++)
        name(names[i], 1 + i % 3, 0, 0);
    for (uint64_t i = 0; i < 7; i++)
        assert_int_equal(resolve(names[i]), 1 + i % 3);
    name("ab", 3, 0, 0);
    assert_int_equal(v.alias_count, 7);
    assert_int_equal(resolve("ab"), 3);
    versions_remove_alias(&v, STR_LITERAL("b"));
    versions_remove_alias(&v, STR_LITERAL("b"));
    versions_remove_alias(&v, STR_LITERAL("nobody"));
    assert_null(versions_find_alias(&v, STR_LITERAL("b")));
    assert_choices("$LATEST, 1, 2 and 3; aliases: a, ab, c, m, y, z");
}

static void an_alias_with_two_versions_is_drawn_for(void **state)
{
    (void)state;
    unsigned second = 0;
    name("canary", 1, 2, VERSIONS_WEIGHT_ONE / 4);
    for (int i = 0; i < 100000; i++)
        second += resolve("canary") == 2;
    assert_in_range(second, 24300, 25700); /* five deviations of 137 */
    name("canary", 1, 2, 0);
    name("all", 1, 2, VERSIONS_WEIGHT_ONE);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(resolve("canary"), 1);
        assert_int_equal(resolve("all"), 2);
    }
}

/* ---- qualifiers ---- */

static void a_qualifier_is_a_number_an_alias_or_latest(void **state)
{
    (void)state;
    name("prod", 2, 0, 0);
    name("edge", VERSIONS_LATEST_NUMBER, 0, 0);
    assert_int_equal(resolve("$LATEST"), VERSIONS_LATEST_NUMBER);
    assert_int_equal(resolve("edge"), VERSIONS_LATEST_NUMBER);
    assert_int_equal(resolve("prod"), 2);
    assert_int_equal(resolve("3"), 3);
    static const char *const unknown[] = {"4", "0", "03", "18446744073709551618", "Prod", "pro", "prods"};
    static const char *const malformed[] = {"", "$latest", "1.0", "+1", "-1:", "a b", "prod:1"};
    for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++)
        assert_int_equal(find(unknown[i]), VERSIONS_UNKNOWN);
    for (size_t i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++)
        assert_int_equal(find(malformed[i]), VERSIONS_MALFORMED);
}

static void what_there_is_fits_however_much_it_is(void **state)
{
    (void)state;
    char longest[VERSIONS_ALIAS_MAX];
    char out[VERSIONS_CHOICES_MAX];
    for (uint64_t n = 0; n < 50; n++)
        versions_add(&v, UINT64_MAX - n, 0);
    for (int i = 0; i < 20; i++) {
        memset(longest, 'a' + i, sizeof(longest) - 1);
        longest[sizeof(longest) - 1] = '\0';
        name(longest, 1, 0, 0);
    }
    versions_print_choices(&v, out);
    assert_non_null(strstr(out, "$LATEST, older ones, "));
    assert_non_null(strstr(out, " and 18446744073709551615; aliases: aaaa"));
    assert_string_equal(out + strlen(out) - 4, " ...");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(numbers_stay_in_order_and_are_given_once),
        TEST(a_number_that_is_known_takes_the_later_use),
        TEST(the_first_number_is_1),
        TEST(what_was_reserved_is_there),
        TEST(an_aliass_name_is_as_lambda_has_it),
        TEST(aliases_are_kept_by_name),
        TEST(an_alias_with_two_versions_is_drawn_for),
        TEST(a_qualifier_is_a_number_an_alias_or_latest),
        TEST(what_there_is_fits_however_much_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
