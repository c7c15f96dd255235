/* SPDX-License-Identifier: Apache-2.0 */
#include "lambda/layer_name.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define ARN "arn:aws:lambda:eu-central-1:123456789012:layer:"

struct layer_case {
    const char *text, *name; /* name NULL: it is none */
    uint64_t number;
    const char *region, *account;
};

static const struct layer_case CASES[] = {
    {"tools", "tools", 0, "", ""},
    {"A_b-9", "A_b-9", 0, "", ""},
    {"123456789012", "123456789012", 0, "", ""},
    {ARN "tools", "tools", 0, "eu-central-1", "123456789012"},
    {ARN "tools:7", "tools", 7, "eu-central-1", "123456789012"},
    {ARN "tools:9223372036854775807", "tools", INT64_MAX, "eu-central-1", "123456789012"},
    {"arn:aws-cn:lambda:cn-north-1:123456789012:layer:tools:7", "tools", 7, "cn-north-1", "123456789012"},
    {"", NULL, 0, NULL, NULL},
    {":", NULL, 0, NULL, NULL},
    {"tools:7", NULL, 0, NULL, NULL}, /* a version is named by its ARN, or in the path */
    {"to.ols", NULL, 0, NULL, NULL},
    {"to ols", NULL, 0, NULL, NULL},
    {ARN, NULL, 0, NULL, NULL},
    {ARN "tools:", NULL, 0, NULL, NULL},
    {ARN "tools:0", NULL, 0, NULL, NULL},
    {ARN "tools:-1", NULL, 0, NULL, NULL},
    {ARN "tools:+1", NULL, 0, NULL, NULL},
    {ARN "tools:7a", NULL, 0, NULL, NULL},
    {ARN "tools:7:8", NULL, 0, NULL, NULL},
    {ARN "tools:9223372036854775808", NULL, 0, NULL, NULL},
    {ARN "tools:99999999999999999999", NULL, 0, NULL, NULL},
    {"arn:aws:lambda:eu-central-1:123456789012:function:tools", NULL, 0, NULL, NULL},
    {"arn:aws:s3:eu-central-1:123456789012:layer:tools", NULL, 0, NULL, NULL},
    {"arn:aws:lambda:eucentral1:123456789012:layer:tools", NULL, 0, NULL, NULL},
    {"arn:aws:lambda::123456789012:layer:tools", NULL, 0, NULL, NULL},
    {"arn:aws:lambda:eu-central-1:12345678901:layer:tools", NULL, 0, NULL, NULL},
    {"arn:aws:lambda:eu-central-1:1234567890123:layer:tools", NULL, 0, NULL, NULL},
    {"arn:aws:lambda:eu-central-1:12345678901x:layer:tools", NULL, 0, NULL, NULL},
    {"ARN:aws:lambda:eu-central-1:123456789012:layer:tools", NULL, 0, NULL, NULL},
    {"arn:aws:lambda:eu-central-1:123456789012:layer", NULL, 0, NULL, NULL},
};

static void names_and_arns_are_told_from_everything_else(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        const struct layer_case *c = &CASES[i];
        struct layer_name n;
        bool good = layer_name_parse(str_from(c->text), &n);
        if (good != (c->name != NULL))
            fail_msg("'%s' is taken for %s", c->text, good ? "a layer" : "none");
        if (!good)
            continue;
        assert_string_equal(n.name, c->name);
        assert_int_equal(n.number, c->number);
        assert_string_equal(n.region, c->region);
        assert_string_equal(n.account, c->account);
    }
}

/* The text ends at its length, not at a NUL. */
static void nothing_behind_the_text_is_read(void **state)
{
    (void)state;
    struct layer_name n;
    static const char text[] = ARN "tools:7";
    assert_true(layer_name_parse((struct str){text, sizeof(text) - 3}, &n));
    assert_int_equal(n.number, 0);
    assert_false(layer_name_parse((struct str){text, 20}, &n));
}

static void a_name_has_at_most_140_bytes(void **state)
{
    (void)state;
    char text[400];
    struct layer_name n;
    memset(text, 'a', sizeof(text));
    assert_true(layer_name_parse((struct str){text, LAYER_NAME_MAX - 1}, &n));
    assert_int_equal(strlen(n.name), LAYER_NAME_MAX - 1);
    assert_false(layer_name_parse((struct str){text, LAYER_NAME_MAX}, &n));
    int head = snprintf(text, sizeof(text), "%s", ARN);
    memset(text + head, 'b', sizeof(text) - (size_t)head);
    assert_true(layer_name_parse((struct str){text, (size_t)head + LAYER_NAME_MAX - 1}, &n));
    assert_false(layer_name_parse((struct str){text, (size_t)head + LAYER_NAME_MAX}, &n));
}

static void what_is_printed_is_read_back(void **state)
{
    (void)state;
    char out[LAYER_ARN_MAX], name[LAYER_NAME_MAX];
    struct layer_name n;
    assert_string_equal(layer_name_print("eu-central-1", "123456789012", "tools", 0, out), ARN "tools");
    assert_string_equal(layer_name_print("eu-central-1", "123456789012", "tools", 12, out), ARN "tools:12");
    memset(name, 'c', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    /* the longest that there can be */
    char region[LAMBDA_REGION_MAX];
    memset(region, 'd', sizeof(region));
    memcpy(region, "aa-", 3);
    memcpy(region + sizeof(region) - 3, "-1", 3);
    layer_name_print(region, "123456789012", name, INT64_MAX, out);
    assert_true(strlen(out) < LAYER_ARN_MAX - 1);
    assert_true(layer_name_parse(str_from(out), &n));
    assert_string_equal(n.name, name);
    assert_string_equal(n.region, region);
    assert_int_equal(n.number, INT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_arns_are_told_from_everything_else),
        cmocka_unit_test(nothing_behind_the_text_is_read),
        cmocka_unit_test(a_name_has_at_most_140_bytes),
        cmocka_unit_test(what_is_printed_is_read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
