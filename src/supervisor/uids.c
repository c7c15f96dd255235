/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/uids.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

enum { WORD = 64 };

int uids_init(struct uids *u, uint32_t first, uint32_t count)
{
    *u = (struct uids){.first = first, .count = count, .taken = calloc((size_t)count / WORD + 1, sizeof(uint64_t))};
    return u->taken ? 0 : -ENOMEM;
}

void uids_fini(struct uids *u)
{
    free(u->taken);
    u->taken = NULL;
}

uint32_t uids_take(struct uids *u)
{
    for (uint32_t tried = 0; tried < u->count; tried++) {
        uint32_t at = u->next;
        u->next = at + 1 == u->count ? 0 : at + 1;
        uint64_t bit = 1ULL << (at % WORD);
        if (u->taken[at / WORD] & bit)
            continue;
        u->taken[at / WORD] |= bit;
        return u->first + at;
    }
    return 0;
}

void uids_give_back(struct uids *u, uint32_t uid)
{
    assert(uid >= u->first && uid - u->first < u->count);
    uint32_t at = uid - u->first;
    uint64_t bit = 1ULL << (at % WORD);
    assert(u->taken[at / WORD] & bit);
    u->taken[at / WORD] &= ~bit;
}
