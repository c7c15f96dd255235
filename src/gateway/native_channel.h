/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames to and from one native worker (faasd/frame.h, docs/PROTOCOL.md). One request at a time for now; the ids on the wire
 * allow more. No byte of the worker is trusted: lengths are checked against limits before anything is reserved.
 *
 *   STARTING  READY, or ERROR with id 0, has not come   (the instance's timer)
 *   IDLE      nothing may come          (needs none); a template stays here and is sent FORK
 *   BUSY      a REPLY or ERROR is due   (the instance's timer)
 *   STREAMING the REPLY goes on: a CHUNK or ERROR is due   (the instance's timer)
 */
#ifndef FAASD_GATEWAY_NATIVE_CHANNEL_H
#define FAASD_GATEWAY_NATIVE_CHANNEL_H

#include "base/buf.h"
#include "faasd/frame.h"
#include "gateway/gateway.h"
#include "gateway/native_ready.h"

enum native_channel_state {
    NATIVE_CHANNEL_STARTING,
    NATIVE_CHANNEL_IDLE,
    NATIVE_CHANNEL_BUSY,
    NATIVE_CHANNEL_STREAMING
};

/* Payload pointers are borrowed for the call. Each may destroy the channel's owner. */
struct native_channel_events {
    void (*on_ready)(void *owner, const struct native_ready *r);
    void (*on_init_error)(void *owner, struct str type, struct str message,
                          struct str trace); /* in the place of on_ready */
    void (*on_reply)(void *owner, const struct faasd_reply_head *head, struct str fields, struct str body);
    /* The three of a reply that comes in pieces, in the place of on_reply; on_error may end it too. The first two must leave the channel to its owner. */
    void (*on_begin)(void *owner, const struct faasd_reply_head *head, struct str fields, struct str body);
    void (*on_chunk)(void *owner, struct str bytes);
    void (*on_end)(void *owner);
    /* `leaving`: it ends, the request at hand is its last */
    void (*on_error)(void *owner, struct str type, struct str message, struct str trace, bool leaving);
    void (*on_violation)(void *owner, const char *what); /* the stream can't be used any more */
    void (*on_closed)(void *owner);
};

struct native_channel {
    struct gateway *gateway;
    const struct native_channel_events *events;
    void *owner;
    enum native_channel_state state;
    int fd;           /* owned; -1 = closed */
    bool forked;      /* the first bytes must bring who sent them and the log's pipe */
    bool heard;       /* its first bytes have come */
    int32_t peer_pid; /* who sent them, by the kernel's word; 0: not known */
    int log_fd;       /* forked: the pipe that came with them, owned until native_channel_take_log; -1 = none */
    ev_io reader, writer;
    struct buf in;    /* a frame that came in pieces */
    struct buf out;   /* what the socket did not take */
    size_t out_sent;  /* of it, by now */
    uint64_t request; /* id of the request at hand */
    size_t reply_max; /* whole payload of a REPLY */
    bool paused;      /* STREAMING: nothing is read until native_channel_resume */
    bool unread;      /* on_closed: bytes that were sent to it had not been read when it ended */
};

void native_channel_init(struct native_channel *c, struct gateway *g, const struct native_channel_events *events,
                         void *owner);
void native_channel_attach(struct native_channel *c, int fd);
/* Before the other end is handed to a template: the child's first bytes must carry who it is (SCM_CREDENTIALS) and exactly one descriptor, a pipe. READY without
 * them is a violation; an ERROR may come without the pipe. */
void native_channel_attach_forked(struct native_channel *c, int fd);
int native_channel_take_log(struct native_channel *c); /* the pipe, the caller's now; -1 when there is none */
/* Its process has ended: tells the owner what it had still sent. */
void native_channel_drain(struct native_channel *c);
void native_channel_fini(struct native_channel *c); /* may be initialised again */

/* IDLE -> BUSY: one writev of head, fields and event. 0, or -errno: the worker is lost, and can't have got the whole of it. */
struct native_request {
    uint64_t deadline_ms; /* wall clock, 0 = none */
    struct str fields;
    struct str event;
    size_t reply_max;
};
int native_channel_invoke(struct native_channel *c, const struct native_request *r);

/* STREAMING: stops reading; what has been read already is still told. Its end resumes by itself. */
void native_channel_pause(struct native_channel *c);
void native_channel_resume(struct native_channel *c);

/* IDLE: sends FORK with its descriptors, which stay the caller's. 0, or -errno: the template is lost. */
int native_channel_fork(struct native_channel *c, const struct faasd_fork *f, const int *fds, unsigned fd_count);

#endif
