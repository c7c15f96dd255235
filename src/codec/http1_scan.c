/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The header section, and the few fields that decide where a message ends. Refusals and their source:
 *
 *   bare LF or CR, NUL, other controls     RFC 9112 section 2.2, RFC 9110 section 5.5
 *   line that begins with a blank          RFC 9112 section 5.2 (obs-fold), section 2.2 (before the first field)
 *   blank before the colon                 RFC 9112 section 5.1
 *   empty name, name that is no token      RFC 9110 section 5.1
 *   Content-Length beside Transfer-Encoding    RFC 9112 section 6.1 and 6.3: request smuggling
 *   Content-Length twice, as list, signed, zero-padded    RFC 9112 section 6.3, RFC 9110 section 8.6
 *   a tab around either                    nginx and llhttp refuse it, others skip it
 *   Transfer-Encoding that is not one "chunked", or in HTTP/1.0   RFC 9112 section 6.1, 6.3, 7
 *
 * Where an RFC lets a recipient repair or guess, this one refuses: whatever stands in front may have guessed otherwise.
 */
#include "codec/http1_scan.h"

enum {
    ALNUM = HTTP1_TOKEN | HTTP1_VALUE | HTTP1_PATH | HTTP1_QUERY | HTTP1_NAME,
    VISIBLE = HTTP1_VALUE,
    SUB_DELIM = HTTP1_VALUE | HTTP1_PATH | HTTP1_QUERY,
    MARK = ALNUM, /* "-" "." "_" "~" are letters to every rule here */
    /* WHATWG URL, "query percent-encode set": browsers send these raw in a query, and ?ids[]=1 is everyday. None of them
     * means anything to HTTP, so taking them opens no second reading. */
    BROWSER_QUERY = HTTP1_VALUE | HTTP1_QUERY,
};

const uint8_t http1_classes[256] = {
    ['\t'] = HTTP1_VALUE,
    [' '] = HTTP1_VALUE,
    ['0' ... '9'] = ALNUM | HTTP1_HEX,
    ['a' ... 'f'] = ALNUM | HTTP1_HEX,
    ['A' ... 'F'] = ALNUM | HTTP1_HEX,
    ['g' ... 'z'] = ALNUM,
    ['G' ... 'Z'] = ALNUM,
    ['-'] = MARK,
    ['.'] = MARK,
    ['_'] = MARK,
    ['~'] = MARK,
    ['!'] = SUB_DELIM | HTTP1_TOKEN,
    ['$'] = SUB_DELIM | HTTP1_TOKEN,
    ['&'] = SUB_DELIM | HTTP1_TOKEN,
    ['\''] = SUB_DELIM | HTTP1_TOKEN,
    ['*'] = SUB_DELIM | HTTP1_TOKEN,
    ['+'] = SUB_DELIM | HTTP1_TOKEN,
    ['('] = SUB_DELIM,
    [')'] = SUB_DELIM,
    [','] = SUB_DELIM,
    [';'] = SUB_DELIM,
    ['='] = SUB_DELIM,
    [':'] = SUB_DELIM,
    ['@'] = SUB_DELIM,
    ['/'] = SUB_DELIM,
    ['?'] = BROWSER_QUERY,
    ['['] = BROWSER_QUERY,
    [']'] = BROWSER_QUERY,
    ['{'] = BROWSER_QUERY,
    ['}'] = BROWSER_QUERY,
    ['\\'] = BROWSER_QUERY,
    ['^'] = BROWSER_QUERY | HTTP1_TOKEN,
    ['`'] = BROWSER_QUERY | HTTP1_TOKEN,
    ['|'] = BROWSER_QUERY | HTTP1_TOKEN,
    ['#'] = VISIBLE | HTTP1_TOKEN,
    ['%'] = VISIBLE | HTTP1_TOKEN,
    ['"'] = VISIBLE,
    ['<'] = VISIBLE,
    ['>'] = VISIBLE,
    [0x80 ... 0xff] = VISIBLE,
};

bool http1_all(struct str s, enum http1_class class)
{
    for (size_t i = 0; i < s.n; i++)
        if (!http1_is(s.p[i], class))
            return false;
    return true;
}

enum http1_scan http1_scan_line_feed(struct http1_progress *p, char byte, unsigned next_state,
                                     struct http1_refusal *ret_refusal)
{
    if (byte != '\n')
        return http1_refuse(ret_refusal, 400, "a CR without LF");
    p->scanned++;
    p->line_start = p->scanned;
    p->state = next_state;
    return HTTP1_SCAN_LINE;
}

