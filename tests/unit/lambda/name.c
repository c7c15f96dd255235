/* SPDX-License-Identifier: Apache-2.0 */
#include "lambda/name.h"

#include "lambda/pattern.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

struct name_case {
    const char *text, *name, *qualifier, *region, *account; /* name NULL: it is none */
};

static const struct name_case CASES[] = {
    {"hello", "hello", "", "", ""},
    {"hello:$LATEST", "hello", "$LATEST", "", ""},
    {"hello:12", "hello", "12", "", ""},
    {"function:hello", "hello", "", "", ""},
    {"function:hello:prod", "hello", "prod", "", ""},
    {"123456789012:function:hello", "hello", "", "", "123456789012"},
    {"123456789012:hello:prod", "hello", "prod", "", "123456789012"},
    {"us-gov-west-1:123456789012:function:hello", "hello", "", "us-gov-west-1", "123456789012"},
    {"arn:aws:lambda:eu-central-1:123456789012:function:hello", "hello", "", "eu-central-1", "123456789012"},
    {"arn:aws-us-gov:lambda:eu-central-1:123456789012:function:hello:p-1", "hello", "p-1", "eu-central-1",
     "123456789012"},
    {"arn::lambda:hello", "hello", "", "", ""},
    {"function", "function", "", "", ""},
    {"123456789012", "123456789012", "", "", ""},
    {"a.b", "a.b", "", "", ""},
    {"", NULL, NULL, NULL, NULL},
    {":", NULL, NULL, NULL, NULL},
    {"hello:", NULL, NULL, NULL, NULL},
    {"hello:$latest", NULL, NULL, NULL, NULL},
    {"hello:a:b", NULL, NULL, NULL, NULL},
    {"hello world", NULL, NULL, NULL, NULL},
    {"hello:a.b", NULL, NULL, NULL, NULL},
    {"arn:aws:s3:eu-central-1:123456789012:function:hello", NULL, NULL, NULL, NULL},
    {"arn:aws:lambda:eu-central-1:123456789012:layer:hello:1", NULL, NULL, NULL, NULL},
    {"arn:", NULL, NULL, NULL, NULL},
    {"arn:aws", "arn", "aws", "", ""},
    {"arn:aws:lambda:", NULL, NULL, NULL, NULL},
    {"h\xc3\xbcllo", NULL, NULL, NULL, NULL},
};

static void each_form_of_a_name_has_its_parts(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        const struct name_case *c = &CASES[i];
        struct lambda_name n;
        bool good = lambda_name_parse(str_from(c->text), &n);
        if (good != (c->name != NULL))
            fail_msg("'%s' is %sa name", c->text, good ? "" : "not ");
        if (!c->name)
            continue;
        assert_true(str_is(n.name, c->name));
        assert_true(str_is(n.qualifier, c->qualifier));
        assert_true(str_is(n.region, c->region));
        assert_true(str_is(n.account, c->account));
    }
}

/* The pattern that errors quote and the parser are two forms of one rule. */
static void the_parser_agrees_with_the_pattern(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++)
        if (lambda_pattern_matches(lambda_name_pattern, CASES[i].text) != (CASES[i].name != NULL) &&
            !strstr(CASES[i].text, "us-gov"))
            fail_msg("'%s': the pattern says otherwise", CASES[i].text);
}

static void regions(void **state)
{
    (void)state;
    assert_true(lambda_region_is_valid(STR_LITERAL("eu-central-1")));
    assert_true(lambda_region_is_valid(STR_LITERAL("us-gov-west-1")));
    static const char *const not_regions[] = {"",
                                              "eu",
                                              "eu-1",
                                              "eu--1",
                                              "eu-central-",
                                              "EU-central-1",
                                              "eu-central-11",
                                              "e-central-1",
                                              "eu-cen tral-1",
                                              "eu-aaaaaaaaaaaaaaaaaaaaaaaa-1"};
    for (size_t i = 0; i < sizeof(not_regions) / sizeof(not_regions[0]); i++)
        assert_false(lambda_region_is_valid(str_from(not_regions[i])));
}

static void the_models_patterns_match_what_java_matches(void **state)
{
    static const struct {
        const char *pattern, *good, *bad;
    } PATTERNS[] = {
        {"(lambda:[*]|lambda:[a-zA-Z]+|[*])", "lambda:Invoke", "lambda:"},
        {"([a-zA-Z0-9-_]+)", "a-b_c", "a.b"},
        {"[a-zA-Z0-9-\\/*:_+=.@-]*", "a/b*c-@", "a b"},
        {"arn:(aws[a-zA-Z-]*)?:iam::\\d{12}:role/?[a-zA-Z_0-9+=,.@\\-_/]+", "arn:aws:iam::123456789012:role/a-b",
         "arn:aws:iam::12345678901:role/a"},
        {"[^\\s]+", "app.handler", "app handler"},
        {"^/mnt/[a-zA-Z0-9-_.]+$", "/mnt/x", "/mnt/"},
        {"[\\s\\S]*", "any thing\nat all", NULL},
        {"(\\$LATEST|[0-9]+)", "$LATEST", "LATEST"},
        {"(|[a-zA-Z0-9$_-]+)", "", "a b"},
        {"\\d{12}|\\*|arn:(aws[a-zA-Z-]*):iam::\\d{12}:root", "*", "**"},
        {"(arn:(aws[a-zA-Z-]*)?:[a-z0-9-.]+:.*)|()", "arn:aws:kms:x", "kms"},
        {"[a-zA-Z]([a-zA-Z0-9_])+", "PATH", "1PATH"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(PATTERNS) / sizeof(PATTERNS[0]); i++) {
        if (!lambda_pattern_matches(PATTERNS[i].pattern, PATTERNS[i].good))
            fail_msg("'%s' does not match %s", PATTERNS[i].good, PATTERNS[i].pattern);
        if (PATTERNS[i].bad && lambda_pattern_matches(PATTERNS[i].pattern, PATTERNS[i].bad))
            fail_msg("'%s' matches %s", PATTERNS[i].bad, PATTERNS[i].pattern);
    }
    char out[LAMBDA_PATTERN_MAX];
    assert_false(lambda_pattern_translate("(?!^[0-9]+$)([a-z]+)", out));
    assert_false(lambda_pattern_translate("\\bx", out));
    assert_false(lambda_pattern_translate("[a-z", out));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_form_of_a_name_has_its_parts),
        cmocka_unit_test(the_parser_agrees_with_the_pattern),
        cmocka_unit_test(regions),
        cmocka_unit_test(the_models_patterns_match_what_java_matches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
