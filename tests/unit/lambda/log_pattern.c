/* SPDX-License-Identifier: Apache-2.0 */
/* Filter patterns of CloudWatch Logs. */
#include "lambda/log_pattern.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const struct {
    const char *pattern, *message;
    bool matches;
} cases[] = {
    {"", "anything", true},
    {"  ", "", true},
    {"ERROR", "an ERROR here", true},
    {"ERROR", "an error here", false},
    {"one two", "two and one", true},
    {"one two", "one", false},
    {"\"one two\"", "one two", true},
    {"\"one two\"", "two one", false},
    {"one -two", "one", true},
    {"one -two", "one two", false},
    {"-\"a b\"", "a b", false},
    {"-\"a b\"", "b a", true},
    {"?one ?two", "two", true},
    {"?one ?two", "three", false},
    {"here ?one ?two", "here one", true},
    {"here ?one ?two", "one", false},
    {"\"\"", "anything", true},
    {"a-b", "a-b", true},
};

static void terms_are_required_excluded_or_one_of_many(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct log_pattern p;
        assert_null(log_pattern_parse(str_from(cases[i].pattern), &p));
        if (log_pattern_matches(&p, str_from(cases[i].message)) != cases[i].matches)
            fail_msg("'%s' and '%s'", cases[i].pattern, cases[i].message);
    }
}

static void what_is_not_understood_is_said(void **state)
{
    static const char *const patterns[] = {"{ $.a = 1 }", "[a, b]", " {$.x}", "%a.c%", "\"open", "-\"open"};
    char many[256];
    struct log_pattern p;
    (void)state;
    for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++)
        assert_non_null(log_pattern_parse(str_from(patterns[i]), &p));
    for (size_t i = 0; i < 2 * LOG_PATTERN_TERMS_MAX + 1; i++)
        many[i] = i % 2 ? ' ' : 'a';
    assert_null(log_pattern_parse((struct str){many, 2 * LOG_PATTERN_TERMS_MAX}, &p));
    assert_non_null(log_pattern_parse((struct str){many, 2 * LOG_PATTERN_TERMS_MAX + 1}, &p));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(terms_are_required_excluded_or_one_of_many),
        cmocka_unit_test(what_is_not_understood_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
