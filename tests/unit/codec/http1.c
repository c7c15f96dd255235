/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The strict HTTP/1.1 codec. Every case is parsed whole, cut in two at every byte, and byte by byte; each piece of input ends at a page
 * that may not be touched and moves between the calls.
 */
#include "codec/http1.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

enum { ROOM = 1 << 20 };

static char *guard; /* the first byte that must not be read */

static int map_guard_page(void **state)
{
    (void)state;
    char *room = mmap(NULL, ROOM + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (room == MAP_FAILED || mprotect(room + ROOM, 4096, PROT_NONE))
        return -1;
    guard = room + ROOM;
    return 0;
}

static const char *place(const char *bytes, size_t n)
{
    memset(guard - n - 512, 0xee, n + 512); /* what an earlier piece left is gone */
    return n ? memcpy(guard - n, bytes, n) : guard;
}

static const struct http1_limits usual = {.head_bytes = 65536, .fields = 128};

struct parsed {
    enum http1_outcome outcome;
    struct http1_request r;
    struct http1_refusal no;
    size_t head_len;
};

/* Feeds [0, cuts[0]), then [0, cuts[1]) and so on, with a request object of its own each time. */
static struct parsed parse_in_steps(struct str in, const size_t *cuts, size_t count, const struct http1_limits *limits)
{
    struct http1_progress p = {0};
    struct parsed out = {.outcome = HTTP1_NEED_MORE};
    for (size_t i = 0; i < count && out.outcome == HTTP1_NEED_MORE; i++) {
        memset(&out.r, 0xaa, sizeof(out.r));
        const char *data = place(in.p, cuts[i]);
        out.outcome = http1_parse_request(&out.r, &p, data, cuts[i], limits, &out.head_len, &out.no);
    }
    return out;
}

static struct parsed parse_limited(struct str in, const struct http1_limits *limits)
{
    return parse_in_steps(in, &in.n, 1, limits);
}

static struct parsed parse(struct str in)
{
    return parse_limited(in, &usual);
}

static void assert_same(const struct parsed *a, const struct parsed *b)
{
    assert_int_equal(a->outcome, b->outcome);
    if (a->outcome == HTTP1_BAD) {
        assert_int_equal(a->no.status, b->no.status);
        assert_string_equal(a->no.reason, b->no.reason);
    }
    if (a->outcome != HTTP1_DONE)
        return;
    assert_int_equal(a->head_len, b->head_len);
    assert_int_equal(a->r.method.n, b->r.method.n);
    assert_int_equal(a->r.target.n, b->r.target.n);
    assert_int_equal(a->r.path.n, b->r.path.n);
    assert_int_equal(a->r.query.n, b->r.query.n);
    assert_int_equal(a->r.host.n, b->r.host.n);
    assert_int_equal(a->r.minor, b->r.minor);
    assert_int_equal(a->r.keep_alive, b->r.keep_alive);
    assert_int_equal(a->r.expect_continue, b->r.expect_continue);
    assert_int_equal(a->r.body, b->r.body);
    assert_int_equal(a->r.content_length, b->r.content_length);
    assert_int_equal(a->r.field_count, b->r.field_count);
    for (unsigned i = 0; i < a->r.field_count; i++) {
        assert_int_equal(a->r.fields[i].name.n, b->r.fields[i].name.n);
        assert_int_equal(a->r.fields[i].value.n, b->r.fields[i].value.n);
    }
}

static void assert_split_anywhere_is_the_same(struct str in, const struct http1_limits *limits)
{
    struct parsed whole = parse_limited(in, limits);
    for (size_t cut = 0; cut <= in.n; cut++) {
        struct parsed halves = parse_in_steps(in, (size_t[]){cut, in.n}, 2, limits);
        assert_same(&whole, &halves);
    }
    size_t *each = malloc((in.n + 1) * sizeof(*each));
    assert_non_null(each);
    for (size_t i = 0; i <= in.n; i++)
        each[i] = i;
    struct parsed bytes = parse_in_steps(in, each, in.n + 1, limits);
    free(each);
    assert_same(&whole, &bytes);
}

#define GET  "GET / HTTP/1.1\r\n"
#define HOST "Host: h\r\n"
#define END  "\r\n"
#define IN(text)                                                                                                       \
    {                                                                                                                  \
        .p = text, .n = sizeof(text) - 1                                                                               \
    }

struct request_case {
    struct str in;
    int status; /* 0: accepted whole; -1: incomplete; otherwise the refusal */
};

static const struct request_case request_cases[] = {
    /* request line */
    {IN(GET HOST END), 0},
    {IN("\r\n" GET HOST END), 0},
    {IN("\r\n\r\n" GET HOST END), 400},
    {IN("\n" GET HOST END), 400},
    {IN("\rGET / HTTP/1.1\r\n" HOST END), 400},
    {IN(" GET / HTTP/1.1\r\n" HOST END), 400},
    {IN("GET  / HTTP/1.1\r\n" HOST END), 400},
    {IN("GET /  HTTP/1.1\r\n" HOST END), 400},
    {IN("GET / HTTP/1.1 \r\n" HOST END), 400},
    {IN("GET\t/ HTTP/1.1\r\n" HOST END), 400},
    {IN("GET /\tHTTP/1.1\r\n" HOST END), 400},
    {IN("GET /\r\n" HOST END), 400},
    {IN("GET / \r\n" HOST END), 400},
    {IN("GET HTTP/1.1\r\n" HOST END), 400},
    {IN("GET\r\n" HOST END), 400},
    {IN("GET / HTTP/1.1\n" HOST END), 400},
    {IN("GET / HTTP/1.1\rHost: h\r\n" END), 400},
    {IN("GET / HTTP/1.10\r\n" HOST END), 400},
    {IN("GET / HTTP/1.2\r\n" HOST END), 505},
    {IN("GET / HTTP/2.0\r\n" HOST END), 505},
    {IN("GET / HTTP/0.9\r\n" HOST END), 505},
    {IN("GET / HTTP/1.\r\n" HOST END), 400},
    {IN("GET / HTTP/1\r\n" HOST END), 400},
    {IN("GET / HTTP1.1\r\n" HOST END), 400},
    {IN("GET / http/1.1\r\n" HOST END), 400},
    {IN("GET / HTTP/+1.1\r\n" HOST END), 400},
    {IN("GET / HTTP/1,1\r\n" HOST END), 400},
    {IN("GET / FTP/1.1\r\n" HOST END), 400},
    {IN("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 400},
    {IN("PRI / HTTP/2.0\r\n" HOST END), 505},
    {IN("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"), 400},
    {IN("G@T / HTTP/1.1\r\n" HOST END), 400},
    {IN("GE\0T / HTTP/1.1\r\n" HOST END), 400},
    {IN("(GET) / HTTP/1.1\r\n" HOST END), 400},
    {IN("g!#$%&'*+-.^_`|~9 / HTTP/1.1\r\n" HOST END), 0},
    {IN("AAAAAAAAAAAAAAAABBBBBBBBBBBBBBBB / HTTP/1.1\r\n" HOST END), 0},
    {IN("AAAAAAAAAAAAAAAABBBBBBBBBBBBBBBBC / HTTP/1.1\r\n" HOST END), 501},
    {IN("CONNECT h:443 HTTP/1.1\r\n" HOST END), 501},
    {IN("CONNECT / HTTP/1.1\r\n" HOST END), 501},
    {IN("TRACE / HTTP/1.1\r\n" HOST END), 501},
    {IN("connect / HTTP/1.1\r\n" HOST END), 0},
    /* target */
    {IN("GET /a/b;c=d,e/~f-g_h.i!$&'()*+:@?q=/?&x=%20 HTTP/1.1\r\n" HOST END), 0},
    {IN("GET /?ids[]=1&f={a|b}^`\\ HTTP/1.1\r\n" HOST END), 0},
    {IN("GET /a[1] HTTP/1.1\r\n" HOST END), 400},
    {IN("GET /a\\b HTTP/1.1\r\n" HOST END), 400},
    {IN("GET /a|b?c HTTP/1.1\r\n" HOST END), 400},
    {IN("GET /a#b HTTP/1.1\r\n" HOST END), 400},
    {IN("GET /?a#b HTTP/1.1\r\n" HOST END), 400},
    {IN("GET /a\"b HTTP/1.1\r\n" HOST END), 400},
    {IN("GET /?a<b> HTTP/1.1\r\n" HOST END), 400},
    {IN("GET /\xc3\xa4 HTTP/1.1\r\n" HOST END), 400},
    {IN("GET /?\xff HTTP/1.1\r\n" HOST END), 400},
    {IN("GET /a\0b HTTP/1.1\r\n" HOST END), 400},
    {IN("GET /a\x01 HTTP/1.1\r\n" HOST END), 400},
    {IN("GET /a\x7f HTTP/1.1\r\n" HOST END), 400},
    {IN("GET /%00 HTTP/1.1\r\n" HOST END), 400},
    {IN("GET /?a=%00 HTTP/1.1\r\n" HOST END), 400},
    {IN("GET /%0 HTTP/1.1\r\n" HOST END), 400},
    {IN("GET /% HTTP/1.1\r\n" HOST END), 400},
    {IN("GET /%zz HTTP/1.1\r\n" HOST END), 400},
    {IN("GET /%2 0 HTTP/1.1\r\n" HOST END), 400},
    {IN("GET /%2e%2E/%c0%af//..;/%0d%0a HTTP/1.1\r\n" HOST END), 0},
    {IN("GET a HTTP/1.1\r\n" HOST END), 400},
    {IN("GET ?a HTTP/1.1\r\n" HOST END), 400},
    {IN("GET h:80 HTTP/1.1\r\n" HOST END), 400},
    {IN("GET * HTTP/1.1\r\n" HOST END), 400},
    {IN("OPTIONS * HTTP/1.1\r\n" HOST END), 0},
    {IN("OPTIONS *? HTTP/1.1\r\n" HOST END), 400},
    {IN("GET http://h/a?b HTTP/1.1\r\n" HOST END), 0},
    {IN("GET HTTP://H HTTP/1.1\r\n" HOST END), 0},
    {IN("GET http://h?b HTTP/1.1\r\n" HOST END), 0},
    {IN("GET http://[::1]:80/ HTTP/1.1\r\nHost: [::1]:80\r\n" END), 0},
    {IN("GET http://h/a[ HTTP/1.1\r\n" HOST END), 400},
    {IN("GET http://g/ HTTP/1.1\r\n" HOST END), 400},
    {IN("GET http://h:80/ HTTP/1.1\r\n" HOST END), 400},
    {IN("GET http:///a HTTP/1.1\r\n" HOST END), 400},
    {IN("GET http:// HTTP/1.1\r\n" HOST END), 400},
    {IN("GET http://u@h/ HTTP/1.1\r\n" HOST END), 400},
    {IN("GET http://h/ HTTP/1.1\r\n" END), 400},
    {IN("GET http://h/ HTTP/1.0\r\n" END), 0},
    {IN("GET https://h/ HTTP/1.1\r\n" HOST END), 400},
    {IN("GET file:///etc/passwd HTTP/1.1\r\n" HOST END), 400},
    /* Host */
    {IN(GET END), 400},
    {IN("GET / HTTP/1.0\r\n" END), 0},
    {IN("GET / HTTP/1.0\r\n" HOST HOST END), 400},
    {IN("GET / HTTP/1.0\r\nHost: a b\r\n" END), 400},
    {IN(GET HOST HOST END), 400},
    {IN(GET HOST "hOST: h\r\n" END), 400},
    {IN(GET "Host:\r\n" END), 400},
    {IN(GET "Host: u@h\r\n" END), 400},
    {IN(GET "Host: h/p\r\n" END), 400},
    {IN(GET "Host: h, g\r\n" END), 400},
    {IN(GET "Host: h:\r\n" END), 400},
    {IN(GET "Host: h:x\r\n" END), 400},
    {IN(GET "Host: h:65536\r\n" END), 400},
    {IN(GET "Host: h:+80\r\n" END), 400},
    {IN(GET "Host: h:8:0\r\n" END), 400},
    {IN(GET "Host: :80\r\n" END), 400},
    {IN(GET "Host: h\xe4\r\n" END), 400},
    {IN(GET "Host: h%41\r\n" END), 400},
    {IN(GET "Host: [::1\r\n" END), 400},
    {IN(GET "Host: [::1]x\r\n" END), 400},
    {IN(GET "Host: [1]\r\n" END), 400},
    {IN(GET "Host: []\r\n" END), 400},
    {IN(GET "Host: [fe80::1%25eth0]\r\n" END), 400},
    {IN(GET "Host: [2001:db8::1]:8080\r\n" END), 0},
    {IN(GET "Host: my_service-1.example.:65535\r\n" END), 0},
    {IN(GET "Host:\t 127.0.0.1:80 \t\r\n" END), 0},
    /* fields */
    {IN(GET HOST "A:b\r\nB:\r\nC: \t \r\n" END), 0},
    {IN(GET HOST "A: \"x\" ; y=\xc3\xa4\t!\r\n" END), 0},
    {IN(GET HOST "A: b\n" END), 400},
    {IN(GET HOST "A: b\r" END), 400},
    {IN(GET HOST "A: b\rc\r\n" END), 400},
    {IN(GET HOST "A: b\0c\r\n" END), 400},
    {IN(GET HOST "A: b\x1b[2J\r\n" END), 400},
    {IN(GET HOST "A: b\x7f\r\n" END), 400},
    {IN(GET HOST "A: b\r\n c\r\n" END), 400},
    {IN(GET HOST "A: b\r\n\tc\r\n" END), 400},
    {IN(GET " Host: h\r\n" END), 400},
    {IN(GET HOST "A : b\r\n" END), 400},
    {IN(GET HOST "A\t: b\r\n" END), 400},
    {IN(GET HOST ": b\r\n" END), 400},
    {IN(GET HOST "A\r\n" END), 400},
    {IN(GET HOST "A\n" END), 400},
    {IN(GET HOST "A b: c\r\n" END), 400},
    {IN(GET HOST "A\xe4: b\r\n" END), 400},
    {IN(GET HOST "\xe4: b\r\n" END), 400},
    {IN(GET HOST "A(b): c\r\n" END), 400},
    {IN(GET HOST "A\0: c\r\n" END), 400},
    {IN(GET HOST "\x0b: c\r\n" END), 400},
    {IN(GET HOST "\n"), 400},
    {IN(GET HOST "\r\r\n"), 400},
    {IN(GET HOST "\r"), -1},
    {IN(GET HOST), -1},
    {IN("G"), -1},
    {IN(""), -1},
    /* Content-Length and Transfer-Encoding */
    {IN(GET HOST "Content-Length: 0\r\n" END), 0},
    {IN(GET HOST "Content-Length: 18446744073709551615\r\n" END), 0},
    {IN(GET HOST "Content-Length: 18446744073709551616\r\n" END), 400},
    {IN(GET HOST "Content-Length: 5\r\nContent-Length: 5\r\n" END), 400},
    {IN(GET HOST "Content-Length: 5\r\nContent-Length: 6\r\n" END), 400},
    {IN(GET HOST "Content-Length: 5, 5\r\n" END), 400},
    {IN(GET HOST "Content-Length: +5\r\n" END), 400},
    {IN(GET HOST "Content-Length: -0\r\n" END), 400},
    {IN(GET HOST "Content-Length: 0x5\r\n" END), 400},
    {IN(GET HOST "Content-Length: 5_0\r\n" END), 400},
    {IN(GET HOST "Content-Length: 5 5\r\n" END), 400},
    {IN(GET HOST "Content-Length: 05\r\n" END), 400},
    {IN(GET HOST "Content-Length: 00\r\n" END), 400},
    {IN(GET HOST "Content-Length:\r\n" END), 400},
    {IN(GET HOST "Content-Length: \xb2\r\n" END), 400},
    {IN(GET HOST "Content-Length: 5;\r\n" END), 400},
    {IN(GET HOST "Transfer-Encoding: chunked\r\n" END), 0},
    {IN(GET HOST "transfer-encoding:  Chunked \r\n" END), 0},
    {IN(GET HOST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n" END), 400},
    {IN(GET HOST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n" END), 400},
    {IN(GET HOST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n" END), 400},
    {IN(GET HOST "Transfer-Encoding: chunked, chunked\r\n" END), 400},
    {IN(GET HOST "Transfer-Encoding: chunked, identity\r\n" END), 400},
    {IN(GET HOST "Transfer-Encoding: identity, gzip\r\n" END), 400},
    {IN(GET HOST "Transfer-Encoding: gzip, chunked\r\n" END), 501},
    {IN(GET HOST "Transfer-Encoding: gzip\r\n" END), 501},
    {IN(GET HOST "Transfer-Encoding: identity\r\n" END), 501},
    {IN(GET HOST "Transfer-Encoding: xchunked\r\n" END), 501},
    {IN(GET HOST "Transfer-Encoding: ,chunked\r\n" END), 400},
    {IN(GET HOST "Transfer-Encoding: chunked,\r\n" END), 400},
    {IN(GET HOST "Transfer-Encoding: chunked;q=1\r\n" END), 400},
    {IN(GET HOST "Transfer-Encoding: \"chunked\"\r\n" END), 400},
    {IN(GET HOST "Transfer-Encoding: \x0b"
                 "chunked\r\n" END),
     400},
    {IN(GET HOST "Transfer-Encoding:\r\n" END), 400},
    {IN(GET HOST "Transfer-Encoding:\r\n chunked\r\n" END), 400},
    {IN(GET HOST "Transfer-Encoding : chunked\r\n" END), 400},
    {IN(GET HOST "Content-Length:\t5\r\n" END), 400},
    {IN(GET HOST "Content-Length: 5 \t\r\n" END), 400},
    {IN(GET HOST "Transfer-Encoding:\tchunked\r\n" END), 400},
    {IN(GET HOST "Transfer-Encoding: chunked\t\r\n" END), 400},
    {IN(GET HOST "Transfer-Encoding:  chunked  \r\n" END), 0},
    {IN("POST / HTTP/1.0\r\n" HOST "Transfer-Encoding: chunked\r\n" END), 400},
    /* Expect, Upgrade, Connection */
    {IN(GET HOST "Expect: 100-continue\r\n" END), 0},
    {IN(GET HOST "Expect: 100-Continue\r\nContent-Length: 1\r\n" END), 0},
    {IN(GET HOST "Expect: 100-continue, x\r\n" END), 417},
    {IN(GET HOST "Expect: 100-continue\r\nExpect: 100-continue\r\n" END), 417},
    {IN(GET HOST "Expect:\r\n" END), 417},
    {IN(GET HOST "Expect: 200-ok\r\n" END), 417},
    {IN(GET HOST "Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMA\r\n" END), 0},
    {IN(GET HOST "Connection: Upgrade\r\nUpgrade: websocket\r\n" END), 0},
};

/* Whoever adds to a query writes behind the path. */
static void a_query_that_is_not_there_lies_at_the_targets_end(void **state)
{
    (void)state;
    static const struct str cases[] = {IN(GET HOST END),
                                       IN("GET /a/b HTTP/1.1\r\n" HOST END),
                                       IN("GET http://h/a HTTP/1.1\r\n" HOST END),
                                       IN("GET http://h HTTP/1.1\r\n" HOST END),
                                       IN("OPTIONS * HTTP/1.1\r\n" HOST END),
                                       IN("GET /a? HTTP/1.1\r\n" HOST END)};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct parsed got = parse(cases[i]);
        assert_int_equal(got.outcome, HTTP1_DONE);
        assert_int_equal(got.r.query.n, 0);
        assert_ptr_equal(got.r.query.p, got.r.target.p + got.r.target.n);
    }
}

static void every_case_is_accepted_or_refused_as_the_table_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(request_cases) / sizeof(request_cases[0]); i++) {
        const struct request_case *c = &request_cases[i];
        struct parsed got = parse(c->in);
        int status = got.outcome == HTTP1_DONE ? 0 : got.outcome == HTTP1_NEED_MORE ? -1 : got.no.status;
        if (status != c->status)
            print_error("case %zu: %.*s\n", i, (int)c->in.n, c->in.p);
        assert_int_equal(status, c->status);
        if (got.outcome == HTTP1_DONE)
            assert_int_equal(got.head_len, c->in.n);
    }
}

static void a_split_anywhere_gives_the_same_result(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(request_cases) / sizeof(request_cases[0]); i++)
        assert_split_anywhere_is_the_same(request_cases[i].in, &usual);
}

/* The byte that spoils a head is refused when it has come, not when the head is over. */
static void a_spoiled_head_is_refused_at_once(void **state)
{
    (void)state;
    static const struct str spoiled[] = {
        IN("\n"),
        IN("GET\t"),
        IN("GET /#"),
        IN("GET / X"),
        IN("GET / HTTP/2"),
        IN(GET " "),
        IN(GET "A\n"),
        IN(GET "A: \x01"),
        IN(GET "A: b\rc"),
        IN(GET "Content-Length: 1\r\nContent-Length: 1\r\n"),
        IN(GET "Expect: x\r\n"),
        IN("GET /%0g"),
        IN("TRACE "),
    };
    for (size_t i = 0; i < sizeof(spoiled) / sizeof(spoiled[0]); i++) {
        assert_int_equal(parse(spoiled[i]).outcome, HTTP1_BAD);
        struct str before = {.p = spoiled[i].p, .n = spoiled[i].n - 1};
        assert_int_equal(parse(before).outcome, HTTP1_NEED_MORE);
    }
}

static void assert_str(struct str got, const char *wanted)
{
    if (!str_is(got, wanted))
        print_error("got '%.*s', wanted '%s'\n", (int)got.n, got.p, wanted);
    assert_true(str_is(got, wanted));
}

static void a_request_gives_its_parts(void **state)
{
    (void)state;
    struct str in = IN("POST /function/a%20b?x=1&y HTTP/1.1\r\nHost: example.org:8080\r\nX-A:  one two \t\r\n"
                       "Content-Length: 12\r\nx-a: three\r\nEmpty:\r\n\r\nhello, world");
    struct parsed got = parse(in);
    assert_int_equal(got.outcome, HTTP1_DONE);
    assert_int_equal(got.head_len, in.n - 12);
    assert_str(got.r.method, "POST");
    assert_str(got.r.target, "/function/a%20b?x=1&y");
    assert_str(got.r.path, "/function/a%20b");
    assert_str(got.r.query, "x=1&y");
    assert_str(got.r.host, "example.org:8080");
    assert_int_equal(got.r.minor, 1);
    assert_true(got.r.keep_alive);
    assert_int_equal(got.r.body, HTTP1_BODY_LENGTH);
    assert_int_equal(got.r.content_length, 12);
    assert_int_equal(got.r.field_count, 5);
    assert_str(http1_find_field(got.r.fields, got.r.field_count, "X-a")->value, "one two");
    assert_str(got.r.fields[4].value, "");
    assert_null(http1_find_field(got.r.fields, got.r.field_count, "x-"));
}

static void an_absolute_target_gives_host_path_and_query(void **state)
{
    (void)state;
    struct parsed got = parse((struct str)IN("GET http://h/a/b?c?d HTTP/1.1\r\nHost: H\r\n\r\n"));
    assert_int_equal(got.outcome, HTTP1_DONE);
    assert_str(got.r.path, "/a/b");
    assert_str(got.r.query, "c?d");
    assert_str(got.r.host, "h");
    got = parse((struct str)IN("GET http://h?q HTTP/1.0\r\n\r\n"));
    assert_str(got.r.path, "/");
    assert_str(got.r.query, "q");
    got = parse((struct str)IN("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n"));
    assert_str(got.r.path, "*");
    assert_int_equal(got.r.query.n, 0);
}

static void keep_alive_follows_version_and_connection(void **state)
{
    (void)state;
    static const struct {
        struct str in;
        bool keep;
    } cases[] = {
        {IN(GET HOST END), true},
        {IN(GET HOST "Connection: close\r\n" END), false},
        {IN(GET HOST "Connection: x,\tCLOSE ,y\r\n" END), false},
        {IN(GET HOST "Connection: keep-alive\r\nConnection: close\r\n" END), false},
        {IN(GET HOST "Connection: closed\r\n" END), true},
        {IN("GET / HTTP/1.0\r\n" END), false},
        {IN("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n" END), true},
        {IN("GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n" END), false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct parsed got = parse(cases[i].in);
        assert_int_equal(got.outcome, HTTP1_DONE);
        assert_int_equal(got.r.keep_alive, cases[i].keep);
    }
}

static void expect_is_heeded_only_where_a_body_was_announced(void **state)
{
    (void)state;
    assert_false(parse((struct str)IN(GET HOST "Expect: 100-continue\r\n" END)).r.expect_continue);
    assert_false(parse((struct str)IN(GET HOST "Content-Length: 0\r\nExpect: 100-continue\r\n" END)).r.expect_continue);
    assert_true(parse((struct str)IN(GET HOST "Content-Length: 1\r\nExpect: 100-continue\r\n" END)).r.expect_continue);
    assert_true(
        parse((struct str)IN(GET HOST "Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n" END)).r.expect_continue);
    struct parsed old = parse((struct str)IN("PUT / HTTP/1.0\r\nContent-Length: 1\r\nExpect: 100-continue\r\n" END));
    assert_int_equal(old.outcome, HTTP1_DONE);
    assert_false(old.r.expect_continue);
}

static void pipelined_requests_are_told_apart(void **state)
{
    (void)state;
    struct str in = IN(GET HOST END "POST /b HTTP/1.1\r\n" HOST "Content-Length: 0\r\n" END "BAD\n");
    struct parsed first = parse(in);
    assert_int_equal(first.outcome, HTTP1_DONE);
    assert_str(first.r.path, "/");
    in = str_skip(in, first.head_len);
    struct parsed second = parse(in);
    assert_int_equal(second.outcome, HTTP1_DONE);
    assert_str(second.r.path, "/b");
    in = str_skip(in, second.head_len);
    assert_int_equal(parse(in).outcome, HTTP1_BAD);
}

static void a_head_over_its_limits_is_refused_by_the_right_name(void **state)
{
    (void)state;
    struct http1_limits small = {.head_bytes = 0, .fields = 3};
    struct str exact = IN("GET /aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa HTTP/1.1\r\n" HOST END);
    small.head_bytes = exact.n - 1;
    assert_int_equal(parse_limited(exact, &small).no.status, 431);
    assert_split_anywhere_is_the_same(exact, &small);
    small.head_bytes = exact.n;
    assert_int_equal(parse_limited(exact, &small).outcome, HTTP1_DONE);
    small.head_bytes = 30;
    assert_int_equal(parse_limited(exact, &small).no.status, 414);
    assert_split_anywhere_is_the_same(exact, &small);
    small.head_bytes = 1000;
    assert_int_equal(parse_limited((struct str)IN(GET HOST "A:\r\nB:\r\n" END), &small).outcome, HTTP1_DONE);
    struct str four = IN(GET HOST "A:\r\nB:\r\nC:\r\n" END);
    assert_int_equal(parse_limited(four, &small).no.status, 431);
    assert_split_anywhere_is_the_same(four, &small);
}

static void the_largest_head_fits_and_one_field_more_does_not(void **state)
{
    (void)state;
    static char text[65536 + 8];
    size_t n = (size_t)sprintf(text, "%s", GET HOST);
    for (int i = 1; i < HTTP1_FIELDS_MAX; i++)
        n += (size_t)sprintf(text + n, "X-%d: %d\r\n", i, i);
    memcpy(text + n, "\r\n", 2);
    struct str in = {.p = text, .n = n + 2};
    struct parsed got = parse(in);
    assert_int_equal(got.outcome, HTTP1_DONE);
    assert_int_equal(got.r.field_count, HTTP1_FIELDS_MAX);
    struct http1_limits greedy = {.head_bytes = 65536, .fields = 100000};
    in.n = n + (size_t)sprintf(text + n, "Y: 1\r\n\r\n");
    assert_int_equal(parse_limited(in, &greedy).no.status, 431);
}

/* 64 KiB that come byte by byte cost one look at each byte: with a rescan on each call this would be 2 * 10^9 steps. */
static void a_dripping_head_costs_no_rescan(void **state)
{
    (void)state;
    static char text[65536];
    size_t n = (size_t)sprintf(text, "%s", GET HOST "A: ");
    memset(text + n, 'x', sizeof(text) - n);
    struct http1_progress p = {0};
    struct http1_request r;
    struct http1_refusal no;
    size_t head_len;
    for (n = 1; n < sizeof(text); n++) {
        assert_int_equal(http1_parse_request(&r, &p, text, n, &usual, &head_len, &no), HTTP1_NEED_MORE);
        assert_int_equal(p.scanned, n);
    }
    assert_int_equal(http1_parse_request(&r, &p, text, n, &usual, &head_len, &no), HTTP1_BAD);
    assert_int_equal(no.status, 431);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_query_that_is_not_there_lies_at_the_targets_end),
        cmocka_unit_test(every_case_is_accepted_or_refused_as_the_table_says),
        cmocka_unit_test(a_split_anywhere_gives_the_same_result),
        cmocka_unit_test(a_spoiled_head_is_refused_at_once),
        cmocka_unit_test(a_request_gives_its_parts),
        cmocka_unit_test(an_absolute_target_gives_host_path_and_query),
        cmocka_unit_test(keep_alive_follows_version_and_connection),
        cmocka_unit_test(expect_is_heeded_only_where_a_body_was_announced),
        cmocka_unit_test(pipelined_requests_are_told_apart),
        cmocka_unit_test(a_head_over_its_limits_is_refused_by_the_right_name),
        cmocka_unit_test(the_largest_head_fits_and_one_field_more_does_not),
        cmocka_unit_test(a_dripping_head_costs_no_rescan),
    };
    return cmocka_run_group_tests(tests, map_guard_page, NULL);
}
