/* SPDX-License-Identifier: Apache-2.0 */
/* Chunked bodies, responses, and the questions about single fields. Input is cut at every byte and ends at a guard page. */
#include "codec/http1.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

enum { ROOM = 1 << 16 };

static char *guard;

static int map_guard_page(void **state)
{
    (void)state;
    char *room = mmap(NULL, ROOM + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (room == MAP_FAILED || mprotect(room + ROOM, 4096, PROT_NONE))
        return -1;
    guard = room + ROOM;
    return 0;
}

#define IN(text)                                                                                                       \
    {                                                                                                                  \
        .p = text, .n = sizeof(text) - 1                                                                               \
    }

struct decoded {
    enum http1_outcome outcome;
    struct http1_refusal no;
    size_t used;
    size_t len;
    char body[4096];
};

/* Gives the decoder `step` bytes at a time; `first` bytes in the first piece. */
static void decode(struct str in, size_t first, size_t step, struct decoded *d)
{
    struct http1_chunked c = {0};
    *d = (struct decoded){.outcome = HTTP1_NEED_MORE};
    for (size_t n = first; d->outcome == HTTP1_NEED_MORE && d->used < in.n; n = step) {
        if (n > in.n - d->used)
            n = in.n - d->used;
        struct str piece = {.p = memcpy(guard - n, in.p + d->used, n), .n = n};
        while (piece.n && d->outcome == HTTP1_NEED_MORE) {
            size_t used;
            struct str data;
            d->outcome = http1_decode_chunked(&c, piece, &used, &data, &d->no);
            if (d->outcome == HTTP1_BAD)
                return;
            assert_true(used > 0);
            assert_true(d->len + data.n <= sizeof(d->body));
            memcpy(d->body + d->len, data.p, data.n);
            d->len += data.n;
            d->used += used;
            piece = str_skip(piece, used);
        }
    }
}

static const struct {
    struct str in;
    int status; /* 0 whole, -1 incomplete, else refused */
    const char *body;
} chunked_cases[] = {
    {IN("5\r\nhello\r\n0\r\n\r\n"), 0, "hello"},
    {IN("0\r\n\r\n"), 0, ""},
    {IN("000\r\n\r\n"), 0, ""},
    {IN("A\r\n0123456789\r\na\r\nabcdefghij\r\n0\r\n\r\n"), 0, "0123456789abcdefghij"},
    {IN("0000000000000001\r\nx\r\n0\r\n\r\n"), 0, "x"},
    {IN("1;a=b;c=\"d e\";f\r\nx\r\n0;g\r\n\r\n"), 0, "x"},
    {IN("2\r\n\r\n\r\n0\r\n\r\n"), 0, "\r\n"},
    {IN("1\r\nx\r\n0\r\nHost: evil\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\nAuthorization: x\r\n\r\n"), 0,
     "x"},
    {IN("5\r\nhel"), -1, "hel"},
    {IN("5\r\nhello\r\n0\r\n\r"), -1, "hello"},
    {IN("1\r\nx\r\n0\r\nA: b\r\n"), -1, "x"},
    {IN("\r\n"), 400, NULL},
    {IN("0x5\r\nhello\r\n0\r\n\r\n"), 400, NULL},
    {IN("+5\r\nhello\r\n"), 400, NULL},
    {IN("-1\r\nx\r\n"), 400, NULL},
    {IN("1_0\r\n"), 400, NULL},
    {IN(" 5\r\nhello\r\n"), 400, NULL},
    {IN("5 \r\nhello\r\n"), 400, NULL},
    {IN("5 ;a\r\nhello\r\n"), 400, NULL},
    {IN("5\t\r\nhello\r\n"), 400, NULL},
    {IN("g\r\n"), 400, NULL},
    {IN("00000000000000001\r\nx\r\n"), 400, NULL},
    {IN("10000000000000000\r\n"), 400, NULL},
    {IN("8000000000000000\r\n"), 400, NULL},
    {IN("FFFFFFFFFFFFFFFF\r\n"), 400, NULL},
    {IN("7fffffffffffffff\r\nx"), -1, "x"},
    {IN("5\nhello\r\n"), 400, NULL},
    {IN("5\rhello\r\n"), 400, NULL},
    {IN("5;\r\nhello\r\n"), 400, NULL},
    {IN("5;=b\r\nhello\r\n"), 400, NULL},
    {IN("5;a\nhello\r\n"), 400, NULL},
    {IN("5;a\rb\r\nhello\r\n"), 400, NULL},
    {IN("5;a=\x01\r\nhello\r\n"), 400, NULL},
    {IN("5;a=\x80\r\nhello\r\n"), 400, NULL},
    {IN("5\r\nhello0\r\n\r\n"), 400, NULL},
    {IN("5\r\nhello\n0\r\n\r\n"), 400, NULL},
    {IN("5\r\nhello\r0\r\n\r\n"), 400, NULL},
    {IN("3\r\nhello\r\n0\r\n\r\n"), 400, NULL},
    {IN("0\r\n\n"), 400, NULL},
    {IN("0\r\n\rx"), 400, NULL},
    {IN("0\r\nA\r\n\r\n"), 400, NULL},
    {IN("0\r\nA : b\r\n\r\n"), 400, NULL},
    {IN("0\r\n: b\r\n\r\n"), 400, NULL},
    {IN("0\r\n a: b\r\n\r\n"), 400, NULL},
    {IN("0\r\nA: b\n\r\n"), 400, NULL},
    {IN("0\r\nA: \x00\r\n\r\n"), 400, NULL},
    {IN("0\r\nA: b\r\n c\r\n\r\n"), 400, NULL},
};

static void check_decoded(size_t i, const struct decoded *d)
{
    int status = d->outcome == HTTP1_DONE ? 0 : d->outcome == HTTP1_NEED_MORE ? -1 : d->no.status;
    if (status != chunked_cases[i].status)
        print_error("case %zu\n", i);
    assert_int_equal(status, chunked_cases[i].status);
    if (!chunked_cases[i].body)
        return;
    assert_int_equal(d->len, strlen(chunked_cases[i].body));
    assert_memory_equal(d->body, chunked_cases[i].body, d->len);
    assert_int_equal(d->used, chunked_cases[i].in.n);
}

static void a_chunked_body_is_the_same_however_it_is_cut(void **state)
{
    (void)state;
    struct decoded d;
    for (size_t i = 0; i < sizeof(chunked_cases) / sizeof(chunked_cases[0]); i++) {
        struct str in = chunked_cases[i].in;
        for (size_t cut = 1; cut <= in.n; cut++) {
            decode(in, cut, in.n, &d);
            check_decoded(i, &d);
        }
        decode(in, 1, 1, &d);
        check_decoded(i, &d);
    }
}

static void bytes_behind_a_chunked_body_are_left_alone(void **state)
{
    (void)state;
    struct decoded d;
    struct str in = IN("1\r\nx\r\n0\r\n\r\nGET / HTTP/1.1\r\n");
    decode(in, in.n, in.n, &d);
    assert_int_equal(d.outcome, HTTP1_DONE);
    assert_int_equal(d.used, 11);
}

static const struct {
    struct str in;
    unsigned count; /* of trailers; 99: too many of them */
    const char *names[3], *values[3];
} trailer_cases[] = {
    {IN("0\r\n\r\n"), 0, {0}, {0}},
    {IN("1\r\nx\r\n0\r\nError-Type: Function.Bad\r\n\r\n"), 1, {"Error-Type"}, {"Function.Bad"}},
    {IN("1\r\nx\r\n0\r\nA:\r\nb:  c d \r\n\r\nGET"), 2, {"A", "b"}, {"", "c d"}},
    {IN("0\r\na: 1\r\nb: 2\r\nc: 3\r\n\r\n"), 3, {"a", "b", "c"}, {"1", "2", "3"}},
    {IN("0\r\na: 1\r\nb: 2\r\nc: 3\r\nd: 4\r\n\r\n"), 99, {0}, {0}},
};

/* Collects the runs of trailer lines, `step` bytes of input at a time. */
static size_t collect_trailers(struct str in, size_t first, size_t step, char out[256])
{
    struct http1_chunked c = {0};
    struct http1_refusal no;
    size_t n = 0;
    enum http1_outcome o = HTTP1_NEED_MORE;
    for (size_t take = first; o == HTTP1_NEED_MORE && in.n; take = step) {
        size_t used;
        struct str data;
        struct str trailers;
        if (take > in.n)
            take = in.n;
        memcpy(guard - take, in.p, take);
        o = http1_decode_chunked_trailers(&c, (struct str){guard - take, take}, &used, &data, &trailers, &no);
        assert_int_not_equal(o, HTTP1_BAD);
        memcpy(out + n, trailers.p, trailers.n);
        n += trailers.n;
        in = str_skip(in, used);
    }
    assert_int_equal(o, HTTP1_DONE);
    return n;
}

static void check_trailers(size_t i, size_t first, size_t step)
{
    char lines[256];
    struct http1_field fields[3];
    unsigned count;
    size_t n = collect_trailers(trailer_cases[i].in, first, step, lines);
    struct str section = {.p = memcpy(guard - n, lines, n), .n = n};
    bool ok = http1_parse_trailers(section, fields, 3, &count);
    assert_int_equal(ok, trailer_cases[i].count != 99);
    if (!ok)
        return;
    assert_int_equal(count, trailer_cases[i].count);
    for (unsigned k = 0; k < count; k++) {
        assert_true(str_is(fields[k].name, trailer_cases[i].names[k]));
        assert_true(str_is(fields[k].value, trailer_cases[i].values[k]));
    }
}

static void trailers_are_handed_on_however_they_are_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(trailer_cases) / sizeof(trailer_cases[0]); i++) {
        for (size_t cut = 1; cut <= trailer_cases[i].in.n; cut++)
            check_trailers(i, cut, 256);
        check_trailers(i, 1, 1);
    }
}

