/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/verified.h"

#include "base/str.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct verified_slot {
    bool used;
    uint8_t plan; /* verified_plan() */
    char revision[MESSAGE_DIGEST_MAX];
};

int verified_init(struct verified *v)
{
    v->slots = calloc(VERIFIED_SLOTS, sizeof(*v->slots));
    return v->slots ? 0 : -ENOMEM;
}

void verified_fini(struct verified *v)
{
    free(v->slots);
    v->slots = NULL;
}

uint32_t verified_plan(const struct message_spawn *m)
{
    enum { TEMPLATE = 128 };
    return m->kind | (m->slots ? TEMPLATE : 0);
}

static struct verified_slot *slot_of(const struct verified *v, uint32_t plan, const char *revision)
{
    return &v->slots[str_hash(str_from(revision), plan) % VERIFIED_SLOTS];
}

bool verified_has(const struct verified *v, uint32_t plan, const char *revision)
{
    const struct verified_slot *at = slot_of(v, plan, revision);
    return at->used && at->plan == plan && strcmp(at->revision, revision) == 0;
}

void verified_add(struct verified *v, uint32_t plan, const char *revision)
{
    struct verified_slot *at = slot_of(v, plan, revision);
    at->used = true;
    at->plan = (uint8_t)plan;
    str_copy(str_from(revision), at->revision, sizeof(at->revision));
}
