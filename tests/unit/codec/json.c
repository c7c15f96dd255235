/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/json.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int parse(const char *text, unsigned flags, struct json_doc **doc, struct err *e)
{
    /* an exact copy on the heap: a sanitizer sees a read past its end */
    size_t n = strlen(text);
    char *copy = malloc(n ? n : 1);
    assert_non_null(copy);
    memcpy(copy, text, n);
    int r = json_parse((struct str){.p = copy, .n = n}, flags, doc, e);
    free(copy);
    return r;
}

static void accept_text(const char *text)
{
    struct json_doc *doc = NULL;
    struct err e = {0};
    if (parse(text, JSON_STRICT, &doc, &e) < 0)
        fail_msg("%s: %s", text, e.text);
    json_free(doc);
}

static void refuse_text(const char *text, const char *why)
{
    struct json_doc *doc = NULL;
    struct err e = {0};
    assert_int_equal(parse(text, JSON_STRICT, &doc, &e), -EINVAL);
    assert_null(doc);
    if (!strstr(e.text, why))
        fail_msg("%s: '%s' does not say '%s'", text, e.text, why);
}

static void what_rfc_8259_allows_is_read(void **state)
{
    (void)state;
    static const char *const good[] = {
        "null",
        "true",
        " false ",
        "0",
        "-0",
        "1e5",
        "1E-2",
        "-1.25e+3",
        "\"\"",
        "[]",
        "{}",
        "[1,[2,{\"a\":null}]]",
        "\"\\u00e9\\ud83d\\ude00\"",
        "\"\xc3\xa9\xf0\x9f\x98\x80\"",
        "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
        "\t\r\n{\"a\" : 1 , \"b\" : [ ] }\n",
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        accept_text(good[i]);
}

static void what_parsers_disagree_on_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *why;
    } bad[] = {
        {"", "value was expected"},
        {"[1,]", "comma before"},
        {"{\"a\":1,}", "comma before"},
        {"{a:1}", "double quotes"},
        {"{'a':1}", "double quotes"},
        {"01", "not a number"},
        {"-", "not a number"},
        {"1.", "behind '.'"},
        {".5", "value was expected"},
        {"1e", "exponent"},
        {"+1", "value was expected"},
        {"NaN", "value was expected"},
        {"1e999", "out of range"},
        {"1 2", "behind the end"},
        {"[1", "']' was expected"},
        {"\"abc", "no closing quote"},
        {"\"a\nb\"", "no closing quote"},
        {"\"a\tb\"", "control character"},
        {"\"\\x\"", "unknown escape"},
        {"\"\\u12g4\"", "hexadecimal"},
        {"\"\\u0000\"", "\\u0000"},
        {"\"\\ud800\"", "surrogate"},
        {"\"\\udc00\"", "surrogate"},
        {"\"\\ud800\\u0041\"", "surrogate"},
        {"\"\xff\"", "UTF-8"},
        {"\"\xc0\xaf\"", "UTF-8"},
        {"\"\xed\xa0\x80\"", "UTF-8"},
        {"\"\xf4\x90\x80\x80\"", "UTF-8"},
        {"\"\xe2\x82\"", "UTF-8"},
        {"{\"a\":1,\"b\":2,\"a\":3}", "'a' stands there twice"},
        {"[{\"x\":{\"k\":1,\"k\":1}}]", "'k' stands there twice"},
        {"{\"a\":1 // no\n}", "comments are not allowed"},
        {"\xef\xbb\xbf{}", "value was expected"},
        {"123456789012345678901234567890123456789012345678901234567890123", "60 characters"},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        refuse_text(bad[i].text, bad[i].why);
}

static void a_nul_byte_in_the_text_is_refused(void **state)
{
    (void)state;
    struct json_doc *doc = NULL;
    struct err e = {0};
    assert_int_equal(json_parse(STR_LITERAL("{\"a\0b\":1}"), JSON_STRICT, &doc, &e), -EINVAL);
    assert_int_equal(json_parse(STR_LITERAL("{}\0"), JSON_STRICT, &doc, &e), -EINVAL);
}

static void depth_is_capped_at_64_levels(void **state)
{
    (void)state;
    char text[200] = "";
    memset(text, '[', 64);
    memset(text + 64, ']', 64);
    text[128] = '\0';
    accept_text(text);
    memset(text, '[', 65);
    memset(text + 65, ']', 65);
    text[130] = '\0';
    refuse_text(text, "64 levels");
    char *deep = malloc(100001);
    assert_non_null(deep);
    memset(deep, '[', 100000);
    deep[100000] = '\0';
    refuse_text(deep, "64 levels");
    free(deep);
}

