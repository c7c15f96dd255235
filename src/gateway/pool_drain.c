/* SPDX-License-Identifier: Apache-2.0 */
/* The end of a drain that was too short: whoever still waits for a reply is told that there will be none. */
#include "gateway/pool_internal.h"
#include "gateway/registry.h"

/* Calls that nobody waits for are durable: they are found unfinished at the next start. */
static bool has_caller(const struct invocation *inv)
{
    return inv && !inv->background;
}

static unsigned refuse_waiting(struct pool *p)
{
    unsigned told = 0;
    LIST_EACH (&p->queue, link) {
        struct invocation *inv = LIST_ENTRY(link, struct invocation, queue_link);
        if (!has_caller(inv))
            continue;
        list_remove(link);
        p->queued--;
        told++;
        invocation_fail(inv, INVOCATION_REFUSED, 503, "NoCapacity", "faasd is shutting down");
    }
    return told;
}

static unsigned cut_running(struct pool *p)
{
    unsigned told = 0;
    /* Stopping moves an instance to the front of `others`, behind the walker; one that is being stopped already answers by itself. */
    LIST_EACH (&p->others, link) {
        struct instance *i = LIST_ENTRY(link, struct instance, link);
        if (!has_caller(i->invocation))
            continue;
        told++;
        if (i->state != INSTANCE_STOPPING)
            instance_stop(i, INSTANCE_CUT_OFF, "faasd is shutting down");
    }
    return told;
}

static void cut_off(struct function *f, void *context)
{
    unsigned *told = context;
    function_get(f);
    *told += refuse_waiting(f->pool) + cut_running(f->pool);
    LIST_EACH (&f->pool->numbered, link) {
        struct pool *numbered = LIST_ENTRY(link, struct pool, numbered_link);
        *told += refuse_waiting(numbered) + cut_running(numbered);
    }
    function_put(f);
}

unsigned pools_cut_off(struct pools *p)
{
    unsigned told = 0;
    registry_walk(p->gateway->registry, cut_off, &told);
    registry_walk_removed(cut_off, &told);
    return told;
}
