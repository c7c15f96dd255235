/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames to and from one native worker (faasd/frame.h, docs/PROTOCOL.md). One request at a time for now; the ids on the wire
 * allow more. No byte of the worker is trusted: lengths are checked against limits before anything is reserved.
 *
 *   STARTING  READY has not come        (the instance's timer)
 *   IDLE      nothing may come          (needs none)
 *   BUSY      a REPLY or ERROR is due   (the instance's timer)
 */
#ifndef FAASD_GATEWAY_NATIVE_CHANNEL_H
#define FAASD_GATEWAY_NATIVE_CHANNEL_H

#include "base/buf.h"
#include "faasd/frame.h"
#include "gateway/gateway.h"

enum native_channel_state { NATIVE_CHANNEL_STARTING, NATIVE_CHANNEL_IDLE, NATIVE_CHANNEL_BUSY };

/* Payload pointers are borrowed for the call. Each may destroy the channel's owner. */
struct native_channel_events {
    void (*on_ready)(void *owner);
    void (*on_reply)(void *owner, const struct faasd_reply_head *head, struct str fields, struct str body);
    void (*on_error)(void *owner, struct str type, struct str message, struct str trace);
    void (*on_violation)(void *owner, const char *what); /* the stream can't be used any more */
    void (*on_closed)(void *owner);
};

struct native_channel {
    struct gateway *gateway;
    const struct native_channel_events *events;
    void *owner;
    enum native_channel_state state;
    int fd; /* owned; -1 = closed */
    ev_io reader, writer;
    struct buf in;    /* a frame that came in pieces */
    struct buf out;   /* what the socket did not take */
    size_t out_sent;  /* of it, by now */
    uint64_t request; /* id of the request at hand */
    size_t reply_max; /* whole payload of a REPLY */
};

void native_channel_init(struct native_channel *c, struct gateway *g, const struct native_channel_events *events,
                         void *owner);
void native_channel_attach(struct native_channel *c, int fd);
void native_channel_fini(struct native_channel *c);

/* IDLE -> BUSY: one writev of head, fields and event. 0, or -errno: the worker is lost. */
struct native_request {
    uint64_t deadline_ms; /* wall clock, 0 = none */
    struct str fields;
    struct str event;
    size_t reply_max;
};
int native_channel_invoke(struct native_channel *c, const struct native_request *r);

#endif
