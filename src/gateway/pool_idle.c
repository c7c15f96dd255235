/* SPDX-License-Identifier: Apache-2.0 */
/* How many instances a pool keeps ready, and what these cost while nobody asks for them: memory x time, a line of its own in the bill. */
#include "gateway/pool_internal.h"

#include "gateway/records.h"

void pool_note_idle(struct pool *p)
{
    uint64_t now = clock_mono_ns();
    uint64_t idle = p->counts[INSTANCE_IDLE] < p->warm_min ? p->counts[INSTANCE_IDLE] : p->warm_min;
    uint64_t us = (now - p->idle_at_ns) / 1000;
    p->idle_mib_us += (uint64_t)((__uint128_t)us * idle * p->warm_bytes >> 20);
    p->idle_at_ns = now;
}

/* min_warm is the current version's; what numbers and aliases want is theirs, wherever the version is served. */
static uint32_t warm_for(const struct pool *p)
{
    const struct version *v = p->version;
    if (!v)
        return 0;
    uint64_t wanted = versions_warm(&p->function->versions, v->number);
    uint32_t least = p->number ? 0 : v->settings.min_warm;
    uint32_t most = function_concurrency(p->function, &v->settings);
    return wanted <= least ? least : wanted > most ? most : (uint32_t)wanted;
}

void pool_settle_warm(struct pool *p)
{
    const struct version *v = p->version;
    if (p->warm_min)
        pool_note_idle(p);
    p->warm_min = warm_for(p);
    p->warm_bytes = v ? v->settings.memory_bytes : 0;
    p->idle_at_ns = clock_mono_ns();
    list_remove(&p->warm_link);
    if (p->warm_min)
        list_push_back(&p->pools->warm, &p->warm_link);
    else if (p->idle_mib_us)
        pool_bill_idle(p);
}

void pool_bill_idle(struct pool *p)
{
    if (p->warm_min)
        pool_note_idle(p);
    records_add_idle(p->pools->gateway->records, p->function, p->idle_mib_us);
    p->idle_mib_us = 0;
}

void pools_bill_idle(struct pools *all)
{
    LIST_EACH (&all->warm, link)
        pool_bill_idle(LIST_ENTRY(link, struct pool, warm_link));
}
