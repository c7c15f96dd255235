/* SPDX-License-Identifier: Apache-2.0 */
#include "lambda/validate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const char *const MODES[] = {"Active", "PassThrough", NULL};
static const struct lambda_member OF_LAYERS[] = {{.bounded = true, .min = 1, .max = 20, .pattern = "arn:[a-z:]+"}};
static const struct lambda_member OF_VALUES[] = {{.name = "[a-zA-Z]([a-zA-Z0-9_])+"}};
static const struct lambda_member OF_ENVIRONMENT[] = {{.name = "Variables", .type = LAMBDA_MAP, .members = OF_VALUES},
                                                      {0}};
static const struct lambda_member OF_TRACING[] = {{.name = "Mode", .choices = MODES, .required = true}, {0}};
static const struct lambda_member MEMBERS[] = {
    {.name = "Role", .required = true, .pattern = "arn:aws:iam::\\d{12}:role/?[a-zA-Z_0-9+=,.@\\-_/]+"},
    {.name = "MemorySize", .type = LAMBDA_INTEGER, .bounded = true, .min = 128, .max = 10240},
    {.name = "Weight", .type = LAMBDA_DOUBLE, .bounded = true, .min = 0, .max = 1},
    {.name = "Publish", .type = LAMBDA_BOOLEAN},
    {.name = "Description", .bounded = true, .min = 0, .max = 8},
    {.name = "Name", .pattern = "(?!^[0-9]+$)([a-zA-Z0-9-_]+)", .ere = "[a-zA-Z0-9-_]+", .unlike = "[0-9]+"},
    {.name = "Layers", .type = LAMBDA_LIST, .bounded = true, .min = 0, .max = 2, .members = OF_LAYERS},
    {.name = "Environment", .type = LAMBDA_STRUCTURE, .members = OF_ENVIRONMENT},
    {.name = "TracingConfig", .type = LAMBDA_STRUCTURE, .members = OF_TRACING},
    {.name = "ZipFile", .type = LAMBDA_BLOB},
    {0},
};

#define ROLE "\"Role\":\"arn:aws:iam::123456789012:role/x\""

static enum lambda_verdict check(const char *text, char out[LAMBDA_VERDICT_MAX])
{
    struct json_doc *doc;
    struct err e;
    assert_int_equal(json_parse(str_from(text), JSON_STRICT, &doc, &e), 0);
    enum lambda_verdict v = lambda_check_body(MEMBERS, json_root(doc), out);
    json_free(doc);
    return v;
}

static void what_is_valid_or_unknown_passes(void **state)
{
    static const char *const texts[] = {
        "{" ROLE "}",
        "{" ROLE ",\"MemorySize\":128,\"Weight\":0.5,\"Publish\":true,\"Description\":\"\",\"Name\":\"a1\",\"Layers\":["
        "\"arn:a\"],"
        "\"Environment\":{\"Variables\":{\"KEY\":\"v\"}},\"TracingConfig\":{\"Mode\":\"Active\"},\"ZipFile\":\"UEs=\"}",
        "{" ROLE ",\"MemorySize\":10240.0,\"Unknown\":{\"deep\":[1]},\"Description\":null}",
    };
    char out[LAMBDA_VERDICT_MAX];
    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        if (check(texts[i], out) != LAMBDA_VALID)
            fail_msg("%s: %s", texts[i], out);
}

