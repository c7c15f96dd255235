/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/record_ring.h"

#include <assert.h>
#include <string.h>
#include <sys/mman.h>

void record_ring_init(struct record_ring *r, uint32_t size)
{
    assert(size > 0);
    *r = (struct record_ring){.size = size};
}

void record_ring_fini(struct record_ring *r)
{
    for (uint64_t n = record_ring_oldest(r); n <= r->last; n++)
        account_put(record_ring_at(r, n)->account);
    if (r->records)
        munmap(r->records, r->size * sizeof(*r->records));
    r->records = NULL;
    r->last = 0;
}

struct record *record_ring_add(struct record_ring *r)
{
    if (!r->records) {
        void *p = mmap(NULL, r->size * sizeof(*r->records), PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (p == MAP_FAILED)
            return NULL;
        r->records = p;
    }
    struct record *at = &r->records[(r->last + 1) % r->size];
    account_put(at->account);
    *at = (struct record){.number = ++r->last};
    return at;
}

struct record *record_ring_at(const struct record_ring *r, uint64_t number)
{
    if (!r->records || number == 0)
        return NULL;
    struct record *at = &r->records[number % r->size];
    return at->number == number ? at : NULL;
}

uint64_t record_ring_oldest(const struct record_ring *r)
{
    return r->last >= r->size ? r->last - r->size + 1 : 1;
}

/* From the newest back: who asks has seen its id a moment ago. */
struct record *record_ring_find(const struct record_ring *r, const uint8_t id[ID_UUID_BYTES])
{
    for (uint64_t n = r->last; n >= record_ring_oldest(r) && n > 0; n--) {
        struct record *at = record_ring_at(r, n);
        if (at && memcmp(at->id, id, ID_UUID_BYTES) == 0)
            return at;
    }
    return NULL;
}
