/* SPDX-License-Identifier: Apache-2.0 */
/* Which revisions' sandboxes passed the check from outside since the supervisor started. Forgetting one only means checking it again. */
#ifndef FAASD_SUPERVISOR_VERIFIED_H
#define FAASD_SUPERVISOR_VERIFIED_H

#include "supervisor/message.h"

#include <stdbool.h>

enum { VERIFIED_SLOTS = 1024 /* x 68 bytes; a page is touched when a slot in it is used */ };

struct verified {
    struct verified_slot *slots; /* owned */
};

int verified_init(struct verified *v); /* 0 or -ENOMEM */
void verified_fini(struct verified *v);
/* `plan`: which of a revision's sandboxes. A shell's is not a function's, nor is a template's. */
uint32_t verified_plan(const struct message_spawn *m);
bool verified_has(const struct verified *v, uint32_t plan, const char *revision);
void verified_add(struct verified *v, uint32_t plan, const char *revision);

#endif
