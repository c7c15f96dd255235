/* SPDX-License-Identifier: Apache-2.0 */
/* The lines that faasd itself puts before every reply, printed without stdio: this is on the path of each request. */
#ifndef FAASD_GATEWAY_REPLY_HEAD_H
#define FAASD_GATEWAY_REPLY_HEAD_H

#include "base/str.h"

#include <stddef.h>

enum { REPLY_HEAD_MAX = 768, REPLY_HEAD_TYPE_MAX = 256 /* of content_type */ };

enum reply_framing {
    REPLY_LENGTH,    /* Content-Length: content_length */
    REPLY_CHUNKED,   /* Transfer-Encoding: chunked */
    REPLY_NO_LENGTH, /* ends with the connection, or has no body at all (204, 101) */
};

struct reply_head {
    int status;               /* 100-599 */
    const char *content_type; /* NULL: none */
    const char *request_id;
    const char *id_field; /* its name; NULL: X-Request-Id */
    enum reply_framing framing;
    uint64_t content_length;
    const char *connection; /* "close", "keep-alive", ...; NULL: no such line */
};

/* Status line and fields, each ended by CRLF; the empty line is the caller's. Returns the length. */
size_t reply_head_print(const struct reply_head *h, char out[REPLY_HEAD_MAX]);

#endif
