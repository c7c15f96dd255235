/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A request's head. Every byte is looked at once, as it comes; a head that came in pieces is read a second time when it is
 * complete, so that nothing points into a buffer that has moved. Refusals beside those of http1_scan.c, and their source:
 *
 *   request line not METHOD SP TARGET SP VERSION    RFC 9112 section 3 (its lenient reading of blanks is not taken)
 *   method that is no token                         RFC 9110 section 9.1
 *   method over 32 bytes, CONNECT, TRACE: 501       RFC 9112 section 3, RFC 9110 section 9.3.6 and 9.3.8
 *   target neither "/...", "http://..." nor "*" of OPTIONS    RFC 9112 section 3.2
 *   fragment, raw control or 8-bit byte, broken escape        RFC 9112 section 3.2, RFC 3986 section 2.1, 3.3, 3.4
 *   %00                                             no file or variable name can carry it: it would be cut somewhere
 *   version other than 1.0 and 1.1: 505             RFC 9110 section 15.6.6 (HTTP/2's preface falls by its target already)
 *   Host missing in HTTP/1.1, twice, malformed      RFC 9112 section 3.2
 *   absolute form for another host than Host        RFC 9112 section 3.2.2
 *   Expect other than 100-continue: 417             RFC 9110 section 10.1.1
 *   head over the limit: 414 in the request line, 431 behind it       RFC 9112 section 3, RFC 6585 section 5
 */
#include "codec/http1_scan.h"

#include <arpa/inet.h>
#include <strings.h>

enum { METHOD_MAX = 32, VERSION_LENGTH = 8, HOST_NAME_MAX_BYTES = 255 };

static enum http1_scan scan_start(struct http1_progress *p, char c, struct http1_refusal *ret_refusal)
{
    if (c == '\r' && !(p->seen & HTTP1_SEEN_EMPTY_LINE)) {
        p->seen |= HTTP1_SEEN_EMPTY_LINE;
        p->scanned++;
        p->state = HTTP1_STATE_START_LF;
        return HTTP1_SCAN_MORE;
    }
    if (!http1_is(c, HTTP1_TOKEN))
        return http1_refuse(ret_refusal, 400, "a request line that does not begin with a method");
    p->state = HTTP1_STATE_METHOD;
    return HTTP1_SCAN_MORE;
}

static enum http1_scan scan_method(struct http1_progress *p, struct str data, struct http1_refusal *ret_refusal)
{
    size_t at = p->scanned;
    while (at < data.n && http1_is(data.p[at], HTTP1_TOKEN)) {
        if (at - p->line_start == METHOD_MAX)
            return http1_refuse(ret_refusal, 501, "the method is longer than 32 bytes");
        at++;
    }
    p->scanned = at;
    if (at == data.n)
        return HTTP1_SCAN_MORE;
    if (data.p[at] != ' ')
        return http1_refuse(ret_refusal, 400, "a byte in the method that no method may hold");
    struct str method = {.p = data.p + p->line_start, .n = at - p->line_start};
    if (str_equal(method, STR_LITERAL("CONNECT")) || str_equal(method, STR_LITERAL("TRACE")))
        return http1_refuse(ret_refusal, 501, "CONNECT and TRACE are not offered");
    p->mark = ++p->scanned;
    p->state = HTTP1_STATE_TARGET;
    return HTTP1_SCAN_MORE;
}

/* An escape may be cut by the end of the data: it is then looked at again from its '%'. */
static enum http1_scan scan_escape(const struct http1_progress *p, struct str data, struct http1_refusal *ret_refusal)
{
    size_t at = p->scanned;
    for (size_t i = at + 1; i < at + 3; i++) {
        if (i == data.n)
            return HTTP1_SCAN_MORE;
        if (!http1_is(data.p[i], HTTP1_HEX))
            return http1_refuse(ret_refusal, 400, "a '%' in the target without two hexadecimal digits");
    }
    if (data.p[at + 1] == '0' && data.p[at + 2] == '0')
        return http1_refuse(ret_refusal, 400, "an encoded NUL in the target");
    return HTTP1_SCAN_LINE;
}

static enum http1_scan refuse_target_byte(char c, struct http1_refusal *ret_refusal)
{
    if (c == '#')
        return http1_refuse(ret_refusal, 400, "a fragment in the target");
    if (c == '\r' || c == '\n')
        return http1_refuse(ret_refusal, 400, "a request line without an HTTP version");
    return http1_refuse(ret_refusal, 400, "a byte in the target that must be percent-encoded");
}

/* [line start, mark) held the method; [mark, scanned) is the target. */
static struct str method_of(const struct http1_progress *p, struct str data)
{
    return (struct str){.p = data.p + p->line_start, .n = p->mark - 1 - p->line_start};
}

static bool split_target(struct http1_request *r, struct str rest)
{
    bool has_query;
    r->path = str_cut(rest, '?', &r->query, &has_query);
    if (!has_query)
        r->query = (struct str){.p = rest.p + rest.n, .n = 0};
    for (size_t i = 0; i < r->path.n; i++)
        if (!http1_is(r->path.p[i], HTTP1_PATH) && r->path.p[i] != '%')
            return false;
    return true;
}

static bool port_is_valid(struct str port)
{
    uint64_t number;
    return port.n <= 5 && str_to_u64(port, &number) && number <= 65535;
}

static bool literal_is_valid(struct str host)
{
    struct str rest;
    bool closed;
    char text[INET6_ADDRSTRLEN];
    unsigned char address[16];
    struct str inside = str_cut(str_skip(host, 1), ']', &rest, &closed);
    if (!closed || !str_copy(inside, text, sizeof(text)) || inet_pton(AF_INET6, text, address) != 1)
        return false;
    return rest.n == 0 || (rest.p[0] == ':' && port_is_valid(str_skip(rest, 1)));
}

/* uri-host [":" port] as people use it: a name of unreserved bytes, an IPv4 address (which is one), or "[IPv6]". */
static bool host_is_valid(struct str host)
{
    struct str port;
    bool has_port;
    if (host.n && host.p[0] == '[')
        return literal_is_valid(host);
    struct str name = str_cut(host, ':', &port, &has_port);
    if (name.n == 0 || name.n > HOST_NAME_MAX_BYTES || !http1_all(name, HTTP1_NAME))
        return false;
    return !has_port || port_is_valid(port);
}

static enum http1_scan take_absolute(struct http1_request *r, struct http1_refusal *ret_refusal)
{
    static const char scheme[] = "http://";
    struct str t = r->target;
    if (t.n < sizeof(scheme) || !str_is_nocase((struct str){.p = t.p, .n = sizeof(scheme) - 1}, scheme))
        return http1_refuse(ret_refusal, 400, "a target that is neither a path nor an http:// address");
    struct str rest = str_skip(t, sizeof(scheme) - 1);
    size_t n = 0;
    while (n < rest.n && rest.p[n] != '/' && rest.p[n] != '?')
        n++;
    r->host = (struct str){.p = rest.p, .n = n};
    if (!host_is_valid(r->host))
        return http1_refuse(ret_refusal, 400, "the target's host is malformed");
    if (!split_target(r, (struct str){.p = rest.p + n, .n = rest.n - n}))
        return http1_refuse(ret_refusal, 400, "a byte in the target that must be percent-encoded");
    if (r->path.n == 0) /* "http://host" asks for "/": the scheme has one to point at */
        r->path = (struct str){.p = t.p + sizeof(scheme) - 2, .n = 1};
    return HTTP1_SCAN_LINE;
}

static enum http1_scan take_target(struct http1_request *r, struct http1_refusal *ret_refusal)
{
    r->host = (struct str){0};
    if (r->target.n == 0)
        return http1_refuse(ret_refusal, 400, "a request line without a target");
    if (r->target.p[0] == '/') {
        if (!split_target(r, r->target))
            return http1_refuse(ret_refusal, 400, "a byte in the target that must be percent-encoded");
        return HTTP1_SCAN_LINE;
    }
    if (!str_is(r->target, "*"))
        return take_absolute(r, ret_refusal);
    if (!str_is(r->method, "OPTIONS"))
        return http1_refuse(ret_refusal, 400, "the target '*' belongs to OPTIONS alone");
    r->path = r->target;
    r->query = (struct str){.p = r->target.p + 1, .n = 0};
    return HTTP1_SCAN_LINE;
}

/* Bytes are judged by the wider class of the query here; where the path ends is known when the target is whole. */
static enum http1_scan scan_target(struct http1_request *r, struct http1_progress *p, struct str data,
                                   struct http1_refusal *ret_refusal)
{
    for (;;) {
        while (p->scanned < data.n && http1_is(data.p[p->scanned], HTTP1_QUERY))
            p->scanned++;
        if (p->scanned == data.n)
            return HTTP1_SCAN_MORE;
        if (data.p[p->scanned] != '%')
            break;
        enum http1_scan s = scan_escape(p, data, ret_refusal);
        if (s != HTTP1_SCAN_LINE)
            return s;
        p->scanned += 3;
    }
    if (data.p[p->scanned] != ' ')
        return refuse_target_byte(data.p[p->scanned], ret_refusal);
    r->method = method_of(p, data);
    r->target = (struct str){.p = data.p + p->mark, .n = p->scanned - p->mark};
    if (take_target(r, ret_refusal) == HTTP1_SCAN_BAD)
        return HTTP1_SCAN_BAD;
    p->mark = ++p->scanned;
    p->state = HTTP1_STATE_VERSION;
    return HTTP1_SCAN_MORE;
}

static enum http1_scan scan_version(struct http1_progress *p, struct str data, struct http1_refusal *ret_refusal)
{
    for (; p->scanned < data.n && p->scanned - p->mark < VERSION_LENGTH; p->scanned++)
        if (!http1_take_version(data.p[p->scanned], p->scanned - p->mark, &p->seen, ret_refusal))
            return HTTP1_SCAN_BAD;
    if (p->scanned == data.n)
        return HTTP1_SCAN_MORE;
    if (data.p[p->scanned] != '\r')
        return http1_refuse(ret_refusal, 400, "something behind the HTTP version");
    p->scanned++;
    p->state = HTTP1_STATE_LINE_LF;
    return HTTP1_SCAN_MORE;
}

/* One step inside the request line; LINE when it is over. MORE with bytes left means: the next state. */
static enum http1_scan scan_request_line(struct http1_request *r, struct http1_progress *p, struct str data,
                                         struct http1_refusal *ret_refusal)
{
    switch (p->state) {
    case HTTP1_STATE_START:
        return scan_start(p, data.p[p->scanned], ret_refusal);
    case HTTP1_STATE_START_LF:
        if (http1_scan_line_feed(p, data.p[p->scanned], HTTP1_STATE_START, ret_refusal) == HTTP1_SCAN_BAD)
            return HTTP1_SCAN_BAD;
        return HTTP1_SCAN_MORE;
    case HTTP1_STATE_METHOD:
        return scan_method(p, data, ret_refusal);
    case HTTP1_STATE_TARGET:
        return scan_target(r, p, data, ret_refusal);
    case HTTP1_STATE_VERSION:
        return scan_version(p, data, ret_refusal);
    default:
        p->lines = 1;
        return http1_scan_line_feed(p, data.p[p->scanned], HTTP1_STATE_FIELD, ret_refusal);
    }
}

static bool take_host(struct http1_request *r, struct str value, struct http1_progress *p,
                      struct http1_refusal *ret_refusal)
{
    const char *why = NULL;
    if (p->seen & HTTP1_SEEN_HOST)
        why = "Host stands twice";
    else if (!host_is_valid(value))
        why = "Host is malformed";
    if (why) {
        http1_refuse(ret_refusal, 400, why);
        return false;
    }
    p->seen |= HTTP1_SEEN_HOST;
    if (r->host.n == 0) /* an absolute target's own host stays: finish_request() compares the two */
        r->host = value;
    return true;
}

static bool take_expect(struct str value, struct http1_progress *p, struct http1_refusal *ret_refusal)
{
    if ((p->seen & HTTP1_SEEN_EXPECT) || !str_is_nocase(value, "100-continue")) {
        http1_refuse(ret_refusal, 417, "Expect is not exactly '100-continue'");
        return false;
    }
    p->seen |= HTTP1_SEEN_EXPECT;
    return true;
}

static bool take_field(struct http1_request *r, const struct http1_field *f, struct http1_progress *p,
                       struct http1_refusal *ret_refusal)
{
    if (f->name.n == 4 && str_is_nocase(f->name, "host"))
        return take_host(r, f->value, p, ret_refusal);
    if (f->name.n == 6 && str_is_nocase(f->name, "expect"))
        return take_expect(f->value, p, ret_refusal);
    return http1_take_framing(f, &p->seen, &r->content_length, ret_refusal);
}

/* Looked at when the head is whole: only then are target and Host known together, however the head came. */
static bool host_agrees(const struct http1_request *r)
{
    if (r->target.p[0] == '/' || r->target.p[0] == '*')
        return true;
    const struct http1_field *f = http1_find_field(r->fields, r->field_count, "host");
    return !f || (f->value.n == r->host.n && f->value.n && strncasecmp(f->value.p, r->host.p, r->host.n) == 0);
}

static enum http1_scan finish_request(struct http1_request *r, const struct http1_progress *p,
                                      struct http1_refusal *ret_refusal)
{
    if ((p->seen & HTTP1_SEEN_MINOR_1) && !(p->seen & HTTP1_SEEN_HOST))
        return http1_refuse(ret_refusal, 400, "a request in HTTP/1.1 without Host");
    if (!host_agrees(r))
        return http1_refuse(ret_refusal, 400, "the target is for another host than Host");
    r->minor = p->seen & HTTP1_SEEN_MINOR_1 ? 1 : 0;
    r->keep_alive = http1_keeps_alive(p->seen);
    r->body = HTTP1_BODY_NONE;
    if (p->seen & HTTP1_SEEN_CODING)
        r->body = HTTP1_BODY_CHUNKED;
    else if (r->content_length > 0)
        r->body = HTTP1_BODY_LENGTH;
    /* RFC 9110 section 10.1.1: to be ignored from HTTP/1.0, and there is nothing to invite where no body was announced. */
    r->expect_continue = (p->seen & HTTP1_SEEN_EXPECT) && r->minor == 1 && r->body != HTTP1_BODY_NONE;
    return HTTP1_SCAN_END;
}

static enum http1_scan scan_fields(struct http1_request *r, struct http1_progress *p, struct str data, unsigned max,
                                   struct http1_refusal *ret_refusal)
{
    for (;;) {
        unsigned count = p->lines - 1;
        bool full = count == max && p->state == HTTP1_STATE_FIELD;
        if (full && p->scanned < data.n && http1_is(data.p[p->scanned], HTTP1_TOKEN))
            return http1_refuse(ret_refusal, 431, "too many header fields");
        struct http1_field f;
        enum http1_scan s = http1_scan_field(p, data, &f, ret_refusal);
        if (s != HTTP1_SCAN_LINE)
            return s;
        if (!take_field(r, &f, p, ret_refusal))
            return HTTP1_SCAN_BAD;
        r->fields[count] = f; /* count < max: a full head has refused the field's first byte */
        r->field_count = count + 1;
    }
}

/* Takes the scan as far as the data goes. */
static enum http1_scan scan_head(struct http1_request *r, struct http1_progress *p, struct str data, unsigned max,
                                 struct http1_refusal *ret_refusal)
{
    r->field_count = 0;
    r->content_length = 0;
    r->host = (struct str){0};
    while (p->state < HTTP1_STATE_FIELD) {
        size_t before = p->scanned;
        unsigned state = p->state;
        if (before == data.n)
            return HTTP1_SCAN_MORE;
        if (scan_request_line(r, p, data, ret_refusal) == HTTP1_SCAN_BAD)
            return HTTP1_SCAN_BAD;
        if (p->scanned == before && p->state == state)
            return HTTP1_SCAN_MORE; /* in the middle of an escape */
    }
    return scan_fields(r, p, data, max, ret_refusal);
}

enum http1_outcome http1_parse_request(struct http1_request *r, struct http1_progress *p, const char *data, size_t len,
                                       const struct http1_limits *limits, size_t *ret_head_len,
                                       struct http1_refusal *ret_refusal)
{
    unsigned max = limits->fields < HTTP1_FIELDS_MAX ? limits->fields : HTTP1_FIELDS_MAX;
    struct str head = {.p = data, .n = len < limits->head_bytes ? len : limits->head_bytes};
    bool resumed = p->scanned > 0;
    enum http1_scan s = scan_head(r, p, head, max, ret_refusal);
    if (s == HTTP1_SCAN_END && resumed) {
        head.n = p->scanned;
        *p = (struct http1_progress){0};
        s = scan_head(r, p, head, max, ret_refusal);
    }
    if (s == HTTP1_SCAN_END)
        s = finish_request(r, p, ret_refusal);
    if (s == HTTP1_SCAN_END) {
        *ret_head_len = p->scanned;
        return HTTP1_DONE;
    }
    if (s == HTTP1_SCAN_MORE && len >= limits->head_bytes) {
        bool in_line = p->lines == 0;
        http1_refuse(ret_refusal, in_line ? 414 : 431,
                     in_line ? "the request line is too long" : "the header fields are too large");
        return HTTP1_BAD;
    }
    return s == HTTP1_SCAN_BAD ? HTTP1_BAD : HTTP1_NEED_MORE;
}
