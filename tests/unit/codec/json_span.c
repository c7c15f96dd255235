/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of checked JSON, found without a tree. */
#include "codec/json_span.h"

#include "codec/json_check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void assert_str(struct str got, const char *expected)
{
    assert_int_equal(got.n, strlen(expected));
    assert_memory_equal(got.p, expected, got.n);
}

static void members_come_in_order_whatever_stands_in_them(void **state)
{
    static const char text[] =
        " { \"a\" : 1 ,\"b\":{\"c\":[1,{\"d\":\"}\"}]} , \"e\\\"\":\"x\\\\\", \"f\":[],\"g\":null }\n";
    static const char *const expected[][2] = {
        {"a", "1"}, {"b", "{\"c\":[1,{\"d\":\"}\"}]}"}, {"e\\\"", "\"x\\\\\""}, {"f", "[]"}, {"g", "null"}};
    (void)state;
    assert_true(json_check(STR_LITERAL(text), NULL));
    struct str object = json_span_value(STR_LITERAL(text));
    struct json_span_place place = {0};
    struct str key, value;
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        assert_true(json_span_member(object, &place, &key, &value));
        assert_str(key, expected[i][0]);
        assert_str(value, expected[i][1]);
    }
    assert_false(json_span_member(object, &place, &key, &value));
}

static void what_is_no_object_has_no_members(void **state)
{
    static const char *const texts[] = {"{}", "{ }", "[]", "[1]", "\"a\"", "7", "null"};
    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct json_span_place place = {0};
        struct str key, value;
        assert_false(json_span_member(str_from(texts[i]), &place, &key, &value));
    }
}

static void strings_are_unescaped(void **state)
{
    static const struct {
        struct str string, text;
    } cases[] = {
        {STR_LITERAL("\"\""), STR_LITERAL("")},
        {STR_LITERAL("\"hello\""), STR_LITERAL("hello")},
        {STR_LITERAL("\"a\\\"b\\\\c\\/d\\b\\f\\n\\r\\t\""), STR_LITERAL("a\"b\\c/d\b\f\n\r\t")},
        {STR_LITERAL("\"\\u0041\\u00e9\\u20AC\\ud83d\\ude00\""), STR_LITERAL("A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80")},
        {STR_LITERAL("\"\\u0000\""), STR_LITERAL("\0")},
        {STR_LITERAL("\"\\ud83d\""), STR_LITERAL("\xef\xbf\xbd")},
        {STR_LITERAL("\"\\ud83d\\u0041\""), STR_LITERAL("\xef\xbf\xbd"
                                                        "A")},
        {STR_LITERAL("\"\\ude00\\ud83d\""), STR_LITERAL("\xef\xbf\xbd\xef\xbf\xbd")},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buf out;
        buf_init(&out, 0);
        assert_true(json_check(cases[i].string, NULL));
        assert_true(json_span_is_string(cases[i].string));
        assert_int_equal(json_span_add_text(&out, cases[i].string), 0);
        assert_int_equal(out.len, cases[i].text.n);
        if (out.len)
            assert_memory_equal(out.data, cases[i].text.p, out.len);
        buf_fini(&out);
    }
}

static void blanks_go_from_between_tokens_only(void **state)
{
    static const struct {
        const char *value, *compact;
    } cases[] = {
        {"{\"hello\": \"world\"}", "{\"hello\":\"world\"}"},
        {"[ \"hello\" ,\t3,\r\n true ]", "[\"hello\",3,true]"},
        {"{ \"a b\" : \" \\\" c \" }", "{\"a b\":\" \\\" c \"}"},
        {"1.50", "1.50"},
        {"null", "null"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buf out;
        buf_init(&out, 0);
        assert_int_equal(json_span_add_compact(&out, str_from(cases[i].value)), 0);
        assert_str(buf_str(&out), cases[i].compact);
        buf_fini(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_come_in_order_whatever_stands_in_them),
        cmocka_unit_test(what_is_no_object_has_no_members),
        cmocka_unit_test(strings_are_unescaped),
        cmocka_unit_test(blanks_go_from_between_tokens_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
