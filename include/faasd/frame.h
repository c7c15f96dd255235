/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The frames that a native worker and faasd exchange on the worker's fd 3, a Unix stream socket. docs/PROTOCOL.md is the
 * specification, for any language; this header is its C form. All integers are little-endian.
 *
 * faasd sends INVOKE; the worker answers each with exactly one REPLY or ERROR that carries the same id. The worker sends READY once,
 * when its initialisation is complete; before that faasd sends nothing. End of file means: exit.
 */
#ifndef FAASD_FRAME_H
#define FAASD_FRAME_H

#include <stdint.h>

#define FAASD_FRAME_FD 3

enum faasd_frame_type {
    FAASD_FRAME_READY = 1,  /* worker -> faasd: payload is empty */
    FAASD_FRAME_INVOKE = 2, /* faasd -> worker: struct faasd_invoke_head, fields, event */
    FAASD_FRAME_REPLY = 3,  /* worker -> faasd: struct faasd_reply_head, fields, body */
    FAASD_FRAME_ERROR = 4,  /* worker -> faasd: struct faasd_error_head, type, message, trace */
};

struct faasd_frame {   /* 16 bytes before every payload */
    uint32_t length;   /* of the payload */
    uint16_t type;     /* enum faasd_frame_type */
    uint16_t reserved; /* 0 */
    uint64_t id;       /* of the request, drawn at random by faasd; 0 in READY */
};

/* Fields are pairs of NUL-terminated strings, name then value, one after another, fields_length bytes in all. */
struct faasd_invoke_head {
    uint64_t deadline_ms; /* wall clock, milliseconds since the epoch; 0 = none */
    uint32_t
        fields_length; /* request_id, method, path, query, then one "header-name" in lower case per request header with the prefix "http." */
    uint32_t event_length;
};

struct faasd_reply_head {
    uint32_t status; /* HTTP status 200-599 */
    uint32_t
        fields_length; /* reply headers; hop-by-hop and framing ones are dropped, invalid ones make the reply a BadReply */
    uint32_t body_length;
    uint32_t reserved; /* 0 */
};

struct faasd_error_head {
    uint32_t type_length; /* e.g. "ValueError" */
    uint32_t message_length;
    uint32_t trace_length; /* JSON array of strings, or nothing */
    uint32_t reserved;     /* 0 */
};

#endif
