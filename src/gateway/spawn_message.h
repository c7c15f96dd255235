/* SPDX-License-Identifier: Apache-2.0 */
/* What the supervisor is told about a sandbox that runs a function's code: the one place that turns settings into a SPAWN message. */
#ifndef FAASD_GATEWAY_SPAWN_MESSAGE_H
#define FAASD_GATEWAY_SPAWN_MESSAGE_H

#include "gateway/link.h"
#include "gateway/registry.h"

/* Fills all of *m but the header's id and size (link_send sets those), `slots` and the secrets. Kind is MESSAGE_SPAWN_FUNCTION: a shell changes it afterwards. Of `f` only the name
 * is read, so that a first deploy, which has no current version yet, may be tried. */
void spawn_message_fill(struct message_spawn *m, const struct config *c, const struct function *f,
                        const struct version *v);

/* Sends it, with the secrets that the version names. */
void spawn_message_send(struct gateway *g, struct link_waiter *w, struct message_spawn *m, const struct version *v);

#endif
