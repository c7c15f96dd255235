/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A function's reply that comes in pieces. What becomes of it the caller decides, not the function: whoever asked for a stream gets each piece as it comes, for all
 * others it is collected and goes out whole.
 *
 * A stream holds no more than EXCHANGE_STREAM_HIGH bytes and one read for a client that does not keep up: then its source is told to wait and stops reading from the
 * function, whose writes block, until the client has read on or has gone. Once the first byte is out, a failure can only cut the stream
 * (invocation_end_failure does that by itself); a client that leaves changes nothing for the function, the rest is dropped.
 *
 * It is made with the first piece and freed with its invocation: a reply that comes whole has none. No timer of its own: the function's timeout runs until its end,
 * and a client that stands still is given up by its connection (body_deadline).
 */
#ifndef FAASD_GATEWAY_REPLY_STREAM_H
#define FAASD_GATEWAY_REPLY_STREAM_H

#include "gateway/invocation.h"

enum reply_stream_go {
    REPLY_STREAM_GO,
    REPLY_STREAM_WAIT,      /* the piece was taken; no more before the source is called */
    REPLY_STREAM_TOO_LONG,  /* over `stream_bytes`, or `reply_bytes` where it is collected; the piece was dropped */
    REPLY_STREAM_NO_MEMORY, /* the same */
};

/* Who produces it. on_room: goes on after REPLY_STREAM_WAIT; perhaps without one, which then means nothing. */
struct reply_source {
    void (*on_room)(void *owner);
    void *owner; /* outlives the invocation's delivery */
};

struct reply_stream {
    struct reply_source source;
    bool passes; /* goes on as it comes; else it is collected */
    bool waits;  /* the source was told to */
    uint64_t bytes;
    uint64_t first_ns; /* monotonic: when it began */
    /* Collected: */
    int status;
    const char *content_type; /* static */
    bool is_http;
    struct buf fields, body; /* owned */
};

/* Does the caller of a delivered invocation get the reply as it comes? */
bool reply_stream_is_wanted(const struct invocation *inv);

/* The head: h->body is not looked at, h->content_type is borrowed for the call when the reply is passed on and must be static otherwise. 0 or -ENOMEM. */
int reply_stream_begin(struct invocation *inv, const struct invocation_reply *h, const struct reply_source *source);
enum reply_stream_go reply_stream_write(struct invocation *inv, struct str piece);
void reply_stream_end(struct invocation *inv); /* it is complete: ends the invocation */

/* "the stream is longer than the limit 'stream_bytes' (200M)" */
enum { REPLY_STREAM_TEXT_MAX = 128 };
void reply_stream_print_limit(const struct invocation *inv, char out[REPLY_STREAM_TEXT_MAX]);

void reply_stream_free(struct reply_stream *s); /* for the invocation; NULL is fine */

#endif