static void faults_are_told_in_the_words_of_aws(void **state)
{
    static const struct {
        const char *text, *told;
    } cases[] = {
        {"{}", "Value null at 'role' failed to satisfy constraint: Member must not be null"},
        {"{\"Role\":\"x\"}",
         "Value 'x' at 'role' failed to satisfy constraint: Member must satisfy regular expression pattern: "
         "arn:aws:iam::\\d{12}:role/?[a-zA-Z_0-9+=,.@\\-_/]+"},
        {"{" ROLE ",\"MemorySize\":64}", "Value '64' at 'memorySize' failed to satisfy constraint: Member must have "
                                         "value greater than or equal to 128"},
        {"{" ROLE ",\"MemorySize\":99999}", "Value '99999' at 'memorySize' failed to satisfy constraint: Member must "
                                            "have value less than or equal to 10240"},
        {"{" ROLE ",\"Weight\":1.5}",
         "Value '1.5' at 'weight' failed to satisfy constraint: Member must have value less than or equal to 1"},
        {"{" ROLE ",\"Description\":\"longer than\"}", "Value 'longer than' at 'description' failed to satisfy "
                                                       "constraint: Member must have length less than or equal to 8"},
        {"{" ROLE ",\"Name\":\"12\"}",
         "Value '12' at 'name' failed to satisfy constraint: Member must satisfy regular expression pattern: "
         "(?!^[0-9]+$)([a-zA-Z0-9-_]+)"},
        {"{" ROLE ",\"Layers\":[\"arn:a\",\"nothing\"]}",
         "Value 'nothing' at 'layers.2.member' failed to satisfy constraint: Member must satisfy regular expression "
         "pattern: arn:[a-z:]+"},
        {"{" ROLE ",\"Layers\":[\"arn:a\",\"arn:b\",\"arn:c\"]}",
         "Value '[3 elements]' at 'layers' failed to satisfy constraint: Member must have length less than or equal to "
         "2"},
        {"{" ROLE ",\"Environment\":{\"Variables\":{\"1K\":\"v\"}}}",
         "Value '1K' at 'environment.variables' failed to satisfy constraint: Member must satisfy regular expression "
         "pattern: "
         "[a-zA-Z]([a-zA-Z0-9_])+"},
        {"{" ROLE ",\"TracingConfig\":{\"Mode\":\"Off\"}}",
         "Value 'Off' at 'tracingConfig.mode' failed to satisfy constraint: Member must satisfy enum value set: "
         "[Active, PassThrough]"},
        {"{" ROLE ",\"TracingConfig\":{}}",
         "Value null at 'tracingConfig.mode' failed to satisfy constraint: Member must not be null"},
    };
    char out[LAMBDA_VERDICT_MAX];
    static const char prefix[] = "1 validation error detected: ";
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(check(cases[i].text, out), LAMBDA_INVALID);
        assert_memory_equal(out, prefix, sizeof(prefix) - 1);
        assert_string_equal(out + sizeof(prefix) - 1, cases[i].told);
    }
    assert_int_equal(lambda_check_body(MEMBERS, NULL, out), LAMBDA_INVALID); /* no body at all */
}

static void all_faults_stand_in_one_sentence(void **state)
{
    char out[LAMBDA_VERDICT_MAX];
    (void)state;
    assert_int_equal(check("{\"MemorySize\":1,\"Description\":\"longer than\"}", out), LAMBDA_INVALID);
    assert_string_equal(
        out,
        "3 validation errors detected: Value null at 'role' failed to satisfy constraint: Member must not be null; "
        "Value '1' at 'memorySize' failed to satisfy constraint: Member must have value greater than or equal to 128; "
        "Value 'longer than' at 'description' failed to satisfy constraint: Member must have length less than or equal "
        "to 8");
}

static void another_type_is_told_as_that(void **state)
{
    static const struct {
        const char *text, *told;
    } cases[] = {
        {"{\"Role\":1}", "NUMBER_VALUE can not be converted to a String"},
        {"{\"MemorySize\":\"128\"}", "STRING_VALUE can not be converted to an Integer"},
        {"{\"MemorySize\":1.5}", "NUMBER_VALUE can not be converted to an Integer"},
        {"{\"Publish\":\"true\"}", "STRING_VALUE can not be converted to a Boolean"},
        {"{\"Layers\":{}}", "START_OBJECT can not be converted to a List"},
        {"{\"Environment\":[]}", "START_ARRAY can not be converted to a Structure"},
        {"{\"Environment\":{\"Variables\":{\"KEY\":true}}}", "TRUE_VALUE can not be converted to a String"},
        {"{\"ZipFile\":0}", "NUMBER_VALUE can not be converted to a Blob"},
    };
    char out[LAMBDA_VERDICT_MAX];
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(check(cases[i].text, out), LAMBDA_WRONG_TYPE);
        assert_string_equal(out, cases[i].told);
    }
}

/* Whatever a client sends, the sentence has an end. */
static void a_flood_of_faults_is_cut(void **state)
{
    char text[60000], out[LAMBDA_VERDICT_MAX];
    size_t n = (size_t)snprintf(text, sizeof(text), "{\"Layers\":[\"x\"");
    (void)state;
    while (n < sizeof(text) - 64)
        n += (size_t)snprintf(text + n, sizeof(text) - n, ",\"nothing that is an arn\"");
    snprintf(text + n, sizeof(text) - n, "]}");
    assert_int_equal(check(text, out), LAMBDA_INVALID);
    assert_true(strlen(out) < LAMBDA_VERDICT_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_valid_or_unknown_passes),  cmocka_unit_test(faults_are_told_in_the_words_of_aws),
        cmocka_unit_test(all_faults_stand_in_one_sentence), cmocka_unit_test(another_type_is_told_as_that),
        cmocka_unit_test(a_flood_of_faults_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
