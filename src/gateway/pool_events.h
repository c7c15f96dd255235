/* SPDX-License-Identifier: Apache-2.0 */
/* What instances and drivers tell their pool, and ask of it. Implemented by the pool's files (pool_internal.h). */
#ifndef FAASD_GATEWAY_POOL_EVENTS_H
#define FAASD_GATEWAY_POOL_EVENTS_H

#include "gateway/instance.h"

/* on_state: `i` went from `before` to its present state; counts move. */
void pool_on_instance_state(struct pool *p, struct instance *i, enum instance_state before);
/* KILL was sent: the supervisor does not count it any more. One that ends by itself it counts until EXITED. */
void pool_on_instance_killed(struct instance *i);
void pool_on_instance_ready(struct pool *p, struct instance *i);  /* IDLE now: give it work or a place to wait */
void pool_on_instance_served(struct pool *p, struct instance *i); /* a request was answered well: no crash loop */
/* Its process was lost with a request, the sandbox lives. False: too often in a row, the sandbox is to go too, so that the backoff holds its successor back. */
bool pool_on_process_lost(struct pool *p, struct instance *i);
bool pool_wants_again(struct pool *p, const struct instance *i); /* is it worth a new process? */
/* A worker that may be a template is ready and can be forked: is there room for a child beside it? Otherwise it serves. */
bool pool_may_open_template(struct pool *p, struct instance *i);
void pool_on_template_retired(struct pool *p); /* children of it are to be replaced */
void pool_on_template_open(struct pool *p, struct instance *i);
void pool_drop_template(struct pool *p,
                        struct instance *i); /* it will not be one; nothing for one that was not to be */
void pool_thaw(struct instance *i);          /* before it is given work */
/* The instance that it was delivered to has not read it, and is none that serves any more: the next one gets it, ahead of all that wait. False: it has come back
 * too often, or the gateway drains; it stays the caller's. */
bool pool_take_back(struct pool *p, struct invocation *inv);
/* Every process of it is dead; `failed_start`: it never became ready, reason in i->doom_text. The instance is freed by the pool after this loop turn. */
void pool_on_instance_gone(struct pool *p, struct instance *i, bool failed_start);

#endif