static void a_caller_may_allow_long_trailers(void **state)
{
    (void)state;
    static char text[60000];
    struct http1_chunked c = {.trailer_bytes_max = 50000};
    struct http1_refusal no;
    size_t used;
    struct str data;
    struct str trailers;
    memcpy(text, "0\r\na:", 5);
    memset(text + 5, 'b', sizeof(text) - 5);
    struct str in = {text, 40000};
    assert_int_equal(http1_decode_chunked_trailers(&c, in, &used, &data, &trailers, &no), HTTP1_NEED_MORE);
    assert_int_equal(trailers.n, 40000 - 3);
    assert_int_equal(used, 40000);
    in = (struct str){text + 40000, 20000};
    assert_int_equal(http1_decode_chunked_trailers(&c, in, &used, &data, &trailers, &no), HTTP1_BAD);
    assert_int_equal(no.status, 431);
}

static void refuse_flood(const char *start, size_t flood, int wanted_status)
{
    static char text[ROOM];
    struct decoded d;
    size_t n = strlen(start);
    memcpy(text, start, n);
    memset(text + n, 'a', flood);
    decode((struct str){.p = text, .n = n + flood}, n + flood, 1, &d);
    assert_int_equal(d.outcome, HTTP1_BAD);
    assert_int_equal(d.no.status, wanted_status);
}

