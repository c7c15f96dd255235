/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A response's head, for the client's side: status line (RFC 9112 section 4), then fields by the rules of http1_scan.c. What frames the
 * body: RFC 9112 section 6.3.
 */
#include "codec/http1_scan.h"

enum { VERSION_LENGTH = 8, STATUS_LENGTH = 4 /* three digits and the blank behind them */ };

static bool take_status_byte(char byte, size_t position)
{
    if (position == 3)
        return byte == ' ';
    return byte >= (position == 0 ? '1' : '0') && byte <= (position == 0 ? '5' : '9');
}

static enum http1_scan step_status_line(struct http1_progress *p, char byte, struct http1_refusal *no)
{
    switch (p->state) {
    case HTTP1_STATE_START:
        if (p->scanned == VERSION_LENGTH) {
            p->state = HTTP1_STATE_STATUS;
            p->mark = p->scanned + 1;
            return byte == ' ' ? HTTP1_SCAN_MORE : HTTP1_SCAN_BAD;
        }
        return http1_take_version(byte, p->scanned, &p->seen, no) ? HTTP1_SCAN_MORE : HTTP1_SCAN_BAD;
    case HTTP1_STATE_STATUS:
        if (p->scanned - p->mark == STATUS_LENGTH - 1)
            p->state = HTTP1_STATE_REASON;
        return take_status_byte(byte, p->scanned - p->mark) ? HTTP1_SCAN_MORE : HTTP1_SCAN_BAD;
    default:
        if (byte == '\r')
            p->state = HTTP1_STATE_LINE_LF;
        return byte == '\r' || http1_is(byte, HTTP1_VALUE) ? HTTP1_SCAN_MORE : HTTP1_SCAN_BAD;
    }
}

static enum http1_scan scan_status_line(struct http1_response *r, struct http1_progress *p, struct str data,
                                        struct http1_refusal *no)
{
    for (; p->state < HTTP1_STATE_LINE_LF; p->scanned++) {
        if (p->scanned == data.n)
            return HTTP1_SCAN_MORE;
        if (step_status_line(p, data.p[p->scanned], no) == HTTP1_SCAN_BAD)
            return HTTP1_SCAN_BAD;
    }
    if (p->scanned == data.n)
        return HTTP1_SCAN_MORE;
    const char *digits = data.p + p->mark;
    r->status = (unsigned)(digits[0] - '0') * 100 + (unsigned)(digits[1] - '0') * 10 + (unsigned)(digits[2] - '0');
    p->lines = 1;
    return http1_scan_line_feed(p, data.p[p->scanned], HTTP1_STATE_FIELD, no);
}

static enum http1_scan scan_head(struct http1_response *r, struct http1_progress *p, struct str data, unsigned max)
{
    struct http1_refusal no;
    r->field_count = 0;
    r->content_length = 0;
    if (p->state < HTTP1_STATE_FIELD) {
        enum http1_scan s = scan_status_line(r, p, data, &no);
        if (s != HTTP1_SCAN_LINE)
            return s;
    }
    for (;;) {
        struct http1_field f;
        enum http1_scan s = http1_scan_field(p, data, &f, &no);
        if (s != HTTP1_SCAN_LINE)
            return s;
        unsigned count = p->lines - 2; /* behind the status line and this one */
        if (count == max || !http1_take_framing(&f, &p->seen, &r->content_length, &no))
            return HTTP1_SCAN_BAD;
        r->fields[count] = f;
        r->field_count = count + 1;
    }
}

static void finish_response(struct http1_response *r, const struct http1_progress *p, bool head_request)
{
    r->minor = p->seen & HTTP1_SEEN_MINOR_1 ? 1 : 0;
    r->keep_alive = http1_keeps_alive(p->seen);
    if (head_request || r->status < 200 || r->status == 204 || r->status == 304)
        r->body = HTTP1_BODY_NONE;
    else if (p->seen & HTTP1_SEEN_CODING)
        r->body = HTTP1_BODY_CHUNKED;
    else if (p->seen & HTTP1_SEEN_LENGTH)
        r->body = r->content_length ? HTTP1_BODY_LENGTH : HTTP1_BODY_NONE;
    else
        r->body = HTTP1_BODY_UNTIL_CLOSE;
    if (r->body == HTTP1_BODY_UNTIL_CLOSE)
        r->keep_alive = false;
}

enum http1_outcome http1_parse_response(struct http1_response *r, struct http1_progress *p, const char *data,
                                        size_t len, bool head_request, const struct http1_limits *limits,
                                        size_t *ret_head_len)
{
    unsigned max = limits->fields < HTTP1_FIELDS_MAX ? limits->fields : HTTP1_FIELDS_MAX;
    struct str head = {.p = data, .n = len < limits->head_bytes ? len : limits->head_bytes};
    bool resumed = p->scanned > 0;
    enum http1_scan s = scan_head(r, p, head, max);
    if (s == HTTP1_SCAN_END && resumed) {
        head.n = p->scanned;
        *p = (struct http1_progress){0};
        s = scan_head(r, p, head, max);
    }
    if (s == HTTP1_SCAN_END) {
        finish_response(r, p, head_request);
        *ret_head_len = p->scanned;
        return HTTP1_DONE;
    }
    bool too_long = s == HTTP1_SCAN_MORE && len >= limits->head_bytes;
    return s == HTTP1_SCAN_BAD || too_long ? HTTP1_BAD : HTTP1_NEED_MORE;
}
