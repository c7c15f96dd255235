/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the gateway's modules share: the loop, the configuration and each other. Every pointer is owned by gateway/main.c, set once at
 * start, and never NULL afterwards. One thread; only gateway/store.c and calls_store.c have others.
 */
#ifndef FAASD_GATEWAY_GATEWAY_H
#define FAASD_GATEWAY_GATEWAY_H

#include "gateway/turn.h"
#include "supervisor/message.h"

#include <ev.h>

struct gateway {
    struct ev_loop *loop;
    struct config *config; /* replaced in place by a reload */
    const struct gateway_boot *boot;
    struct link *link;               /* gateway/link.h: messages to the supervisor */
    struct registry *registry;       /* gateway/registry.h: functions and their versions */
    struct store *store;             /* gateway/store.h: SQLite and log files, on their own thread */
    struct secrets *secrets;         /* gateway/secrets.h: sealed, for functions that name them */
    struct pools *pools;             /* gateway/pool.h: instances and queues */
    struct tokens *tokens;           /* gateway/tokens.h: who has a credential */
    struct credentials *credentials; /* gateway/credential.h: failed ones, and signatures that were used */
    struct calls *calls;     /* gateway/calls.h: asynchronous calls, with a database and a thread of their own */
    struct front *front;     /* gateway/front.h: listeners and connections */
    struct records *records; /* gateway/records.h: what happened */
    const struct face *face; /* gateway/face.h: a layer above that answers paths of its own; NULL: none */
    struct turn turn;        /* gateway/turn.h: what the time is */
    bool draining;
};

/* The gateway process, from the descriptors of supervisor/message.h to its end; returns the exit status. */
int gateway_main(const struct face *face);

/* Called when draining has begun and again whenever an invocation, deploy or connection ends: leaves the loop when nothing runs any more. */
void gateway_check_drained(struct gateway *g);

#endif
