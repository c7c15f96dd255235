/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The supervisor's end of the message socket. While something waits to be sent, nothing is read: so the queue holds at most the answers to one batch
 * of requests and the ends of the sandboxes that live, and a gateway that never reads can't make it grow.
 * Messages that may share a record (message_may_share) wait in `kept` until the loop has done all that it was woken for, or another message is sent.
 */
#ifndef FAASD_SUPERVISOR_CHANNEL_H
#define FAASD_SUPERVISOR_CHANNEL_H

#include "base/list.h"
#include "supervisor/message.h"

#include <ev.h>

struct supervisor;

enum {
    CHANNEL_BATCH =
        32, /* requests of one loop turn, give or take what shares a record: signals and exits get their turn in between */
    CHANNEL_END_SECONDS = 1,    /* between the end of the socket and the end of the process */
    CHANNEL_STUCK_SECONDS = 30, /* a gateway that takes nothing for so long is broken */
};

struct channel {
    struct supervisor *supervisor;
    int fd;         /* -1: no gateway */
    ev_io readable; /* stopped while the queue holds something */
    ev_io writable; /* active while the queue holds something */
    ev_timer stuck;
    bool ended;         /* the gateway closed its end */
    struct list queue;  /* struct queued.link, oldest first; older than what is kept */
    ev_prepare flusher; /* fed while something is kept, never started: it comes when nothing else is pending */
    uint32_t kept_size;
    char kept[MESSAGE_RECORD_MAX];
};

void channel_init(struct channel *c, struct supervisor *s);
void channel_open(struct channel *c, int fd); /* takes fd */
void channel_close(struct channel *c);        /* what waits is dropped, its descriptors closed */

/* Sends or queues. fds[0..fd_count) are taken: closed here when the kernel has them. Without a gateway they are just closed. */
void channel_send(struct channel *c, struct message_header *m, int *fds, unsigned fd_count);

/* Sends what is kept: before anything that takes the loop longer than a message. */
void channel_flush(struct channel *c);

/* The two shapes that most answers have. */
void channel_send_plain(struct channel *c, enum message_type type, uint64_t id, int fd /* -1 = none; taken */);
void channel_send_failed(struct channel *c, enum message_type type, uint64_t id,
                         const struct err *e /* NULL = no failure */);

#endif
