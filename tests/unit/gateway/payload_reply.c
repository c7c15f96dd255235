/* SPDX-License-Identifier: Apache-2.0 */
/* From what a function returns in payload format 2.0 to what its caller gets. */
#include "gateway/payload_reply.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define S(text)                                                                                                        \
    {                                                                                                                  \
        .p = (text), .n = sizeof(text) - 1                                                                             \
    }

static char fields[REPLY_FIELDS_MAX];

static const struct {
    struct str text;
    int status;               /* 0: refused */
    const char *content_type; /* NULL: none, or in fields */
    const char *fields;
    struct str reply;
} cases[] = {
    /* inferred */
    {S("\"hello\""), 200, "application/json", "", S("hello")},
    {S("{\"hello\": \"world\"}"), 200, "application/json", "", S("{\"hello\":\"world\"}")},
    {S(" [ \"hello\", 3,\n true ] "), 200, "application/json", "", S("[\"hello\",3,true]")},
    {S("42"), 200, "application/json", "", S("42")},
    {S("null"), 200, "application/json", "", S("null")},
    {S("{}"), 200, "application/json", "", S("{}")},
    {S("{\"body\": \"x\"}"), 200, "application/json", "", S("{\"body\":\"x\"}")},
    {S("{\"a\": {\"statusCode\": 500}}"), 200, "application/json", "", S("{\"a\":{\"statusCode\":500}}")},
    {S("\"a\\nb\\u0000\\u00e9\""), 200, "application/json", "", S("a\nb\0\xc3\xa9")},
    {S(""), 200, NULL, "", S("")},
    /* said */
    {S("{\"statusCode\": 418, \"body\": \"short and stout\"}"), 418, "application/json", "", S("short and stout")},
    {S("{\"statusCode\": \"418\"}"), 418, "application/json", "", S("")},
    {S("{\"statusCode\": 204, \"body\": null, \"headers\": null, \"cookies\": null, \"isBase64Encoded\": null}"), 204,
     "application/json", "", S("")},
    {S("{\"statusCode\":201,\"headers\":{\"Content-Type\":\"text/html\",\"X-N\":7,\"X-T\":true},"
       "\"cookies\":[\"a=b; Path=/\",\"c=d\"],\"body\":\"<p>\",\"isBase64Encoded\":false}"),
     201, NULL, "Content-Type: text/html\r\nX-N: 7\r\nX-T: true\r\nset-cookie: a=b; Path=/\r\nset-cookie: c=d\r\n",
     S("<p>")},
    {S("{\"statusCode\":200,\"isBase64Encoded\":true,\"body\":\"AAH/\"}"), 200, "application/json", "",
     S("\0\x01\xff")},
    {S("{\"statusCode\":200,\"headers\":{\"content-length\":\"9\",\"transfer-encoding\":\"chunked\",\"x-faasd-error\":"
       "\"x\",\"X-Mine\":\"\"}}"),
     200, "application/json", "X-Mine: \r\n", S("")},
    {S("{\"statusCode\":200,\"body\":\"\\u0000\\ud83d\\ude00\"}"), 200, "application/json", "",
     S("\0\xf0\x9f\x98\x80")},
    {S("{\"statusCode\":200,\"statusCode\":201}"), 201, "application/json", "", S("")},
    {S("{\"statusCode\":200,\"more\":[{}]}"), 200, "application/json", "", S("")},
    /* refused */
    {S("hello"), 0, NULL, NULL, S("")},
    {S("{\"statusCode\":200"), 0, NULL, NULL, S("")},
    {S("{\"statusCode\":\"abc\"}"), 0, NULL, NULL, S("")},
    {S("{\"statusCode\":null}"), 0, NULL, NULL, S("")},
    {S("{\"statusCode\":199}"), 0, NULL, NULL, S("")},
    {S("{\"statusCode\":600}"), 0, NULL, NULL, S("")},
    {S("{\"statusCode\":200.5}"), 0, NULL, NULL, S("")},
    {S("{\"statusCode\":200,\"body\":{}}"), 0, NULL, NULL, S("")},
    {S("{\"statusCode\":200,\"body\":7}"), 0, NULL, NULL, S("")},
    {S("{\"statusCode\":200,\"headers\":[]}"), 0, NULL, NULL, S("")},
    {S("{\"statusCode\":200,\"headers\":{\"a b\":\"c\"}}"), 0, NULL, NULL, S("")},
    {S("{\"statusCode\":200,\"headers\":{\"a\":\"b\\r\\nc: d\"}}"), 0, NULL, NULL, S("")},
    {S("{\"statusCode\":200,\"headers\":{\"a\":{}}}"), 0, NULL, NULL, S("")},
    {S("{\"statusCode\":200,\"cookies\":\"a=b\"}"), 0, NULL, NULL, S("")},
    {S("{\"statusCode\":200,\"cookies\":[7]}"), 0, NULL, NULL, S("")},
    {S("{\"statusCode\":200,\"isBase64Encoded\":true,\"body\":\"no base64\"}"), 0, NULL, NULL, S("")},
    {S("{\"statusCode\":200,\"isBase64Encoded\":\"true\",\"body\":\"AAH/\"}"), 0, NULL, NULL, S("")},
};

static void a_reply_is_inferred_said_or_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct invocation_reply r = {0};
        struct buf body;
        buf_init(&body, 0);
        const char *fault = payload_reply_build(cases[i].text, fields, &body, &r);
        if (!fault != (cases[i].status != 0))
            fail_msg("%.*s: %s", (int)cases[i].text.n, cases[i].text.p, fault ? fault : "accepted");
        if (!fault) {
            assert_int_equal(r.status, cases[i].status);
            if (cases[i].content_type)
                assert_string_equal(r.content_type, cases[i].content_type);
            else
                assert_null(r.content_type);
            assert_int_equal(r.fields.n, strlen(cases[i].fields));
            assert_memory_equal(r.fields.p, cases[i].fields, r.fields.n);
            assert_int_equal(r.body.n, cases[i].reply.n);
            if (r.body.n)
                assert_memory_equal(r.body.p, cases[i].reply.p, r.body.n);
        }
        buf_fini(&body);
    }
}

static void a_body_beyond_the_limit_is_refused(void **state)
{
    struct invocation_reply r;
    struct buf body;
    (void)state;
    buf_init(&body, 8);
    assert_non_null(payload_reply_build(STR_LITERAL("\"0123456789\""), fields, &body, &r));
    buf_fini(&body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reply_is_inferred_said_or_refused),
        cmocka_unit_test(a_body_beyond_the_limit_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
