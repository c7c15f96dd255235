/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Freezes instances that have been idle for `idle_freeze`, so that a thread which a function left running burns nothing between requests. One list and one
 * timer for the host: a busy function pays two list operations a request and no timer.
 *
 * Not frozen are templates (one thread, which waits) and their children until their first request: they have run nothing that could go on. A frozen
 * instance is killed as any other.
 */
#ifndef FAASD_GATEWAY_FREEZER_H
#define FAASD_GATEWAY_FREEZER_H

#include "base/list.h"
#include "gateway/gateway.h"

struct instance;

struct freezer {
    struct gateway *gateway;
    struct list thawed; /* struct instance.thawed_link: idle and not frozen, the latest first */
    ev_timer timer;     /* when the oldest of them is due, or earlier; active only while there is one */
};

void freezer_init(struct freezer *f, struct gateway *g);
void freezer_fini(struct freezer *f);
void freezer_watch(struct freezer *f, struct instance *i); /* it has become idle, later than all others */
void freezer_leave(struct instance *i); /* it is not idle any more, or stops; stays frozen if it is */
void freezer_thaw(struct instance *i);  /* leaves; THAW if it is frozen */

#endif
