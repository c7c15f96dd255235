/* SPDX-License-Identifier: Apache-2.0 */
/* From what a runtime posts to what its caller gets. */
#include "gateway/runtime_reply.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define NULS    "\0\0\0\0\0\0\0\0"
#define PRELUDE "application/vnd.awslambda.http-integration-response"
#define S(text)                                                                                                        \
    {                                                                                                                  \
        .p = (text), .n = sizeof(text) - 1                                                                             \
    }

static char fields[RUNTIME_REPLY_FIELDS_MAX];

static const struct {
    struct str body, type;
    int status;               /* 0: refused */
    const char *content_type; /* NULL: none, or in fields */
    const char *fields;
    struct str reply;
} cases[] = {
    {S("{\"a\":1}"), S("application/json"), 200, "application/json", "", S("{\"a\":1}")},
    {S("\"text\""), S(""), 200, "application/json", "", S("\"text\"")},
    {S("Echoing request"), S("application/x-www-form-urlencoded"), 200, "application/octet-stream", "",
     S("Echoing request")},
    {S(""), S(""), 200, NULL, "", S("")},
    {S("{}" NULS "rest"), S(PRELUDE), 200, "application/octet-stream", "", S("rest")},
    {S("{\"statusCode\":418,\"headers\":{\"X-A\":\"b\",\"n\":7,\"t\":true},\"cookies\":[\"a=b; Path=/\",\"c=d\"]}" NULS
       "body"),
     S(PRELUDE), 418, "application/octet-stream",
     "X-A: b\r\nn: 7\r\nt: true\r\nset-cookie: a=b; Path=/\r\nset-cookie: c=d\r\n", S("body")},
    {S("{\"statusCode\":\"201\",\"headers\":{\"content-type\":\"text/html\"}}" NULS), S(PRELUDE "; charset=utf-8"), 201,
     NULL, "content-type: text/html\r\n", S("")},
    {S("{\"headers\":{\"content-length\":\"99\",\"transfer-encoding\":\"chunked\",\"X-Faasd-Error\":\"x\"}}" NULS "{}"),
     S(PRELUDE), 200, "application/json", "", S("{}")},
    {S("{\"statusCode\":200}" NULS "\0\0more"), S(PRELUDE), 200, "application/octet-stream", "", S("\0\0more")},
    {S("{\"statusCode\":200}\0\0\0\0\0\0\0body"), S(PRELUDE), 0, NULL, NULL, S("")},
    {S("{\"statusCode\":99}" NULS), S(PRELUDE), 0, NULL, NULL, S("")},
    {S("{\"statusCode\":600}" NULS), S(PRELUDE), 0, NULL, NULL, S("")},
    {S("{\"statusCode\":{}}" NULS), S(PRELUDE), 0, NULL, NULL, S("")},
    {S("[]" NULS), S(PRELUDE), 0, NULL, NULL, S("")},
    {S("{" NULS), S(PRELUDE), 0, NULL, NULL, S("")},
    {S(""), S(PRELUDE), 0, NULL, NULL, S("")},
    {S("{\"headers\":{\"a b\":\"c\"}}" NULS), S(PRELUDE), 0, NULL, NULL, S("")},
    {S("{\"headers\":{\"a\":\"c\\r\\nSet-Cookie: x\"}}" NULS), S(PRELUDE), 0, NULL, NULL, S("")},
    {S("{\"headers\":{\"a\":[]}}" NULS), S(PRELUDE), 0, NULL, NULL, S("")},
    {S("{\"cookies\":[1]}" NULS), S(PRELUDE), 0, NULL, NULL, S("")},
};

static void a_response_becomes_a_reply_or_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct runtime_api_post p = {.body = cases[i].body, .content_type = cases[i].type};
        struct invocation_reply r = {0};
        const char *fault = runtime_reply_build(&p, fields, &r);
        if ((fault == NULL) != (cases[i].status != 0))
            print_error("case %zu: %s\n", i, fault ? fault : "taken");
        assert_int_equal(fault == NULL, cases[i].status != 0);
        if (fault)
            continue;
        assert_int_equal(r.status, cases[i].status);
        assert_int_equal(r.content_type == NULL, cases[i].content_type == NULL);
        if (r.content_type)
            assert_string_equal(r.content_type, cases[i].content_type);
        assert_true(str_is(r.fields, cases[i].fields));
        assert_true(str_equal(r.body, cases[i].reply));
    }
}

