/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The frames that a native worker and faasd exchange on the worker's fd 3, a Unix stream socket. docs/PROTOCOL.md is the
 * specification, for any language; this header is its C form. All integers are little-endian.
 *
 * faasd sends INVOKE; the worker answers each with exactly one REPLY or ERROR that carries the same id; a REPLY may go on in CHUNKs. The worker sends READY once,
 * when its initialisation is complete; before that faasd sends nothing. End of file means: exit.
 */
#ifndef FAASD_FRAME_H
#define FAASD_FRAME_H

#include <stdint.h>

#define FAASD_FRAME_FD 3

enum faasd_frame_type {
    FAASD_FRAME_READY =
        1, /* worker -> faasd: nothing, or fields (below) that tell about the worker: "runtime", "template", "imports" */
    FAASD_FRAME_INVOKE = 2, /* faasd -> worker: struct faasd_invoke_head, fields, event */
    FAASD_FRAME_REPLY = 3,  /* worker -> faasd: struct faasd_reply_head, fields, body */
    FAASD_FRAME_ERROR =
        4, /* worker -> faasd: struct faasd_error_head, type, message, trace. With id 0 in the place of READY: its initialisation failed */
    FAASD_FRAME_FORK =
        5, /* faasd -> template: struct faasd_fork, with descriptors: the child's socket, then the files by which it joins its cgroups */
    FAASD_FRAME_CHUNK =
        6, /* worker -> faasd, behind a REPLY with FAASD_REPLY_MORE: the next 1 to FAASD_CHUNK_MAX bytes of its body; nothing: that was all */
};

#define FAASD_CHUNK_MAX 65520 /* with its head 64 KiB */

struct faasd_frame {   /* 16 bytes before every payload */
    uint32_t length;   /* of the payload */
    uint16_t type;     /* enum faasd_frame_type */
    uint16_t reserved; /* 0 */
    uint64_t id;       /* of the request, drawn at random by faasd; 0 in READY */
};

/* Fields are pairs of NUL-terminated strings, name then value, one after another, fields_length bytes in all. */
struct faasd_invoke_head {
    uint64_t deadline_ms; /* wall clock, milliseconds since the epoch; 0 = none */
    /* request_id, method, path, query, function_arn, client_context where there is one, then one "header-name" in lower case per request header with the
     * prefix "http." */
    uint32_t fields_length;
    uint32_t event_length;
};

struct faasd_reply_head {
    uint32_t status; /* HTTP status 200-599 */
    uint32_t
        fields_length; /* reply headers; hop-by-hop and framing ones are dropped, invalid ones make the reply a BadReply */
    uint32_t body_length;
    uint32_t flags; /* enum faasd_reply_flag */
};

enum faasd_reply_flag {
    FAASD_REPLY_MORE =
        1, /* the body goes on in CHUNKs, up to one without a byte; an ERROR in its place says that the handler failed on the way */
    FAASD_REPLY_HTTP = 2, /* status, fields and body are the HTTP reply: no payload format is looked for in the body */
};

struct faasd_error_head {
    uint32_t type_length; /* e.g. "ValueError" */
    uint32_t message_length;
    uint32_t trace_length; /* JSON array of strings, or nothing */
    uint32_t flags;        /* enum faasd_error_flag */
};

enum faasd_error_flag {
    FAASD_ERROR_LEAVING =
        1, /* the worker ends now and must not be given another request: a `process.exit()` in a handler, an uncaught exception */
};

/*
 * Templates. A worker whose READY has the field template=yes may be sent FORK instead of INVOKE: it then forks and goes on reading FORK frames, and
 * never sees an event. The child makes the received socket its fd 3, writes "0" to each further descriptor, enters the root
 * "/run/slots/SLOT" (chroot(2), then chdir to /var/task) unless SLOT is FAASD_FORK_SAME_ROOT, gives up every capability, makes itself undumpable, narrows its Landlock
 * scope, reseeds, and says READY: that frame's first byte carries the read end of a pipe, which is its stdout and stderr, by SCM_RIGHTS.
 */
enum { FAASD_FORK_FDS_MAX = 8, FAASD_FORK_SAME_ROOT = 0xffffffff, FAASD_FORK_RANDOM = 32 };

struct faasd_fork {
    uint32_t slot;
    uint32_t reserved;                       /* 0 */
    unsigned char random[FAASD_FORK_RANDOM]; /* fresh for each child, from getrandom(2) of faasd */
};

#endif
