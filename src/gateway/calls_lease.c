/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/calls_lease.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

enum { SLOTS_FIRST = 64 };

static size_t place_of(const struct calls_leases *l, uint64_t seq)
{
    return (size_t)((seq * UINT64_C(0x9e3779b97f4a7c15)) >> 32) & (l->cap - 1);
}

/* Where it stands, or the free slot at which the search for it ends. */
static size_t find(const struct calls_leases *l, uint64_t seq)
{
    size_t at = place_of(l, seq);
    while (l->slots[at] && l->slots[at] != seq)
        at = (at + 1) & (l->cap - 1);
    return at;
}

static int grow(struct calls_leases *l)
{
    struct calls_leases larger = {.cap = l->cap ? 2 * l->cap : SLOTS_FIRST, .count = l->count};
    larger.slots = calloc(larger.cap, sizeof(*larger.slots));
    if (!larger.slots)
        return -ENOMEM;
    for (size_t i = 0; i < l->cap; i++)
        if (l->slots[i])
            larger.slots[find(&larger, l->slots[i])] = l->slots[i];
    free(l->slots);
    *l = larger;
    return 0;
}

int calls_leases_add(struct calls_leases *l, uint64_t seq)
{
    assert(seq);
    if (2 * (l->count + 1) > l->cap && grow(l) < 0)
        return -ENOMEM;
    size_t at = find(l, seq);
    assert(!l->slots[at]);
    l->slots[at] = seq;
    l->count++;
    return 0;
}

bool calls_leases_have(const struct calls_leases *l, uint64_t seq)
{
    return seq && l->count && l->slots[find(l, seq)] == seq;
}

void calls_leases_remove(struct calls_leases *l, uint64_t seq)
{
    if (!calls_leases_have(l, seq))
        return;
    size_t hole = find(l, seq);
    l->slots[hole] = 0;
    l->count--;
    /* What stands behind without a gap may have been pushed past the hole: it is put in again. */
    for (size_t at = (hole + 1) & (l->cap - 1); l->slots[at]; at = (at + 1) & (l->cap - 1)) {
        uint64_t moved = l->slots[at];
        l->slots[at] = 0;
        l->slots[find(l, moved)] = moved;
    }
}

void calls_leases_fini(struct calls_leases *l)
{
    free(l->slots);
    *l = (struct calls_leases){0};
}
