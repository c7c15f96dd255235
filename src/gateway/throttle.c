/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/throttle.h"

#include "base/id.h"

#include <string.h>

/*
 * A leaking bucket as one number: each wrong credential adds a minute's share to the time at which the bucket is empty; one that would make that more than a minute is over the limit. (The generic cell rate algorithm, ITU-T I.371.)
 */
static const uint64_t MINUTE_NS = UINT64_C(60000000000);

void throttle_init(struct throttle *t)
{
    id_random(&t->seed, sizeof(t->seed));
}

static struct address key_of(const struct address *a)
{
    struct address key = *a;
    if (key.family == ADDRESS_V6)
        memset(key.bytes + 8, 0, 8);
    return key;
}

static unsigned set_of(const struct throttle *t, const struct address *key)
{
    uint64_t hash = str_hash((struct str){(const char *)key, sizeof(*key)}, t->seed);
    return (unsigned)((hash ^ hash >> 32) % THROTTLE_SETS);
}

static const struct throttle_entry *find(const struct throttle *t, const struct address *key)
{
    const struct throttle_entry *set = t->entries[set_of(t, key)];
    for (unsigned i = 0; i < THROTTLE_WAYS; i++)
        if (memcmp(&set[i].address, key, sizeof(*key)) == 0)
            return &set[i];
    return NULL;
}

static uint64_t empty_after_one_more(const struct throttle_entry *entry, uint64_t now_ns, unsigned per_minute)
{
    return (entry->empty_ns > now_ns ? entry->empty_ns : now_ns) + MINUTE_NS / per_minute;
}

bool throttle_is_over(const struct throttle *t, const struct address *a, uint64_t now_ns, unsigned per_minute)
{
    struct address key = key_of(a);
    const struct throttle_entry *entry = find(t, &key);
    return entry && empty_after_one_more(entry, now_ns, per_minute) > now_ns + MINUTE_NS;
}

static struct throttle_entry *take_place(struct throttle *t, const struct address *key)
{
    struct throttle_entry *set = t->entries[set_of(t, key)];
    struct throttle_entry *entry = set;
    for (unsigned i = 1; i < THROTTLE_WAYS; i++)
        if (set[i].empty_ns < entry->empty_ns)
            entry = &set[i];
    *entry = (struct throttle_entry){.address = *key};
    return entry;
}

struct throttle_verdict throttle_count(struct throttle *t, const struct address *a, uint64_t now_ns,
                                       unsigned per_minute)
{
    struct address key = key_of(a);
    struct throttle_entry *entry = (struct throttle_entry *)find(t, &key);
    if (!entry)
        entry = take_place(t, &key);
    uint64_t after = empty_after_one_more(entry, now_ns, per_minute);
    if (after <= now_ns + MINUTE_NS) {
        entry->empty_ns = after;
        entry->told = false;
        return (struct throttle_verdict){0};
    }
    /* Those over the limit add nothing: who goes on is told the same in a minute, not in an hour. */
    struct throttle_verdict v = {.retry_s = (unsigned)((after - now_ns - MINUTE_NS) / 1000000000) + 1,
                                 .crossed = !entry->told};
    entry->told = true;
    return v;
}