static enum http1_scan refuse_name_byte(char c, struct http1_refusal *ret_refusal)
{
    if (c == ' ' || c == '\t')
        return http1_refuse(ret_refusal, 400, "a blank before the colon of a header field");
    if (c == '\r' || c == '\n')
        return http1_refuse(ret_refusal, 400, "a header line without a colon");
    return http1_refuse(ret_refusal, 400, "a byte that no header name may hold");
}

static enum http1_scan refuse_first_byte(char c, struct http1_refusal *ret_refusal)
{
    if (c == ' ' || c == '\t')
        return http1_refuse(ret_refusal, 400, "a header line that begins with a blank (folded lines are not accepted)");
    if (c == ':')
        return http1_refuse(ret_refusal, 400, "a header field without a name");
    if (c == '\n')
        return http1_refuse(ret_refusal, 400, "an LF without CR");
    return http1_refuse(ret_refusal, 400, "a byte that no header name may hold");
}

static enum http1_scan refuse_value_byte(char c, struct http1_refusal *ret_refusal)
{
    if (c == '\n')
        return http1_refuse(ret_refusal, 400, "an LF without CR");
    return http1_refuse(ret_refusal, 400, "a control character in a header value");
}

/* Up to the line's CR; what is scanned is never looked at again. */
static enum http1_scan scan_within_field(struct http1_progress *p, struct str data, struct http1_refusal *ret_refusal)
{
    size_t at = p->scanned;
    if (p->state == HTTP1_STATE_NAME) {
        while (at < data.n && http1_is(data.p[at], HTTP1_TOKEN))
            at++;
        p->scanned = at;
        if (at == data.n)
            return HTTP1_SCAN_MORE;
        if (data.p[at] != ':')
            return refuse_name_byte(data.p[at], ret_refusal);
        p->mark = at++;
        p->state = HTTP1_STATE_FIELD_VALUE;
    }
    while (at < data.n && http1_is(data.p[at], HTTP1_VALUE))
        at++;
    p->scanned = at;
    if (at == data.n)
        return HTTP1_SCAN_MORE;
    if (data.p[at] != '\r')
        return refuse_value_byte(data.p[at], ret_refusal);
    p->scanned++;
    p->state = HTTP1_STATE_FIELD_LF;
    return HTTP1_SCAN_LINE;
}

static enum http1_scan begin_field(struct http1_progress *p, char first, struct http1_refusal *ret_refusal)
{
    if (first == '\r') {
        p->scanned++;
        p->state = HTTP1_STATE_END_LF;
        return HTTP1_SCAN_END;
    }
    if (!http1_is(first, HTTP1_TOKEN))
        return refuse_first_byte(first, ret_refusal);
    p->state = HTTP1_STATE_NAME;
    return HTTP1_SCAN_LINE;
}

enum http1_scan http1_scan_field(struct http1_progress *p, struct str data, struct http1_field *ret_field,
                                 struct http1_refusal *ret_refusal)
{
    if (p->state == HTTP1_STATE_FIELD) {
        if (p->scanned == data.n)
            return HTTP1_SCAN_MORE;
        if (begin_field(p, data.p[p->scanned], ret_refusal) == HTTP1_SCAN_BAD)
            return HTTP1_SCAN_BAD;
    }
    if (p->state == HTTP1_STATE_NAME || p->state == HTTP1_STATE_FIELD_VALUE) {
        enum http1_scan s = scan_within_field(p, data, ret_refusal);
        if (s != HTTP1_SCAN_LINE)
            return s;
    }
    if (p->scanned == data.n)
        return HTTP1_SCAN_MORE;
    bool last = p->state == HTTP1_STATE_END_LF;
    size_t start = p->line_start;
    if (http1_scan_line_feed(p, data.p[p->scanned], HTTP1_STATE_FIELD, ret_refusal) == HTTP1_SCAN_BAD)
        return HTTP1_SCAN_BAD;
    if (last)
        return HTTP1_SCAN_END;
    p->lines++;
    ret_field->name = (struct str){.p = data.p + start, .n = p->mark - start};
    ret_field->value = str_trim((struct str){.p = data.p + p->mark + 1, .n = p->scanned - 2 - (p->mark + 1)});
    return HTTP1_SCAN_LINE;
}

static bool refused(struct http1_refusal *ret_refusal, int status, const char *reason)
{
    http1_refuse(ret_refusal, status, reason);
    return false;
}

/* RFC 9112 section 5 has tabs for blanks, but readers differ: where one sees the framing and the next does not, a
 * request is smuggled. Nobody means them here. */
static bool has_tab_around(const struct http1_field *f)
{
    const char *before = f->name.p + f->name.n + 1;
    const char *behind = f->value.p + f->value.n;
    while (before < f->value.p && *before != '\t')
        before++;
    while (*behind == ' ')
        behind++;
    return before < f->value.p || *behind == '\t';
}

