/* SPDX-License-Identifier: Apache-2.0 */
/* From a request's head and body to an event in payload format 2.0. */
#include "gateway/payload_event.h"

#include "codec/json_check.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define CONTEXT_BEGIN                                                                                                  \
    "\"requestContext\":{\"accountId\":\"anonymous\",\"apiId\":\"abc\",\"domainName\":\"h:81\",\"domainPrefix\":"      \
    "\"abc\",\"http\":{\"method\":\""
#define CONTEXT_END                                                                                                    \
    "},\"requestId\":\"id\",\"routeKey\":\"$default\",\"stage\":\"$default\",\"time\":\"12/Mar/2020:19:03:58 "         \
    "+0000\",\"timeEpoch\":1584039838390},"
#define HEAD      "{\"version\":\"2.0\",\"routeKey\":\"$default\","
#define FORWARDED "\"x-forwarded-for\":\"10.1.2.3\",\"x-forwarded-proto\":\"http\",\"x-forwarded-port\":\"81\"}"
#define CONTEXT(method, path)                                                                                          \
    CONTEXT_BEGIN method "\",\"path\":\"" path "\",\"protocol\":\"HTTP/1.1\",\"sourceIp\":\"10.1.2.3\"" CONTEXT_END

static const struct {
    const char *head; /* behind Host */
    struct str body;
    const char *event;
} cases[] = {
    {"GET /url/abc HTTP/1.1\r\nHost: h:81\r\n",
     {0},
     HEAD "\"rawPath\":\"/\",\"rawQueryString\":\"\",\"headers\":{\"host\":\"h:81\"," FORWARDED
          "," CONTEXT("GET", "/") "\"isBase64Encoded\":false}"},
    {"PUT /url/abc/a%20b/?x=1&y=a+b%26&x=2&%78=3&z&=q HTTP/1.1\r\nHost: h:81\r\n",
     {0},
     HEAD "\"rawPath\":\"/a%20b/\",\"rawQueryString\":\"x=1&y=a+b%26&x=2&%78=3&z&=q\","
          "\"headers\":{\"host\":\"h:81\"," FORWARDED ",\"queryStringParameters\":{\"x\":\"1,2,3\",\"y\":\"a b&\","
          "\"z\":\"\",\"\":\"q\"}," CONTEXT("PUT", "/a%20b/") "\"isBase64Encoded\":false}"},
    {"GET /url/abc HTTP/1.1\r\nHost: h:81\r\nCookie: a=1; b=2\r\nX-Many: 1\r\nCOOKIE: c=3;\r\nx-many: 2\r\n",
     {0},
     HEAD "\"rawPath\":\"/\",\"rawQueryString\":\"\",\"cookies\":[\"a=1\",\"b=2\",\"c=3\"],\"headers\":{\"host\":"
          "\"h:81\",\"x-many\":\"1,2\"," FORWARDED "," CONTEXT("GET", "/") "\"isBase64Encoded\":false}"},
    {"GET /url/abc HTTP/1.1\r\nHost: h:81\r\nUser-Agent: me/1\r\nX-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Proto: "
     "https\r\nX-Forwarded-Port: 443\r\n",
     {0},
     HEAD "\"rawPath\":\"/\",\"rawQueryString\":\"\",\"headers\":{\"host\":\"h:81\",\"user-agent\":\"me/1\","
          "\"x-forwarded-for\":\"1.2.3.4\",\"x-forwarded-proto\":\"https\",\"x-forwarded-port\":\"443\"}," CONTEXT_BEGIN
          "GET\",\"path\":\"/\",\"protocol\":\"HTTP/1.1\",\"sourceIp\":\"10.1.2.3\",\"userAgent\":\"me/1\"" CONTEXT_END
          "\"isBase64Encoded\":false}"},
};

/* The event of a request; the caller frees *out. */
static int print(const char *head, struct str body, const struct payload_event_caller *caller, struct buf *out)
{
    static struct http1_request request;
    static char text[65536];
    struct http1_limits limits = {.head_bytes = sizeof(text), .fields = HTTP1_FIELDS_MAX};
    struct http1_progress progress = {0};
    struct http1_refusal refusal;
    size_t n;
    snprintf(text, sizeof(text), "%s\r\n", head);
    assert_int_equal(http1_parse_request(&request, &progress, text, strlen(text), &limits, &n, &refusal), HTTP1_DONE);
    struct payload_event e = {
        .request = &request,
        .path = str_skip(request.path, strlen("/url/abc")),
        .body = body,
        .host = request.host,
        .request_id = "id",
        .source_ip = "10.1.2.3",
        .scheme = "http",
        .api_id = "abc",
        .account = caller ? caller->account : "anonymous",
        .caller = caller,
        .time_ms = 1584039838390,
    };
    return payload_event_print(&e, out);
}

static void a_request_is_told_exactly(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct buf out;
        buf_init(&out, 0);
        assert_int_equal(print(cases[i].head, cases[i].body, NULL, &out), 0);
        assert_int_equal(buf_add(&out, "", 1), 0);
        assert_string_equal(out.data, cases[i].event);
        buf_fini(&out);
    }
}

