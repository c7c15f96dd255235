/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/verified.h"

#include "base/str.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct verified_slot {
    bool used;
    uint8_t kind; /* enum message_spawn_kind: a shell's sandbox is not a function's */
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

static struct verified_slot *slot_of(const struct verified *v, uint32_t kind, const char *revision)
{
    return &v->slots[str_hash(str_from(revision), kind) % VERIFIED_SLOTS];
}

bool verified_has(const struct verified *v, uint32_t kind, const char *revision)
{
    const struct verified_slot *at = slot_of(v, kind, revision);
    return at->used && at->kind == kind && strcmp(at->revision, revision) == 0;
}

void verified_add(struct verified *v, uint32_t kind, const char *revision)
{
    struct verified_slot *at = slot_of(v, kind, revision);
    at->used = true;
    at->kind = (uint8_t)kind;
    str_copy(str_from(revision), at->revision, sizeof(at->revision));
}
