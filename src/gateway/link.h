/* SPDX-License-Identifier: Apache-2.0 */
/* The gateway's end of the socket to the supervisor: sends messages, hands arriving ones to whoever waits for their id. */
#ifndef FAASD_GATEWAY_LINK_H
#define FAASD_GATEWAY_LINK_H

#include "gateway/gateway.h"

/* Called for each message that answers `id`. fds are the receiver's from then on (close what is not kept). Instances stay registered until
 * SPAWN_FAILED or EXITED; tree messages until DONE, a question for STEPS until STEPS_ARE. A message that came with descriptors for which this process had no room is handed over with
 * fd_count 0: whoever waits gives up what they belong to. */
struct link_waiter {
    uint64_t id; /* set by link_next_id */
    void (*on_message)(struct link_waiter *w, const struct message_header *m, const int *fds, unsigned fd_count);
    struct link_waiter *next; /* hash chain of the link */
};

/* Takes the descriptor over. NULL with the reason in e; the descriptor is closed then too. */
struct link *link_new(struct gateway *g, int fd, struct err *e);
void link_free(struct link *l); /* waiters stay their owners' */

/* What concerns the gateway as a whole. Each comes on the loop; on_lost at most once: the supervisor is gone, broke the protocol or stopped reading. */
struct link_events {
    void (*on_drain)(struct gateway *g);
    void (*on_config)(struct gateway *g,
                      int fd); /* the descriptor is the callee's; -EMFILE: there was no room for it */
    void (*on_lost)(struct gateway *g, const char *why);
};
void link_set_events(struct link *l, const struct link_events *events); /* borrowed */

void link_register(struct link *l, struct link_waiter *w); /* gives w->id a fresh number */
/* The link does this itself before it hands over a message that ends the id (SPAWN_FAILED, EXITED, DONE, STEPS_ARE); doing it again is harmless. */
void link_unregister(struct link *l, struct link_waiter *w);

/* Bytes of messages that wait for the supervisor to read: some three thousand SPAWNs. */
enum { LINK_QUEUE_MAX = 32 << 20 };

/* Sends one message (header.type and the rest filled in; size and id are set here from the arguments), in its order: at once, or, where it may share a record with others
 * (message_may_share), when the loop has done all that it was woken for. The socket is blocking-free: what the kernel does not take
 * is queued, bounded by LINK_QUEUE_MAX; overflow means the supervisor is gone, and the gateway exits. */
void link_send(struct link *l, struct link_waiter *w, struct message_header *m, uint32_t size);
/* The same with a descriptor, which is taken over; -1 = none. */
void link_send_with(struct link *l, struct link_waiter *w, struct message_header *m, uint32_t size, int fd);
void link_send_plain(struct link *l, struct link_waiter *w, enum message_type type); /* w may be NULL: id 0 */

#endif
