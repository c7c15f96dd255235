/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A function's pools: its own, which serves $LATEST, and one for each other version that is called by number or alias. What is promised to the function as a whole
 * (max_concurrency, queue) holds over all of them together; $LATEST's settings say how much that is.
 */
#include "gateway/pool_internal.h"

#include "gateway/pool_limit.h"
#include "gateway/version_pool.h"

/* How long requests of a version without an instance wait before the function's other versions, busy all the time, make place for one. Shorter, and two versions in heavy
 * use would start and stop instances all the time; longer is latency that the callers of the rarer one see. */
enum { YIELD_AFTER_MS = 100 };

bool pool_serves(const struct pool *p, const struct invocation *inv)
{
    if (!p->version || p->closed)
        return false;
    return inv->wanted == p->number || (inv->wanted == p->version->number && p->version == p->function->current);
}

/* ---- walking over all of them ---- */

static struct pool *next_pool(const struct pool *home, const struct pool *at)
{
    const struct list *link = at == home ? home->numbered.next : at->numbered_link.next;
    return link == &home->numbered ? NULL : LIST_ENTRY(link, struct pool, numbered_link);
}

#define EACH_POOL(of, at) for (struct pool *at = (of)->home; at; at = next_pool((of)->home, at))

struct pool *pool_new_numbered(struct pool *home, uint64_t number)
{
    struct pool *p = pool_new(home->pools, home->function);
    if (!p)
        return NULL;
    p->home = home;
    p->number = number;
    p->loading = true;
    list_push_back(&home->numbered, &p->numbered_link);
    return p;
}

/* ---- max_concurrency ---- */

static uint32_t limit_of(const struct pool *p)
{
    const struct version *v = p->home->version ? p->home->version : p->version;
    return function_concurrency(p->function, &v->settings);
}

/* When the oldest request that waits in it came, monotonic; UINT64_MAX: none waits. */
static uint64_t waits_since(const struct pool *p)
{
    const struct list *oldest = list_first(&p->queue);
    return oldest ? LIST_ENTRY(oldest, struct invocation, queue_link)->queued_ns : UINT64_MAX;
}

/* Its requests have waited long enough and longer than those of `than`, none of its instances will ever come by for them, and it may start one. */
static bool is_starved(const struct pool *p, const struct pool *than)
{
    uint64_t since = waits_since(p);
    if (since >= waits_since(than) || !p->version || pool_total(p) || p->backoff_until_ms > pool_now_ms(p))
        return false;
    return clock_mono_ns() - since >= (uint64_t)YIELD_AFTER_MS * 1000000;
}

uint32_t pool_concurrency(const struct pool *p)
{
    uint32_t limit = limit_of(p);
    uint32_t others = 0;
    if (list_is_empty(&p->home->numbered))
        return limit;
    EACH_POOL(p, at)
    {
        if (at != p)
            others += pool_total(at) - at->counts[INSTANCE_IDLE] + is_starved(at, p);
    }
    return limit > others ? limit - others : 0;
}

uint32_t pool_queue_room(const struct pool *p)
{
    const struct version *v = p->home->version ? p->home->version : p->version;
    uint32_t others = 0;
    EACH_POOL(p, at)
    others += at == p ? 0 : at->queued;
    return v->settings.queue > others ? v->settings.queue - others : 0;
}

static uint32_t total_of_all(const struct pool *p)
{
    uint32_t total = 0;
    EACH_POOL(p, at)
    total += pool_total(at);
    return total;
}

/* The least recently used idle instance of another pool of the function. What is kept ready there gives way to requests that wait, not to others that are to be kept ready:
 * two versions would else take each other's places over and over. */
static struct instance *find_idle(const struct pool *p)
{
    struct instance *oldest = NULL;
    EACH_POOL(p, at)
    {
        bool is_kept = !p->queued && pool_total(at) <= at->warm_min;
        const struct list *last = at == p || is_kept ? NULL : list_last(&at->idle);
        struct instance *i = last ? LIST_ENTRY(last, struct instance, link) : NULL;
        if (i && (!oldest || i->idle_since_ms < oldest->idle_since_ms))
            oldest = i;
    }
    return oldest;
}

bool pool_make_place(struct pool *p, bool ahead)
{
    if (list_is_empty(&p->home->numbered))
        return true;
    while (total_of_all(p) >= limit_of(p)) {
        struct instance *i = ahead ? NULL : find_idle(p);
        if (!i)
            return false;
        instance_stop(i, INSTANCE_RETIRED, "idle, and another version of the function needs its place");
    }
    return true;
}

bool pool_sheds(struct pool *p)
{
    if (p->home->sheds && total_of_all(p) <= limit_of(p))
        p->home->sheds = false;
    return p->home->sheds;
}

/* Whatever became idle first goes, kept ready or not. */
static struct instance *find_oldest(const struct pool *p)
{
    struct instance *oldest = NULL;
    EACH_POOL(p, at)
    {
        const struct list *last = list_last(&at->idle);
        struct instance *i = last ? LIST_ENTRY(last, struct instance, link) : NULL;
        if (i && (!oldest || i->idle_since_ms < oldest->idle_since_ms))
            oldest = i;
    }
    return oldest;
}

void pool_shed(struct pool *home)
{
    struct instance *i;
    home->sheds = true;
    while (pool_sheds(home) && (i = find_oldest(home)))
        instance_stop(i, INSTANCE_RETIRED, "idle, and the function may have fewer instances now");
}

void pool_refuse_waiting(struct pool *home)
{
    struct invocation *inv;
    EACH_POOL(home, at)
    {
        while ((inv = pool_dequeue(at)))
            version_pool_refuse_stopped(inv);
    }
}

bool pool_must_yield(const struct pool *p)
{
    if (list_is_empty(&p->home->numbered) || !p->queued || total_of_all(p) < limit_of(p))
        return false;
    EACH_POOL(p, at)
    {
        if (at != p && is_starved(at, p))
            return true;
    }
    return false;
}

void pool_tell_others(struct pool *p)
{
    EACH_POOL(p, at)
    {
        if (at != p && (at->queued || pool_total(at) < at->warm_min))
            pools_note_change(at);
    }
}

void pools_settle_warm(struct pool *home)
{
    EACH_POOL(home, at)
    {
        pool_settle_warm(at);
        pools_note_change(at);
    }
}

/* ---- its end ---- */

bool pool_is_over(const struct pool *p)
{
    if (p->loading || p->queued || p->warm_min || !list_is_empty(&p->idle) || !list_is_empty(&p->trials) ||
        !list_is_empty(&p->others))
        return false;
    /* A version that crashes at each start must not find its backoff forgotten. */
    return p->closed || !p->failures ||
           p->failed_ms + p->pools->gateway->config->crash_backoff_max_ms <= pool_now_ms(p);
}
