/* SPDX-License-Identifier: Apache-2.0 */
/* What follows when an instance or its process is lost: a pause before the next, and what those who wait are told. */
#include "gateway/pool_internal.h"

#include "base/log.h"
#include "gateway/instance_failure.h"

/* A template under way serves nobody, and what failed to start in one may fail in the next: where each has one child only, the next is always under way. */
bool pool_has_servers(const struct pool *p)
{
    unsigned hoped_for = 0;
    LIST_EACH (&p->templates, link) {
        const struct instance *i = LIST_ENTRY(link, struct template, link)->instance;
        hoped_for += i->counted && (i->state == INSTANCE_SPAWNING || i->state == INSTANCE_STARTING);
    }
    return pool_total(p) > hoped_for;
}

static uint64_t count_failure(struct pool *p)
{
    p->failures++;
    p->failed_ms = pool_now_ms(p);
    uint64_t backoff = policy_backoff_ms(p->failures, p->pools->gateway->config->crash_backoff_max_ms);
    p->backoff_until_ms = backoff ? pool_now_ms(p) + backoff : 0;
    return backoff;
}

bool pool_on_process_lost(struct pool *p, struct instance *i)
{
    return !i->counted || count_failure(p) == 0;
}

/* Whether those who wait may still be served: by what serves already, or by a start that was under way when the first of the row failed. Later ones would be one another's hope for ever; these
 * have all ended within init_timeout. */
static bool has_hope(const struct pool *p)
{
    if (pool_total(p) > p->counts[INSTANCE_SPAWNING] + p->counts[INSTANCE_STARTING])
        return true;
    LIST_EACH (&p->others, link) {
        const struct instance *i = LIST_ENTRY(link, struct instance, link);
        bool starts = i->state == INSTANCE_SPAWNING || i->state == INSTANCE_STARTING;
        if (i->counted && starts && !i->template && i->started_ns < p->start_failed_ns)
            return true;
    }
    return false;
}

/* Nothing of this function serves or is about to: whoever waits is told why, rather than left to wait for a start that fails again. */
static void fail_queue(struct pool *p, const struct instance *i)
{
    struct invocation *inv;
    struct instance_start_failure why;
    instance_explain_start(i, &why);
    while ((inv = pool_dequeue(p))) {
        if (why.failure.type != why.type) /* what it said itself stands in its log already */
            invocation_log(inv, why.failure.type, str_from(why.line));
        invocation_end_failure(inv, &why.failure);
    }
}

/* A row of failed starts ends when an instance gets ready, or when all who wait are told: whoever comes next waits for starts of its own. What had got ready and was lost is no part of it. */
static void on_start_failed(struct pool *p, const struct instance *i)
{
    if (!p->start_failed_ns)
        p->start_failed_ns = clock_mono_ns();
    if (has_hope(p))
        return;
    p->start_failed_ns = 0;
    fail_queue(p, i);
}

/* A start that somebody killed is made again for those who wait: so often, in case it was the function's own doing. */
enum { STARTS_LOST_MAX = 3 };

/* Its number is given back in the graveyard; here it leaves every list that others look into. */
static void forget(struct pool *p, struct instance *i)
{
    p->pools->alive--;
    if (i->counted)
        p->counts[INSTANCE_GONE]--;
    i->counted = false;
    list_remove(&i->link);
    list_push_back(&p->pools->graveyard, &i->link);
    if (instance_is_child(i))
        template_child_gone(i);
    if (i->template) {
        list_remove(&i->template->link);
        list_remove(&i->template->host_link);
    }
}

void pool_on_instance_gone(struct pool *p, struct instance *i, bool failed_start)
{
    struct function *f = function_get(p->function);
    bool counted = i->counted;
    if (counted && i->doom != INSTANCE_RETIRED) {
        uint64_t backoff = count_failure(p);
        if (i->used)
            p->used_ms = pool_now_ms(p);
        if (failed_start)
            log_warn("an instance did not start fn=%s inst=%lu failures=%u next_in_ms=%lu: %s", f->name,
                     (unsigned long)i->waiter.id, p->failures, (unsigned long)backoff, i->doom_text);
    }
    forget(p, i);
    if (counted && failed_start && instance_is_lost_fork(i))
        p->doubts_forks = true;
    else if (counted && failed_start && i->killed_outside && p->starts_lost < STARTS_LOST_MAX)
        p->starts_lost++;
    else if (counted && failed_start)
        on_start_failed(p, i);
    pool_evaluate(p);
    if (p->number)
        pools_note_change(p);
    function_put(f);
}
