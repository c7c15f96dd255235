/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which ids functions and their code have, as this process sees them: of the host, or of the user namespace that an ordinary user's daemon is root of (os/userns.h).
 *
 *   uid_base        the gateway, where the host has no user faasd
 *   uid_base + 1    the code owner
 *   uid_base + 2..  instances
 *
 * A namespace without subordinate ids has one id, 0, which is everybody's: the code owner is 0 then, and so is each instance.
 */
#ifndef FAASD_SANDBOX_IDENTITY_H
#define FAASD_SANDBOX_IDENTITY_H

#include "codec/config.h"

enum { IDENTITY_RESERVED = 2 }; /* of uid_count: not instances' */

bool identity_is_shared(void); /* there is one id */
uint32_t identity_gateway(const struct config *c);
uint32_t identity_code_owner(const struct config *c);
uint32_t identity_first_instance(const struct config *c);

/* In a user namespace uid_base and uid_count are what was mapped: the configuration's own are the host's. */
void identity_fit(struct config *c);

#endif
