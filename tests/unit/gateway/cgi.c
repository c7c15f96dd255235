/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/cgi.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static char buffer[4096];

static const char *parse(const char *text, struct cgi_reply *r)
{
    return cgi_parse_reply(str_from(text), buffer, sizeof(buffer), r);
}

static void a_document_has_status_200(void **state)
{
    (void)state;
    struct cgi_reply r;
    assert_null(parse("Content-Type: text/plain\n\nhello\n", &r));
    assert_int_equal(r.status, 200);
    assert_true(str_is(r.fields, "Content-Type: text/plain\r\n"));
    assert_true(str_is(r.body, "hello\n"));
}

static void crlf_lines_and_status_are_read(void **state)
{
    (void)state;
    struct cgi_reply r;
    assert_null(parse("Status: 404 Not Found\r\nContent-Type: text/html\r\n\r\n<p>", &r));
    assert_int_equal(r.status, 404);
    assert_true(str_is(r.body, "<p>"));
}

static void a_location_alone_redirects(void **state)
{
    (void)state;
    struct cgi_reply r;
    assert_null(parse("Location: https://example.com/\n\n", &r));
    assert_int_equal(r.status, 302);
    assert_null(parse("Status: 201 Created\nLocation: /things/1\n\n", &r));
    assert_int_equal(r.status, 201);
}

static void framing_fields_and_ours_are_dropped(void **state)
{
    (void)state;
    struct cgi_reply r;
    assert_null(parse("Content-Type: a/b\nContent-Length: 99\nTransfer-Encoding: chunked\nConnection: "
                      "close\nX-Faasd-Error: Fake\nX-Request-Id: 1\nX-Mine: 2\n\n",
                      &r));
    assert_true(str_is(r.fields, "Content-Type: a/b\r\nX-Mine: 2\r\n"));
}

static void what_is_no_cgi_reply_is_refused_with_the_reason(void **state)
{
    (void)state;
    static const char *const BAD[] = {
        "",
        "\nbody without a header",
        "hello world\n\n",
        "Content-Type: text/plain\n",
        "Status: 99\n\n",
        "Status: 600 Odd\n\n",
        "Status: abc\n\n",
        "Bad Name: x\n\n",
        "X-Split: a\rSet-Cookie: b\n\n",
        ": no name\n\n",
    };
    for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
        struct cgi_reply r;
        assert_non_null(parse(BAD[i], &r));
    }
}

static void fields_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    static char text[8192];
    struct cgi_reply r;
    memset(text, 'a', sizeof(text) - 1);
    memcpy(text, "X-Long: ", 8);
    memcpy(text + sizeof(text) - 3, "\n\n", 3);
    assert_non_null(parse(text, &r));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_document_has_status_200),
        cmocka_unit_test(crlf_lines_and_status_are_read),
        cmocka_unit_test(a_location_alone_redirects),
        cmocka_unit_test(framing_fields_and_ours_are_dropped),
        cmocka_unit_test(what_is_no_cgi_reply_is_refused_with_the_reason),
        cmocka_unit_test(fields_that_do_not_fit_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
