/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/pool_internal.h"

#include "base/units.h"
#include "gateway/version_pool.h"
#include "os/landlock.h"

#include <errno.h>
#include <stdlib.h>

/* ---- the end of a loop turn ---- */

static void look_at_changed(struct pools *p)
{
    struct list *first;
    while ((first = list_first(&p->changed))) {
        struct pool *pool = LIST_ENTRY(first, struct pool, changed_link);
        list_remove(first);
        struct function *f = function_get(pool->function); /* stopping an instance may end what holds it */
        pool_evaluate(pool);
        if (pool->number && pool_is_over(pool))
            version_pool_end(pool);
        function_put(f);
    }
}

static void on_turn_end(struct ev_loop *loop, ev_prepare *w, int events)
{
    struct pools *p = w->data;
    (void)loop;
    (void)events;
    look_at_changed(p);
    LIST_EACH (&p->graveyard, link) {
        struct instance *i = LIST_ENTRY(link, struct instance, link);
        list_remove(&i->link);
        instance_free(i);
    }
    LIST_EACH (&p->over, over)
        pool_free(LIST_ENTRY(over, struct pool, changed_link));
}

void pools_note_change(struct pool *p)
{
    if (p->ended)
        return;
    list_remove(&p->changed_link);
    list_push_back(&p->pools->changed, &p->changed_link);
}

struct pools *pools_new(struct gateway *g)
{
    struct pools *p = calloc(1, sizeof(*p));
    if (!p)
        return NULL;
    p->gateway = g;
    list_init(&p->idle);
    list_init(&p->templates);
    list_init(&p->changed);
    list_init(&p->hungry);
    list_init(&p->over);
    list_init(&p->warm);
    list_init(&p->graveyard);
    freezer_init(&p->freezer, g);
    p->separable = landlock_abi() >= TEMPLATE_LANDLOCK_ABI;
    ev_prepare_init(&p->turn_end, on_turn_end);
    p->turn_end.data = p;
    ev_prepare_start(g->loop, &p->turn_end);
    return p;
}

void pools_free(struct pools *p)
{
    if (!p)
        return;
    on_turn_end(p->gateway->loop, &p->turn_end, 0);
    ev_prepare_stop(p->gateway->loop, &p->turn_end);
    freezer_fini(&p->freezer);
    free(p);
}

/* ---- who waits for memory ---- */

void pools_set_hungry(struct pool *p, bool hungry)
{
    if (hungry && list_is_empty(&p->hungry_link))
        list_push_back(&p->pools->hungry, &p->hungry_link);
    else if (!hungry)
        list_remove(&p->hungry_link);
}

void pools_wake_hungry(struct pools *p)
{
    LIST_EACH (&p->hungry, link)
        pools_note_change(LIST_ENTRY(link, struct pool, hungry_link));
}

/* ---- memory ---- */

/* What it has reserved and does not hold is kept free for it. */
static void settle_kept(struct pool *p)
{
    uint64_t kept = p->promised_bytes > p->memory_bytes ? p->promised_bytes - p->memory_bytes : 0;
    p->pools->kept_bytes += kept - p->kept_bytes;
    p->kept_bytes = kept;
}

void pools_take_memory(struct pool *p, struct instance *i)
{
    i->holds_memory = true;
    uint64_t bytes = i->version->settings.memory_bytes;
    p->home->memory_bytes += bytes;
    p->pools->memory_bytes += bytes;
    p->pools->instances++;
    settle_kept(p->home);
}

void pools_give_memory(struct pool *p, struct instance *i)
{
    if (!i->holds_memory)
        return;
    i->holds_memory = false;
    uint64_t bytes = i->version->settings.memory_bytes;
    p->home->memory_bytes -= bytes;
    p->pools->memory_bytes -= bytes;
    p->pools->instances--;
    settle_kept(p->home);
    pools_wake_hungry(p->pools);
}

bool pools_lend(struct pools *p, uint64_t bytes)
{
    uint64_t budget = p->gateway->config->memory_budget_bytes, taken = p->memory_bytes + p->kept_bytes;
    if (taken > budget || bytes > budget - taken)
        return false;
    p->memory_bytes += bytes;
    return true;
}

void pools_take_back(struct pools *p, uint64_t bytes)
{
    p->memory_bytes -= bytes;
    pools_wake_hungry(p);
}

static uint64_t reserve_of(const struct pool *p, const struct version *v)
{
    return v ? function_reserved(p->function, &v->settings) * v->settings.memory_bytes : 0;
}

void pools_settle_reserve(struct pool *p)
{
    uint64_t promised = reserve_of(p, p->version);
    p->pools->promised_bytes += promised - p->promised_bytes;
    p->promised_bytes = promised;
    settle_kept(p);
}