static void extensions_and_trailers_are_limited(void **state)
{
    (void)state;
    refuse_flood("5;", 2000, 400);
    refuse_flood("0\r\n", 20000, 431);
    refuse_flood("0\r\na:", 20000, 431);
}

static const struct http1_limits limits = {.head_bytes = 4096, .fields = 16};

static enum http1_outcome read_response(struct str in, size_t cut, bool head, struct http1_response *r,
                                        size_t *head_len)
{
    struct http1_progress p = {0};
    const char *data = memcpy(guard - cut, in.p, cut);
    enum http1_outcome o = http1_parse_response(r, &p, data, cut, head, &limits, head_len);
    if (o != HTTP1_NEED_MORE)
        return o;
    memset(guard - cut, 0xee, cut);
    memset(r, 0xaa, sizeof(*r));
    data = memcpy(guard - in.n, in.p, in.n);
    return http1_parse_response(r, &p, data, in.n, head, &limits, head_len);
}

static void a_response_tells_how_its_body_ends(void **state)
{
    (void)state;
    static const struct {
        struct str in;
        bool head;
        enum http1_body body;
        bool keep;
    } cases[] = {
        {IN("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"), false, HTTP1_BODY_LENGTH, true},
        {IN("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"), true, HTTP1_BODY_NONE, true},
        {IN("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), false, HTTP1_BODY_NONE, true},
        {IN("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"), false, HTTP1_BODY_CHUNKED, true},
        {IN("HTTP/1.1 200 \r\n\r\n"), false, HTTP1_BODY_UNTIL_CLOSE, false},
        {IN("HTTP/1.0 404 Not Found\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\n"), false, HTTP1_BODY_LENGTH,
         true},
        {IN("HTTP/1.1 204 No Content\r\n\r\n"), false, HTTP1_BODY_NONE, true},
        {IN("HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n"), false, HTTP1_BODY_NONE, true},
        {IN("HTTP/1.1 100 Continue\r\n\r\n"), false, HTTP1_BODY_NONE, true},
        {IN("HTTP/1.1 503 Busy\r\nConnection: close\r\nContent-Length: 2\r\n\r\n"), false, HTTP1_BODY_LENGTH, false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (size_t cut = 0; cut <= cases[i].in.n; cut++) {
            struct http1_response r;
            size_t head_len = 0;
            assert_int_equal(read_response(cases[i].in, cut, cases[i].head, &r, &head_len), HTTP1_DONE);
            assert_int_equal(head_len, cases[i].in.n);
            assert_int_equal(r.status, (unsigned)atoi(cases[i].in.p + 9));
            assert_int_equal(r.body, cases[i].body);
            assert_int_equal(r.keep_alive, cases[i].keep);
        }
    }
}

static void a_malformed_response_is_refused(void **state)
{
    (void)state;
    static const struct str cases[] = {
        IN("HTTP/2 200\r\n\r\n"),
        IN("HTTP/1.1 2000\r\n\r\n"),
        IN("HTTP/1.1 099 X\r\n\r\n"),
        IN("HTTP/1.1 200\r\n\r\n"),
        IN("HTTP/1.1 600 X\r\n\r\n"),
        IN("HTTP/1.1  200 X\r\n\r\n"),
        IN("HTTP/1.1 200 X\n\n"),
        IN("HTTP/1.1 200 \x01\r\n\r\n"),
        IN("HTTP/1.1 200 X\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"),
        IN("HTTP/1.1 200 X\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n"),
        IN("HTTP/1.1 200 X\r\n A: b\r\n\r\n"),
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        for (size_t cut = 0; cut <= cases[i].n; cut++) {
            struct http1_response r;
            size_t head_len;
            assert_int_equal(read_response(cases[i], cut, false, &r, &head_len), HTTP1_BAD);
        }
    }
}

static void a_functions_header_must_be_clean(void **state)
{
    (void)state;
    assert_true(http1_field_is_valid(str_from("X-A"), str_from("b c\td")));
    assert_true(http1_field_is_valid(str_from("X-A"), str_from("")));
    assert_false(http1_field_is_valid(str_from(""), str_from("b")));
    assert_false(http1_field_is_valid(str_from("X A"), str_from("b")));
    assert_false(http1_field_is_valid(str_from("X:"), str_from("b")));
    assert_false(http1_field_is_valid(str_from("X\r\nY"), str_from("b")));
    assert_false(http1_field_is_valid(str_from("X"), str_from("b\r\nSet-Cookie: c")));
    assert_false(http1_field_is_valid(str_from("X"), str_from("b\nc")));
    assert_false(http1_field_is_valid(str_from("X"), (struct str)IN("b\0c")));
}

static void framing_headers_are_known_in_any_case(void **state)
{
    (void)state;
    static const char *const framing[] = {"Connection",     "KEEP-ALIVE",         "te",
                                          "Trailer",        "Transfer-Encoding",  "upgrade",
                                          "Content-Length", "Proxy-Authenticate", "proxy-connection"};
    for (size_t i = 0; i < sizeof(framing) / sizeof(framing[0]); i++)
        assert_true(http1_field_is_framing(str_from(framing[i])));
    assert_false(http1_field_is_framing(str_from("Content-Type")));
    assert_false(http1_field_is_framing(str_from("Proxy")));
    assert_false(http1_field_is_framing(str_from("")));
}

static void escapes_are_decoded_or_refused(void **state)
{
    (void)state;
    char out[8];
    size_t n;
    assert_true(http1_percent_decode(str_from("a%2fB%C3+"), out, sizeof(out), &n));
    assert_int_equal(n, 5);
    assert_memory_equal(out, "a/B\xc3+", 5);
    assert_true(http1_percent_decode(str_from("12345678"), out, sizeof(out), &n));
    assert_false(http1_percent_decode(str_from("123456789"), out, sizeof(out), &n));
    assert_false(http1_percent_decode(str_from("%"), out, sizeof(out), &n));
    assert_false(http1_percent_decode(str_from("%4"), out, sizeof(out), &n));
    assert_false(http1_percent_decode(str_from("%4g"), out, sizeof(out), &n));
    assert_false(http1_percent_decode(str_from("%00"), out, sizeof(out), &n));
    assert_false(http1_percent_decode((struct str)IN("a\0"), out, sizeof(out), &n));
}

static void a_query_parameter_is_found_by_its_whole_name(void **state)
{
    (void)state;
    struct str value;
    struct str query = str_from("ab=1&a=2=3&c&a=4&d=");
    assert_true(http1_query_find(query, "a", &value) && str_is(value, "2=3"));
    assert_true(http1_query_find(query, "c", &value) && value.n == 0);
    assert_true(http1_query_find(query, "d", &value) && value.n == 0);
    assert_false(http1_query_find(query, "b", &value));
    assert_false(http1_query_find(str_from(""), "", &value));
}

static void values_of_a_query_are_blanked_by_name(void **state)
{
    (void)state;
    char query[] = "a=12&ba=3&a&a==&%61=4&A=5&a=6";
    http1_query_blank(query, sizeof(query) - 1, "a");
    assert_string_equal(query, "a=**&ba=3&a&a=*&%61=4&A=5&a=*");
    http1_query_blank(query, 0, "a");
    assert_string_equal(query, "a=**&ba=3&a&a=*&%61=4&A=5&a=*");
}

static void reasons_are_those_of_the_registry(void **state)
{
    (void)state;
    assert_string_equal(http1_reason(200), "OK");
    assert_string_equal(http1_reason(431), "Request Header Fields Too Large");
    assert_string_equal(http1_reason(299), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_chunked_body_is_the_same_however_it_is_cut),
        cmocka_unit_test(bytes_behind_a_chunked_body_are_left_alone),
        cmocka_unit_test(extensions_and_trailers_are_limited),
        cmocka_unit_test(trailers_are_handed_on_however_they_are_cut),
        cmocka_unit_test(a_caller_may_allow_long_trailers),
        cmocka_unit_test(a_response_tells_how_its_body_ends),
        cmocka_unit_test(a_malformed_response_is_refused),
        cmocka_unit_test(a_functions_header_must_be_clean),
        cmocka_unit_test(framing_headers_are_known_in_any_case),
        cmocka_unit_test(escapes_are_decoded_or_refused),
        cmocka_unit_test(a_query_parameter_is_found_by_its_whole_name),
        cmocka_unit_test(values_of_a_query_are_blanked_by_name),
        cmocka_unit_test(reasons_are_those_of_the_registry),
    };
    return cmocka_run_group_tests(tests, map_guard_page, NULL);
}
