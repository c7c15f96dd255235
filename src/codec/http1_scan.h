/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What request, response and trailers share: the classes of bytes, and the scan of a header section line by line. Inside
 * codec/http1*.c only.
 */
#ifndef FAASD_CODEC_HTTP1_SCAN_H
#define FAASD_CODEC_HTTP1_SCAN_H

#include "codec/http1.h"

enum http1_class {
    HTTP1_TOKEN = 1, /* tchar, RFC 9110 section 5.6.2 */
    HTTP1_VALUE = 2, /* HTAB, SP, VCHAR and obs-text, RFC 9110 section 5.5 */
    HTTP1_PATH = 4,  /* pchar and "/", RFC 3986 section 3.3; "%" is looked at apart */
    HTTP1_QUERY = 8, /* what RFC 3986 section 3.4 allows, and what browsers leave raw there (see http1_scan.c) */
    HTTP1_HEX = 16,
    HTTP1_NAME = 32, /* unreserved, RFC 3986 section 2.3: the bytes of a host name */
};

extern const uint8_t http1_classes[256];

static inline bool http1_is(char c, enum http1_class class)
{
    return http1_classes[(unsigned char)c] & class;
}

static inline unsigned http1_hex_value(char c) /* of a HTTP1_HEX byte */
{
    return c <= '9' ? (unsigned)(c - '0') : (unsigned)((c | 0x20) - 'a') + 10;
}

/* True when every byte is of the class; an empty run is. */
bool http1_all(struct str s, enum http1_class class);

/* States of struct http1_progress. Before FIELD: a request takes START, METHOD, TARGET, VERSION; a response START, VERSION, STATUS,
 * REASON. */
enum http1_state {
    HTTP1_STATE_START = 0,
    HTTP1_STATE_START_LF, /* the CR of the one empty line before a request */
    HTTP1_STATE_METHOD,
    HTTP1_STATE_TARGET,
    HTTP1_STATE_VERSION,
    HTTP1_STATE_STATUS,
    HTTP1_STATE_REASON,
    HTTP1_STATE_LINE_LF,
    HTTP1_STATE_FIELD, /* at the first byte of a field line */
    HTTP1_STATE_NAME,
    HTTP1_STATE_FIELD_VALUE,
    HTTP1_STATE_FIELD_LF,
    HTTP1_STATE_END_LF,
};

enum http1_scan { HTTP1_SCAN_MORE, HTTP1_SCAN_LINE, HTTP1_SCAN_END, HTTP1_SCAN_BAD };

static inline enum http1_scan http1_refuse(struct http1_refusal *ret_refusal, int status, const char *reason)
{
    *ret_refusal = (struct http1_refusal){.status = status, .reason = reason};
    return HTTP1_SCAN_BAD;
}

/* Steps over one LF at `at` and begins the next line in `next_state`; a byte that is no LF makes the CR before it a bare one. */
enum http1_scan http1_scan_line_feed(struct http1_progress *p, char byte, unsigned next_state,
                                     struct http1_refusal *ret_refusal);

/* From p->scanned on: LINE gives the next field, END stands behind the empty line. Works from HTTP1_STATE_FIELD on. */
enum http1_scan http1_scan_field(struct http1_progress *p, struct str data, struct http1_field *ret_field,
                                 struct http1_refusal *ret_refusal);

/* What the fields say about framing, for requests and responses alike; bits of http1_progress.seen. */
enum http1_seen {
    HTTP1_SEEN_HOST = 1,
    HTTP1_SEEN_LENGTH = 2,
    HTTP1_SEEN_CODING = 4,
    HTTP1_SEEN_EXPECT = 8,
    HTTP1_SEEN_CLOSE = 16,
    HTTP1_SEEN_KEEP_ALIVE = 32,
    HTTP1_SEEN_MINOR_1 = 64, /* the line said HTTP/1.1 */
    HTTP1_SEEN_EMPTY_LINE = 128,
};

/* Takes Content-Length, Transfer-Encoding and Connection into *seen and *length; false with the refusal when they are not
 * beyond doubt. Other fields are left alone. */
bool http1_take_framing(const struct http1_field *f, unsigned *seen, uint64_t *length,
                        struct http1_refusal *ret_refusal);

/* One byte of "HTTP/1.1" at its position 0-7; sets HTTP1_SEEN_MINOR_1. */
bool http1_take_version(char byte, size_t position, unsigned *seen, struct http1_refusal *ret_refusal);

static inline bool http1_keeps_alive(unsigned seen)
{
    if (seen & HTTP1_SEEN_CLOSE)
        return false;
    return seen & (HTTP1_SEEN_MINOR_1 | HTTP1_SEEN_KEEP_ALIVE);
}

#endif