static void every_prefix_of_a_document_is_refused_without_harm(void **state)
{
    (void)state;
    static const char text[] = "{\"a\":[1.5e3,true,\"\\ud83d\\ude00\\n\xc3\xa9\"],\"b\":{\"c\":null}}";
    for (size_t n = 0; n < sizeof(text) - 1; n++) {
        struct json_doc *doc = NULL;
        struct err e = {0};
        char *copy = malloc(n + 1);
        assert_non_null(copy);
        memcpy(copy, text, n);
        assert_int_equal(json_parse((struct str){.p = copy, .n = n}, JSON_STRICT, &doc, &e), -EINVAL);
        free(copy);
    }
    accept_text(text);
}

static void comments_count_as_spaces_where_allowed(void **state)
{
    (void)state;
    struct json_doc *doc = NULL;
    struct err e = {0};
    const char *text = "// head\n{ /* a\nb */ \"a\": 1, // one\n \"b\": \"// no /* comment */\"\n}// end";
    assert_int_equal(parse(text, JSON_COMMENTS, &doc, &e), 0);
    assert_string_equal(json_get_text(json_root(doc), "b"), "// no /* comment */");
    assert_int_equal(json_line(doc, json_get(json_root(doc), "a")), 3);
    assert_int_equal(json_line(doc, json_get(json_root(doc), "b")), 4);
    json_free(doc);
    assert_int_equal(parse("{} /* open", JSON_COMMENTS, &doc, &e), -EINVAL);
    assert_int_equal(parse("{} / 1", JSON_COMMENTS, &doc, &e), -EINVAL);
    /* what a comment splits stays split */
    assert_int_equal(parse("[1/**/2]", JSON_COMMENTS, &doc, &e), -EINVAL);
}

static void a_message_names_line_and_column(void **state)
{
    (void)state;
    refuse_text("{\n  \"a\": 1,\n  \"b\" 2\n}", "line 3, column 7: ':' was expected");
    refuse_text("{\n\"a\":1,\n\n\"a\":2}", "line 4: key 'a'");
}

static void accessors_answer_no_to_what_is_absent_or_of_another_type(void **state)
{
    (void)state;
    struct json_doc *doc = NULL;
    struct err e = {0};
    uint64_t u = 7;
    bool b = false;
    double d = 0;
    assert_int_equal(
        parse("{\"n\":12,\"f\":1.5,\"m\":-1,\"big\":9007199254740994,\"t\":true,\"s\":\"x\",\"z\":null,\"l\":[1,2,3]}",
              0, &doc, &e),
        0);
    const struct json *root = json_root(doc);
    assert_true(json_get_u64(root, "n", &u));
    assert_int_equal(u, 12);
    assert_false(json_get_u64(root, "f", &u));
    assert_false(json_get_u64(root, "m", &u));
    assert_false(json_get_u64(root, "big", &u));
    assert_false(json_get_u64(root, "s", &u));
    assert_false(json_get_u64(root, "nowhere", &u));
    assert_int_equal(u, 12);
    assert_true(json_to_double(json_get(root, "f"), &d) && d == 1.5);
    assert_true(json_get_bool(root, "t", &b) && b);
    assert_false(json_get_bool(root, "n", &b));
    assert_null(json_get_text(root, "n"));
    assert_true(json_is_null(json_get(root, "z")));
    assert_false(json_is_null(json_get(root, "nowhere")));
    assert_int_equal(json_count(json_get(root, "l")), 3);
    assert_int_equal(json_count(root), 8);
    assert_null(json_get(json_get(root, "s"), "x"));
    assert_null(json_first(NULL));
    assert_string_equal(json_type_name(json_get(root, "l")), "an array");
    uint64_t sum = 0;
    JSON_EACH(json_get(root, "l"), at)
    {
        assert_true(json_to_u64(at, &u));
        sum += u;
    }
    assert_int_equal(sum, 6);
    json_free(doc);
}

static void any_bytes_become_a_valid_string(void **state)
{
    (void)state;
    char bytes[512];
    for (unsigned i = 0; i < 256; i++) {
        bytes[2 * i] = (char)i;
        bytes[2 * i + 1] = 'x';
    }
    struct buf out;
    buf_init(&out, 0);
    assert_int_equal(json_escape(&out, (struct str){.p = bytes + 2, .n = sizeof(bytes) - 2}), 0);
    struct json_doc *doc = NULL;
    struct err e = {0};
    assert_int_equal(json_parse(buf_str(&out), JSON_STRICT, &doc, &e), 0);
    assert_non_null(strstr(json_text(json_root(doc)), "ax"));
    assert_non_null(strstr(json_text(json_root(doc)), "\xef\xbf\xbdx"));
    json_free(doc);
    buf_fini(&out);
}

