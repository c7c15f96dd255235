/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which pool serves a request: the function's own for $LATEST and for the number that is current, else one of that number alone, made when the first request for it comes.
 * Its version is read by the store meanwhile:
 *
 *   LOADING   requests wait in its queue             timer: queue_timeout of the oldest; the store answers every job
 *   SERVING   as any pool                            timer: the pool's
 *   CLOSED    the number became current, the function or version went, or it could not be read; what waited was placed elsewhere or answered
 *                                                    none: it goes with its last instance
 *
 * It ends with its last instance, and the next request makes it anew. Where instances are kept ready (gateway/version_warm.h) it does not end, and is made without a request.
 */
#ifndef FAASD_GATEWAY_VERSION_POOL_H
#define FAASD_GATEWAY_VERSION_POOL_H

#include "gateway/invocation.h"

/* Takes the invocation over (pool_submit), or ends it: 404 when what it wants has gone, 429 when the function is stopped, 503 when memory is out. */
void version_pool_submit(struct invocation *inv);
/* Ends it: its function is not run (gateway/pool_limit.h). */
void version_pool_refuse_stopped(struct invocation *inv);

/* Has the version read and its pool serve, for who keeps instances of it ready: it is neither the current one nor has it an open pool. NULL: out of memory. */
struct pool *version_pool_open(struct function *f, struct versions_known *k);

/* Notes beside their numbers when the current version and those that have a pool were used last. */
void version_pool_note_uses(struct function *f);

/* Is a version of it that has a pool of its own given this secret? */
bool version_pool_names_secret(const struct function *f, struct str name);

/* For pools.c: nothing of it is left. It is freed before the loop blocks again. */
void version_pool_end(struct pool *p);

#endif
