/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long a function goes on learning (settings: seccomp `learning`). Whoever learns looks every half second (`faasd learn`, GET .../learned); a function at which nobody has looked for
 * learn_lease, because the learner was killed or its connection is gone, is given its list as `faasd learn NAME --stop` would give it: what was learnt is kept, and it is as fast as before.
 *
 *   LEARNING  the current version's setting says so     (timer: one for all functions, every learn_lease / 4)
 *   ENDING    its change of settings is under way       (the deploy's timers; one that fails is tried again after learn_lease)
 */
#ifndef FAASD_GATEWAY_LEARNING_H
#define FAASD_GATEWAY_LEARNING_H

#include "gateway/registry.h"

/* The function has another current version: where that one learns, the lease begins. */
void learning_begin(struct gateway *g, struct function *f);

/* Somebody looks: the lease begins anew. */
void learning_renew(struct function *f);

/* What it was seen to call and what was on its list already: names into the given settings, which are the caller's to drop. -ENOMEM. */
int learning_list(const struct function *f, struct settings *list, struct err *e);

#endif