int pools_check_kept(const struct pool *p, uint32_t instances, uint64_t each_bytes, struct err *e)
{
    uint64_t budget = p->pools->gateway->config->memory_budget_bytes;
    uint64_t others = p->pools->promised_bytes - p->promised_bytes, own = instances * each_bytes;
    char wanted[UNITS_TEXT_MAX], left[UNITS_TEXT_MAX];
    if (own == 0 || others + own <= budget)
        return 0;
    units_format_size(own, wanted);
    units_format_size(budget > others ? budget - others : 0, left);
    return err_say(e, EINVAL,
                   "reserved: %u instances are %s, and what other functions have reserved leaves %s of the host's "
                   "memory_budget: reserve less, or raise memory_budget",
                   instances, wanted, left);
}

int pools_check_reserve(const struct pool *p, const struct version *v, struct err *e)
{
    return pools_check_kept(p, function_reserved(p->function, &v->settings), v->settings.memory_bytes, e);
}

/* ---- who makes room ---- */

static bool has_room(const struct pools *p, const struct pool *for_pool, uint64_t memory_bytes)
{
    const struct config *c = p->gateway->config;
    uint64_t kept_for_others = p->kept_bytes - for_pool->home->kept_bytes;
    return p->instances < c->instances_max &&
           p->memory_bytes + memory_bytes + kept_for_others <= c->memory_budget_bytes;
}

/* Who asks for room: `but` gives nothing up for itself; only what has been idle since `before_ms` or longer goes. */
struct need {
    const struct pool *but;
    uint64_t before_ms;
};

/* Giving it up must not only turn held memory into memory kept for another function. */
static bool frees_something(const struct instance *i, const struct need *n)
{
    const struct pool *p = i->pool->home;
    return p == n->but->home || p->memory_bytes >= p->promised_bytes + i->version->settings.memory_bytes;
}

/* The least recently used idle instance of another function that may be given up, or NULL. */
static struct instance *find_idle(const struct pools *p, const struct need *n)
{
    for (struct list *link = p->idle.prev; link != &p->idle; link = link->prev) {
        struct instance *i = LIST_ENTRY(link, struct instance, host_idle_link);
        if (i->idle_since_ms > n->before_ms)
            return NULL;
        if (i->pool != n->but && pool_total(i->pool) > i->pool->warm_min && frees_something(i, n))
            return i;
    }
    return NULL;
}

/* A template comes after its idle children: with one of them alive it is not idle itself. */
static struct instance *find_template(const struct pools *p, const struct need *n)
{
    struct template *oldest = NULL;
    LIST_EACH (&p->templates, link) {
        struct template *t = LIST_ENTRY(link, struct template, host_link);
        if (t->instance->pool == n->but || t->used_ms > n->before_ms || !template_is_idle(t) ||
            !frees_something(t->instance, n))
            continue;
        if (!oldest || t->used_ms < oldest->used_ms)
            oldest = t;
    }
    return oldest ? oldest->instance : NULL;
}

bool pools_make_room(struct pools *p, const struct pool *for_pool, const struct version *v, bool ahead)
{
    uint64_t now = pool_now_ms(for_pool);
    struct need n = {.but = for_pool, .before_ms = now};
    if (ahead)
        n.before_ms = now > POOLS_SPARE_AFTER_MS ? now - POOLS_SPARE_AFTER_MS : 0;
    while (!has_room(p, for_pool, v->settings.memory_bytes)) {
        struct instance *i = find_idle(p, &n);
        if (!i)
            i = find_template(p, &n);
        if (!i)
            return false;
        instance_stop(i, INSTANCE_RETIRED, "idle, and the host's memory_budget is needed by '%s'",
                      for_pool->function->name);
    }
    return true;
}

static uint64_t oldest_ns(const struct pool *p)
{
    const struct list *oldest = list_first(&p->queue);
    return oldest ? LIST_ENTRY(oldest, struct invocation, queue_link)->queued_ns : UINT64_MAX;
}

bool pools_should_yield(const struct instance *i)
{
    const struct pool *p = i->pool;
    const struct list *first = list_first(&p->pools->hungry);
    if (!first)
        return false;
    const struct pool *other = LIST_ENTRY(first, struct pool, hungry_link);
    uint64_t since_ns = oldest_ns(other);
    if (other == p || since_ns == UINT64_MAX || since_ns >= oldest_ns(p))
        return false;
    return clock_mono_ns() - since_ns > POOLS_YIELD_AFTER_MS * UINT64_C(1000000) && pool_total(p) > p->warm_min &&
           frees_something(i, &(struct need){.but = other});
}
