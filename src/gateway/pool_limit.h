/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A limit of a function's instances that is not a setting of its versions: what Lambda calls reserved concurrency. It stands in place of max_concurrency and of reserved, over all versions,
 * until it is taken away: so many and no more, and their memory is kept free for it. 0 stops the function: requests are throttled at once, those that wait too, running ones finish.
 *
 * Nothing is stored here: who sets limits knows them at the next start.
 */
#ifndef FAASD_GATEWAY_POOL_LIMIT_H
#define FAASD_GATEWAY_POOL_LIMIT_H

#include "base/err.h"
#include "gateway/registry.h"

/* Could the host's memory_budget keep so much? 0, or -EINVAL with a sentence. */
int pool_limit_check(const struct function *f, uint32_t limit, struct err *e);

/* From now on. What is beyond it goes when it is idle. */
void pool_limit_set(struct function *f, uint32_t limit);
void pool_limit_lift(struct function *f);

/* ---- between the pool's files, of a function's home ---- */

/* Idle instances beyond what the function may have go, and busy ones when they get free: while pool_sheds(), asked of any of its pools. */
struct pool;
void pool_shed(struct pool *home);
bool pool_sheds(struct pool *p);
/* The function is not run any more. */
void pool_refuse_waiting(struct pool *home);

#endif