static bool take_length(const struct http1_field *f, unsigned *seen, uint64_t *length,
                        struct http1_refusal *ret_refusal)
{
    struct str value = f->value;
    if (*seen & HTTP1_SEEN_LENGTH)
        return refused(ret_refusal, 400, "Content-Length stands twice");
    if (*seen & HTTP1_SEEN_CODING)
        return refused(ret_refusal, 400, "Content-Length beside Transfer-Encoding");
    if (has_tab_around(f))
        return refused(ret_refusal, 400, "Content-Length with a tab around its value");
    if (value.n > 1 && value.p[0] == '0')
        return refused(ret_refusal, 400, "Content-Length has leading zeros");
    if (!str_to_u64(value, length))
        return refused(ret_refusal, 400, "Content-Length is not a decimal number");
    *seen |= HTTP1_SEEN_LENGTH;
    return true;
}

/* Only "chunked", once and alone, is spoken. A list that a reader could frame in another way is 400, an honest list of
 * codings that this server lacks is 501 (RFC 9112 section 6.1). */
static bool take_coding(const struct http1_field *f, unsigned *seen, struct http1_refusal *ret_refusal)
{
    struct str value = f->value;
    if (*seen & HTTP1_SEEN_CODING)
        return refused(ret_refusal, 400, "Transfer-Encoding stands twice");
    if (*seen & HTTP1_SEEN_LENGTH)
        return refused(ret_refusal, 400, "Transfer-Encoding beside Content-Length");
    if (!(*seen & HTTP1_SEEN_MINOR_1))
        return refused(ret_refusal, 400, "Transfer-Encoding in HTTP/1.0");
    if (has_tab_around(f))
        return refused(ret_refusal, 400, "Transfer-Encoding with a tab around its value");
    if (str_is_nocase(value, "chunked")) {
        *seen |= HTTP1_SEEN_CODING;
        return true;
    }
    unsigned codings = 0;
    bool chunked = false;
    for (bool more = true; more; codings++) {
        struct str one = str_trim(str_cut(value, ',', &value, &more));
        if (one.n == 0 || !http1_all(one, HTTP1_TOKEN) || chunked)
            return refused(ret_refusal, 400, "Transfer-Encoding is not exactly 'chunked'");
        chunked = str_is_nocase(one, "chunked");
    }
    if (codings > 1 && !chunked)
        return refused(ret_refusal, 400, "Transfer-Encoding does not end in 'chunked'");
    return refused(ret_refusal, 501, "Transfer-Encoding names a coding other than 'chunked'");
}

static void take_connection(struct str value, unsigned *seen)
{
    for (bool more = true; more;) {
        struct str option = str_trim(str_cut(value, ',', &value, &more));
        if (str_is_nocase(option, "close"))
            *seen |= HTTP1_SEEN_CLOSE;
        else if (str_is_nocase(option, "keep-alive"))
            *seen |= HTTP1_SEEN_KEEP_ALIVE;
    }
}

bool http1_take_framing(const struct http1_field *f, unsigned *seen, uint64_t *length,
                        struct http1_refusal *ret_refusal)
{
    switch (f->name.n) { /* almost every field is told apart by its length alone */
    case sizeof("Connection") - 1:
        if (str_is_nocase(f->name, "connection"))
            take_connection(f->value, seen);
        return true;
    case sizeof("Content-Length") - 1:
        return !str_is_nocase(f->name, "content-length") || take_length(f, seen, length, ret_refusal);
    case sizeof("Transfer-Encoding") - 1:
        return !str_is_nocase(f->name, "transfer-encoding") || take_coding(f, seen, ret_refusal);
    default:
        return true;
    }
}

bool http1_take_version(char byte, size_t position, unsigned *seen, struct http1_refusal *ret_refusal)
{
    static const char wanted[] = "HTTP/1.";
    bool digit = byte >= '0' && byte <= '9';
    if (position == 5 && digit && byte != '1')
        return refused(ret_refusal, 505, "only HTTP/1.0 and HTTP/1.1 are spoken");
    if (position < 7) {
        if (byte != wanted[position])
            return refused(ret_refusal, 400, "no HTTP version where one must stand");
        return true;
    }
    if (digit && byte > '1')
        return refused(ret_refusal, 505, "only HTTP/1.0 and HTTP/1.1 are spoken");
    if (!digit)
        return refused(ret_refusal, 400, "no HTTP version where one must stand");
    if (byte == '1')
        *seen |= HTTP1_SEEN_MINOR_1;
    return true;
}
