/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP/1.1 as RFC 9112 and RFC 9110 say, strictly: one interpretation of every byte, anything ambiguous is refused. Parses in place: every struct str
 * points into the caller's buffer. No I/O, no allocation.
 */
#ifndef FAASD_CODEC_HTTP1_H
#define FAASD_CODEC_HTTP1_H

#include "base/str.h"

enum { HTTP1_FIELDS_MAX = 128 };

enum http1_outcome { HTTP1_NEED_MORE, HTTP1_DONE, HTTP1_BAD };

enum http1_body { HTTP1_BODY_NONE, HTTP1_BODY_LENGTH, HTTP1_BODY_CHUNKED, HTTP1_BODY_UNTIL_CLOSE /* responses only */ };

struct http1_field {
    struct str name;
    struct str value; /* trimmed */
};

struct http1_limits {
    size_t head_bytes; /* whole head; beyond: 431 (414 while still in the request line) */
    unsigned fields;   /* <= HTTP1_FIELDS_MAX; beyond: 431 */
};

/* Why a head or chunk was refused: the status to answer with and a sentence for errorMessage. */
struct http1_refusal {
    int status; /* 400, 414, 417, 431, 501, 505 */
    const char *reason;
};

struct http1_request {
    struct str method; /* a token; case is kept */
    struct str target; /* as it came */
    struct str path;   /* of the target, begins with '/', still percent-encoded; "*" for OPTIONS * */
    struct str query;  /* without the '?'; empty, at the target's end, when absent */
    struct str host;   /* of Host or the absolute form, with port; empty only for HTTP/1.0 */
    unsigned minor;    /* 0 or 1 */
    bool keep_alive;
    bool expect_continue;
    enum http1_body body;
    uint64_t content_length; /* for HTTP1_BODY_LENGTH */
    unsigned field_count;
    struct http1_field fields[HTTP1_FIELDS_MAX];
};

/* Where an incremental parse stands; zero it for each new head. A split anywhere gives the same result as the whole, and a
 * refusable byte is refused when it arrives, not at the end of the head. */
struct http1_progress {
    size_t scanned;
    size_t line_start;
    size_t mark;    /* inside the line: where the target or version begins, or the colon stands */
    unsigned lines; /* complete ones; 0 while in the request line */
    unsigned state; /* of the line at hand */
    unsigned seen;  /* what earlier lines have said */
};

/* data[0..len) is the connection's input from the head's first byte; it may have moved since the last call. *r is meaningful only after DONE and need not
 * be the same object in each call. One empty line before the request line is skipped (RFC 9112 section 2.2) and counts as head. DONE: *ret_head_len bytes were the head. BAD: *ret_refusal. */
enum http1_outcome http1_parse_request(struct http1_request *r, struct http1_progress *p, const char *data, size_t len,
                                       const struct http1_limits *limits, size_t *ret_head_len,
                                       struct http1_refusal *ret_refusal);

/* The first field by that name (any case), or NULL. */
const struct http1_field *http1_find_field(const struct http1_field *fields, unsigned count, const char *name);

/* Chunked bodies. Zero it first. Each call looks at `in` and gives one run of body bytes (*ret_data, pointing into `in`, perhaps empty) and how many bytes of `in` are used up.
 * NEED_MORE: call again with what follows. DONE: the last chunk and its trailers (dropped) are over. */
struct http1_chunked {
    uint64_t left; /* of the chunk at hand */
    uint32_t state;
    uint32_t line_bytes;        /* of the chunk line or the trailers so far: limited */
    uint32_t trailer_bytes_max; /* set by the caller who expects long ones; 0 = 16 KiB */
};
enum http1_outcome http1_decode_chunked(struct http1_chunked *c, struct str in, size_t *ret_used, struct str *ret_data,
                                        struct http1_refusal *ret_refusal);
/* What of the chunk at hand is still to come; 0 while its size is being read. */
uint64_t http1_chunk_left(const struct http1_chunked *c);
/* The same for a caller who wants the trailers: *ret_trailers is a run of their lines as they came, pointing into `in`, perhaps empty. The runs of all calls
 * together are what http1_parse_trailers takes. */
enum http1_outcome http1_decode_chunked_trailers(struct http1_chunked *c, struct str in, size_t *ret_used,
                                                 struct str *ret_data, struct str *ret_trailers,
                                                 struct http1_refusal *ret_refusal);
/* Complete lines that the decoder has passed, as fields. False when they are more than `max`. */
bool http1_parse_trailers(struct str lines, struct http1_field *fields, unsigned max, unsigned *ret_count);

/* For the client side: the command line and tests. */
struct http1_response {
    unsigned status;
    unsigned minor;
    bool keep_alive;
    enum http1_body body;
    uint64_t content_length;
    unsigned field_count;
    struct http1_field fields[HTTP1_FIELDS_MAX];
};
enum http1_outcome http1_parse_response(struct http1_response *r, struct http1_progress *p, const char *data,
                                        size_t len, bool head_request, const struct http1_limits *limits,
                                        size_t *ret_head_len);

/* A field that a function may send: token name, value without CR, LF, NUL or other controls. */
bool http1_field_is_valid(struct str name, struct str value);
/* Connection, Keep-Alive, Proxy-*, TE, Trailer, Transfer-Encoding, Upgrade, Content-Length: never forwarded from a function. */
bool http1_field_is_framing(struct str name);

const char *http1_reason(int status); /* "OK"; "" for unknown ones */

/* Percent-decodes a path segment or query piece into out; false on a bad escape, an encoded NUL or lack of room. */
bool http1_percent_decode(struct str in, char *out, size_t cap, size_t *ret_len);
/* The value of one query parameter, still encoded; false when absent. */
bool http1_query_find(struct str query, const char *key, struct str *ret_value);
/* Writes '*' over the values of all parameters of that name. */
void http1_query_blank(char *query, size_t n, const char *key);

#endif