static void what_terminals_obey_is_escaped(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, 0);
    assert_int_equal(json_escape(&out, STR_LITERAL("\x1b[2J\x7f\xc2\x9b\0\"\\\n\xc3\xa9")), 0);
    static const char want[] = "\"\\u001b[2J\\u007f\\u009b\\u0000\\\"\\\\\\n\xc3\xa9\"";
    assert_int_equal(out.len, sizeof(want) - 1);
    assert_memory_equal(out.data, want, out.len);
    buf_fini(&out);
}

static void the_writer_prints_what_the_reader_reads(void **state)
{
    (void)state;
    struct buf out;
    struct json_writer w;
    buf_init(&out, 0);
    json_writer_init(&w, &out);
    json_put_object(&w, NULL);
    json_put_text(&w, "a", "x\"y");
    json_put_array(&w, "l");
    json_put_u64(&w, NULL, UINT64_MAX);
    json_put_i64(&w, NULL, -5);
    json_put_object(&w, NULL);
    json_put_object_end(&w);
    json_put_milli(&w, NULL, 1500);
    json_put_milli(&w, NULL, 25);
    json_put_milli(&w, NULL, 2000);
    json_put_array_end(&w);
    json_put_bool(&w, "t", true);
    json_put_null(&w, "z");
    json_put_text(&w, "y", NULL);
    json_put_raw(&w, "r", STR_LITERAL("[1]"));
    json_put_object_end(&w);
    assert_int_equal(json_writer_end(&w), 0);
    static const char want[] =
        "{\"a\":\"x\\\"y\",\"l\":[18446744073709551615,-5,{},1.5,0.025,2],\"t\":true,\"z\":null,\"y\":null,\"r\":[1]}";
    assert_int_equal(out.len, sizeof(want) - 1);
    assert_memory_equal(out.data, want, out.len);

    struct json_doc *doc = NULL;
    struct err e = {0};
    struct buf again;
    buf_init(&again, 0);
    static const char text[] = "{\"a\":[1,-2.5,\"\\n\",null,{\"b\":true}],\"c\":{}}";
    assert_int_equal(parse(text, 0, &doc, &e), 0);
    json_writer_init(&w, &again);
    json_put_value(&w, NULL, json_root(doc));
    assert_int_equal(json_writer_end(&w), 0);
    assert_int_equal(again.len, sizeof(text) - 1);
    assert_memory_equal(again.data, text, again.len);
    json_free(doc);
    buf_fini(&again);
    buf_fini(&out);
}

static void the_writers_first_failure_sticks(void **state)
{
    (void)state;
    struct buf out;
    struct json_writer w;
    buf_init(&out, 8);
    json_writer_init(&w, &out);
    json_put_array(&w, NULL);
    json_put_text(&w, NULL, "far too long for eight bytes");
    json_put_u64(&w, NULL, 1);
    json_put_array_end(&w);
    assert_int_equal(json_writer_end(&w), -EMSGSIZE);
    buf_fini(&out);
    buf_init(&out, 0);
    json_writer_init(&w, &out);
    for (int i = 0; i < 100; i++)
        json_put_array(&w, NULL);
    for (int i = 0; i < 100; i++)
        json_put_array_end(&w);
    assert_int_equal(json_writer_end(&w), -EMSGSIZE);
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_rfc_8259_allows_is_read),
        cmocka_unit_test(what_parsers_disagree_on_is_refused),
        cmocka_unit_test(a_nul_byte_in_the_text_is_refused),
        cmocka_unit_test(depth_is_capped_at_64_levels),
        cmocka_unit_test(every_prefix_of_a_document_is_refused_without_harm),
        cmocka_unit_test(comments_count_as_spaces_where_allowed),
        cmocka_unit_test(a_message_names_line_and_column),
        cmocka_unit_test(accessors_answer_no_to_what_is_absent_or_of_another_type),
        cmocka_unit_test(any_bytes_become_a_valid_string),
        cmocka_unit_test(what_terminals_obey_is_escaped),
        cmocka_unit_test(the_writer_prints_what_the_reader_reads),
        cmocka_unit_test(the_writers_first_failure_sticks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