static const struct {
    const char *type; /* NULL: none */
    struct str body;
    const char *expected; /* how the event ends */
} bodies[] = {
    {"text/plain", STR_LITERAL("hi \"you\"\n"), "\"body\":\"hi \\\"you\\\"\\n\",\"isBase64Encoded\":false}"},
    {"TEXT/html; charset=utf-8", STR_LITERAL("<p>"), "\"body\":\"<p>\",\"isBase64Encoded\":false}"},
    {"application/json", STR_LITERAL("{}"), "\"body\":\"{}\",\"isBase64Encoded\":false}"},
    {"application/ld+json", STR_LITERAL("{}"), "\"body\":\"{}\",\"isBase64Encoded\":false}"},
    {"image/svg+xml", STR_LITERAL("<a/>"), "\"body\":\"<a/>\",\"isBase64Encoded\":false}"},
    {"application/xml", STR_LITERAL("<a/>"), "\"body\":\"<a/>\",\"isBase64Encoded\":false}"},
    {"application/javascript", STR_LITERAL("1"), "\"body\":\"1\",\"isBase64Encoded\":false}"},
    {"application/x-www-form-urlencoded", STR_LITERAL("a=b"), "\"body\":\"a=b\",\"isBase64Encoded\":false}"},
    {"multipart/form-data; boundary=x", STR_LITERAL("ab"), "\"body\":\"YWI=\",\"isBase64Encoded\":true}"},
    {"application/octet-stream", STR_LITERAL("abc"), "\"body\":\"YWJj\",\"isBase64Encoded\":true}"},
    {NULL, STR_LITERAL("abcd"), "\"body\":\"YWJjZA==\",\"isBase64Encoded\":true}"},
    {"text/plain", STR_LITERAL("\xff\xfe"), "\"body\":\"//4=\",\"isBase64Encoded\":true}"},
    {"application/octet-stream", {0}, "\"timeEpoch\":1584039838390},\"isBase64Encoded\":false}"},
};

static void a_body_is_text_where_its_type_and_bytes_say_so(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        char head[256];
        struct buf out;
        buf_init(&out, 0);
        snprintf(head, sizeof(head), "POST /url/abc HTTP/1.1\r\nHost: h\r\n%s%s%s",
                 bodies[i].type ? "Content-Type: " : "", bodies[i].type ? bodies[i].type : "",
                 bodies[i].type ? "\r\n" : "");
        assert_int_equal(print(head, bodies[i].body, NULL, &out), 0);
        assert_true(json_check(buf_str(&out), NULL));
        size_t n = strlen(bodies[i].expected);
        assert_true(out.len > n);
        assert_memory_equal(out.data + out.len - n, bodies[i].expected, n);
        buf_fini(&out);
    }
}

static void who_signed_is_told(void **state)
{
    const struct payload_event_caller caller = {
        .access_key = "FAAS1", .account = "000000000000", .id = "1", .arn = "arn:aws:iam::000000000000:user/me"};
    static const char expected[] =
        "\"accountId\":\"000000000000\",\"apiId\":\"abc\",\"authorizer\":{\"iam\":{\"accessKey\":\"FAAS1\","
        "\"accountId\":\"000000000000\",\"callerId\":\"1\",\"cognitoIdentity\":null,\"principalOrgId\":null,"
        "\"userArn\":\"arn:aws:iam::000000000000:user/me\",\"userId\":\"1\"}}";
    struct buf out;
    (void)state;
    buf_init(&out, 0);
    assert_int_equal(print("GET /url/abc HTTP/1.1\r\nHost: h\r\n", (struct str){0}, &caller, &out), 0);
    assert_int_equal(buf_add(&out, "", 1), 0);
    assert_non_null(strstr(out.data, expected));
    buf_fini(&out);
}

static void too_much_is_refused(void **state)
{
    static char head[16384];
    struct buf out;
    (void)state;
    int n = snprintf(head, sizeof(head), "GET /url/abc?");
    for (unsigned i = 0; i <= PAYLOAD_EVENT_PARAMETERS_MAX; i++)
        n += snprintf(head + n, sizeof(head) - (size_t)n, "&p%u", i);
    snprintf(head + n, sizeof(head) - (size_t)n, " HTTP/1.1\r\nHost: h\r\n");
    buf_init(&out, 0);
    assert_int_equal(print(head, (struct str){0}, NULL, &out), -E2BIG);
    buf_fini(&out);
    buf_init(&out, 600);
    static const char body[600];
    assert_int_equal(print("PUT /url/abc HTTP/1.1\r\nHost: h\r\n", (struct str){body, sizeof(body)}, NULL, &out),
                     -EMSGSIZE);
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_is_told_exactly),
        cmocka_unit_test(a_body_is_text_where_its_type_and_bytes_say_so),
        cmocka_unit_test(who_signed_is_told),
        cmocka_unit_test(too_much_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
