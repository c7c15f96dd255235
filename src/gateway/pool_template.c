/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When templates go, and what becomes of the idle children of one that retires: its sandbox lives as long as they do. They are replaced where instances are
 * wanted ahead of need, and give way one by one as their successors are ready; where nothing is wanted they are all the capacity there is, and go after keep_warm.
 */
#include "gateway/pool_internal.h"

static bool is_old(const struct instance *i)
{
    return i->forked.template && i->forked.template->retiring;
}

unsigned pool_count_old(const struct pool *p)
{
    unsigned count = 0;
    LIST_EACH (&p->templates, link) {
        const struct template *t = LIST_ENTRY(link, struct template, link);
        if (!t->retiring)
            continue;
        LIST_EACH (&t->children, at) {
            const struct instance *i = LIST_ENTRY(at, struct instance, forked.link);
            count += i->counted && i->state == INSTANCE_IDLE;
        }
    }
    return count;
}

struct instance *pool_find_oldest_idle(const struct pool *p)
{
    for (struct list *link = p->idle.prev; link != &p->idle; link = link->prev) {
        struct instance *i = LIST_ENTRY(link, struct instance, link);
        if (!is_old(i))
            return i;
    }
    return NULL;
}

/* How many idle ones are worth having, old or not. */
static unsigned count_wanted(const struct policy_view *v)
{
    unsigned wanted = v->min_warm > v->busy ? v->min_warm - v->busy : 0;
    if (wanted < v->spares)
        wanted = v->spares;
    return wanted ? wanted : 1;
}

/* At max_concurrency a successor has no room before one of several has gone. */
static bool is_in_the_way(const struct policy_view *v, unsigned old)
{
    return (old > 1 || v->idle) && !v->starting && v->max_concurrency <= v->busy + v->idle &&
           (v->spares || v->min_warm);
}

static void look_at_old(struct pool *p, const struct policy_view *v)
{
    unsigned old = pool_count_old(p);
    unsigned wanted = count_wanted(v);
    struct list *link = p->idle.prev; /* the least recently used first */
    while (old && link != &p->idle) {
        struct instance *i = LIST_ENTRY(link, struct instance, link);
        link = link->prev;
        if (!is_old(i))
            continue;
        uint64_t due = i->idle_since_ms + v->keep_warm_ms;
        bool is_spent = due <= v->now_ms && pool_total(p) > v->min_warm;
        if (is_spent || (v->idle && old + v->idle > wanted) || is_in_the_way(v, old)) {
            instance_stop(i, INSTANCE_RETIRED, "its template is replaced");
            old--;
            if (!v->idle)
                break; /* at most one, then the policy is asked again */
        } else if (due > v->now_ms) {
            pool_arm_wake(p, due);
        }
    }
}

/* A template goes as an idle instance does: when nobody lives by it and nothing was asked for keep_warm. */
void pool_look_at_templates(struct pool *p, const struct policy_view *v)
{
    look_at_old(p, v);
    LIST_EACH (&p->templates, link) {
        struct template *t = LIST_ENTRY(link, struct template, link);
        if (!template_is_idle(t) || p->queued || v->min_warm)
            continue;
        uint64_t due = (t->used_ms > p->used_ms ? t->used_ms : p->used_ms) + v->keep_warm_ms;
        if (due <= pool_now_ms(p))
            template_retire(t, "idle for keep_warm");
        else
            pool_arm_wake(p, due);
    }
}

bool pool_replaces_old(const struct pool *p, const struct instance *i)
{
    return is_old(i) || (!i->used && pool_count_old(p) > 0);
}

void pool_on_template_retired(struct pool *p)
{
    if (pool_count_old(p))
        pools_note_change(p);
}