static void a_prelude_has_limits(void **state)
{
    (void)state;
    static char body[RUNTIME_REPLY_PRELUDE_MAX + 64];
    memset(body, ' ', sizeof(body));
    memcpy(body, "{}", 2);
    memset(body + sizeof(body) - 8, 0, 8);
    struct runtime_api_post p = {.body = {body, sizeof(body)}, .content_type = STR_LITERAL(PRELUDE)};
    struct invocation_reply r;
    assert_non_null(runtime_reply_build(&p, fields, &r));
    static char many[RUNTIME_REPLY_FIELDS_MAX + 64];
    size_t n = 0;
    memcpy(many, "{\"cookies\":[\"", 13);
    n = 13;
    memset(many + n, 'x', RUNTIME_REPLY_FIELDS_MAX);
    n += RUNTIME_REPLY_FIELDS_MAX;
    memcpy(many + n, "\"]}\0\0\0\0\0\0\0\0", 11);
    p.body = (struct str){many, n + 11};
    assert_non_null(runtime_reply_build(&p, fields, &r));
}

static const struct {
    const char *body, *header, *trailer;
    const char *type, *message, *trace;
} errors[] = {
    {"{\"errorMessage\":\"no\",\"errorType\":\"ValueError\",\"stackTrace\":[\"a\",\"b\"]}", "", "", "ValueError", "no",
     "[\"a\",\"b\"]"},
    {"{\"errorType\":\"Error\",\"errorMessage\":\"boom\",\"trace\":[\"Error: boom\"]}", "", "", "Error", "boom",
     "[\"Error: boom\"]"},
    {"{\"errorMessage\":\"x\",\"errorType\":\"Function<ArgumentError>\",\"stackTrace\":[]}", "Function<ArgumentError>",
     "", "Function<ArgumentError>", "x", "[]"},
    {"{\"errorMessage\":\"x\"}", "Function<ArgumentError>", "", "Function.Unknown", "x", ""},
    {"{\"errorMessage\":\"x\"}", "unhandled", "", "Function.Unknown", "x", ""},
    {"{\"errorMessage\":\"x\"}", "Function.MyError", "", "Function.MyError", "x", ""},
    {"{\"errorMessage\":\"x\"}", "Runtime.Bad", "", "Runtime.Bad", "x", ""},
    {"{\"errorMessage\":\"x\"}", "Runtime.bad", "", "Function.Unknown", "x", ""},
    {"{\"errorMessage\":\"x\"}", "Runtime.B", "", "Function.Unknown", "x", ""},
    {"{\"errorMessage\":\"x\"}", "Runtime.Bad2", "", "Function.Unknown", "x", ""},
    {"{\"errorMessage\":\"x\",\"errorType\":\"two words\"}", "", "", "Function.Unknown", "x", ""},
    {"{\"errorMessage\":\"x\",\"errorType\":\"a\\r\\nb\"}", "", "", "Function.Unknown", "x", ""},
    {"{\"errorMessage\":7,\"errorType\":7,\"stackTrace\":7}", "", "", "Function.Unknown", "", ""},
    {"not json", "Function.Odd", "", "Function.Odd", "not json", ""},
    {"", "", "", "Function.Unknown", "", ""},
    {"partial", "Function.Late", "eyJlcnJvck1lc3NhZ2UiOiJsYXRlIiwiZXJyb3JUeXBlIjoiTGF0ZSJ9", "Late", "late", ""},
    {"partial", "Function.Late", "%%%", "Function.Late", "", ""},
};

static void an_error_is_read_or_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        struct runtime_api_post p = {.body = str_from(errors[i].body),
                                     .error_type = str_from(errors[i].header),
                                     .error_body = str_from(errors[i].trailer)};
        struct runtime_reply_error e;
        runtime_reply_read_error(&p, "Function", &e);
        if (strcmp(e.type, errors[i].type) != 0)
            print_error("case %zu: %s\n", i, e.type);
        assert_string_equal(e.type, errors[i].type);
        assert_true(str_is(e.message, errors[i].message));
        assert_true(str_is(buf_str(&e.trace), errors[i].trace));
        runtime_reply_error_fini(&e);
    }
}

static void an_unknown_error_of_the_initialisation_is_the_runtimes(void **state)
{
    (void)state;
    struct runtime_api_post p = {.body = STR_LITERAL("{}")};
    struct runtime_reply_error e;
    runtime_reply_read_error(&p, "Runtime", &e);
    assert_string_equal(e.type, "Runtime.Unknown");
    runtime_reply_error_fini(&e);
}

static void an_error_too_long_to_look_into_is_cut(void **state)
{
    (void)state;
    static char body[RUNTIME_REPLY_ERROR_MAX + 1];
    memset(body, ' ', sizeof(body));
    memcpy(body, "{}", 2);
    struct runtime_api_post p = {.body = {body, sizeof(body)}};
    struct runtime_reply_error e;
    runtime_reply_read_error(&p, "Function", &e);
    assert_int_equal(e.message.n, 1024);
    runtime_reply_error_fini(&e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_response_becomes_a_reply_or_is_refused),
        cmocka_unit_test(a_prelude_has_limits),
        cmocka_unit_test(an_error_is_read_or_named),
        cmocka_unit_test(an_unknown_error_of_the_initialisation_is_the_runtimes),
        cmocka_unit_test(an_error_too_long_to_look_into_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
