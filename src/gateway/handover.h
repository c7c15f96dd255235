/* SPDX-License-Identifier: Apache-2.0 */
/* One descriptor that comes by SCM_RIGHTS with the first byte on a stream socket: how a sandbox's set-up hands out what only it could make. */
#ifndef FAASD_GATEWAY_HANDOVER_H
#define FAASD_GATEWAY_HANDOVER_H

#include "gateway/gateway.h"

struct handover {
    struct gateway *gateway;
    void (*on_arrived)(void *owner, int fd);
    void *owner;
    int fd; /* owned; -1 = nothing is awaited */
    ev_io reader;
};

/* on_arrived comes once: with the descriptor (CLOEXEC, the owner's), or -1 when the byte came without one (no room for it in this process). It does not come when
 * the socket ends before the byte: then the set-up has failed, and whoever started it is told why. */
void handover_init(struct handover *h, struct gateway *g, void (*on_arrived)(void *owner, int fd), void *owner);
void handover_attach(struct handover *h, int fd); /* takes the socket over; the owner's timer guards the wait */
void handover_fini(struct handover *h);

#endif
