/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/pool_internal.h"

#include "base/log.h"
#include "base/units.h"
#include "gateway/event.h"
#include "gateway/pool_limit.h"
#include "gateway/runtime.h"
#include "gateway/version_pool.h"
#include "gateway/version_warm.h"

#include <assert.h>
#include <stdlib.h>

unsigned pool_total(const struct pool *p)
{
    unsigned total = 0;
    for (int s = INSTANCE_SPAWNING; s <= INSTANCE_JUDGING; s++)
        total += s == INSTANCE_TEMPLATE ? 0 : p->counts[s];
    return total;
}

static void on_wake(struct ev_loop *loop, ev_timer *w, int events);

struct pool *pool_new(struct pools *pools, struct function *f)
{
    struct pool *p = calloc(1, sizeof(*p));
    if (!p)
        return NULL;
    p->pools = pools;
    p->function = f;
    p->home = p;
    list_init(&p->numbered);
    list_init(&p->numbered_link);
    list_init(&p->idle);
    list_init(&p->trials);
    list_init(&p->others);
    list_init(&p->templates);
    list_init(&p->changed_link);
    list_init(&p->hungry_link);
    list_init(&p->queue);
    list_init(&p->warm_link);
    ev_timer_init(&p->wake, on_wake, 0., 0.);
    p->wake.data = p;
    return p;
}

void pool_free(struct pool *p)
{
    if (!p)
        return;
    assert(list_is_empty(&p->idle) && list_is_empty(&p->trials) && list_is_empty(&p->others) && p->queued == 0);
    assert(p->memory_bytes == 0 && p->promised_bytes == 0 && !p->loading);
    LIST_EACH (&p->numbered, link)
        pool_free(LIST_ENTRY(link, struct pool, numbered_link));
    list_remove(&p->numbered_link);
    list_remove(&p->changed_link);
    list_remove(&p->hungry_link);
    list_remove(&p->warm_link);
    ev_timer_stop(p->pools->gateway->loop, &p->wake);
    version_put(p->version);
    free(p);
}

static bool pool_is_quiet(const struct pool *p)
{
    return p->counts[INSTANCE_BUSY] + p->counts[INSTANCE_JUDGING] + p->counts[INSTANCE_ENDING] == 0;
}

void pool_on_instance_state(struct pool *p, struct instance *i, enum instance_state before)
{
    if (p->warm_min && (before == INSTANCE_IDLE || i->state == INSTANCE_IDLE))
        pool_note_idle(p);
    if (i->counted) {
        p->counts[before]--;
        p->counts[i->state]++;
    }
    if (i->state == INSTANCE_GONE)
        pools_give_memory(p, i);
    /* What was used up or given up is replaced at once. A loss is counted first, when it is gone: its successor may have to wait. */
    if (i->state == INSTANCE_STOPPING && i->doom == INSTANCE_RETIRED)
        pools_note_change(p);
    if (i->counted && (before == INSTANCE_BUSY || before == INSTANCE_JUDGING) && !p->queued && pool_is_quiet(p))
        pool_note_quiet(p);
    if (!list_is_empty(&p->home->numbered))
        pool_tell_others(p);
    p->stopping += (i->state == INSTANCE_STOPPING);
    p->stopping -= (before == INSTANCE_STOPPING);
    list_remove(&i->host_idle_link);
    freezer_leave(i);
    if (i->state == INSTANCE_IDLE || before == INSTANCE_IDLE) {
        list_remove(&i->link);
        list_push_front(i->state == INSTANCE_IDLE && !i->counted ? &p->trials : &p->others, &i->link);
    }
}

void pool_on_instance_killed(struct instance *i)
{
    pools_give_memory(i->pool, i);
}

/* ---- what the policy sees ---- */

static void look_for_spares(const struct pool *p, struct policy_view *v)
{
    const struct settings *s = &p->version->settings;
    bool in_use = v->busy || v->queued;
    struct policy_use u = {
        .single_use = instance_settings_single_use(s),
        .forks = pool_may_fork(p, p->version),
        .used_ms = in_use ? v->now_ms : p->used_ms,
        .keep_warm_ms = v->keep_warm_ms,
        .now_ms = v->now_ms,
    };
    u.concurrency = u.single_use ? policy_peak_read(&p->peak, clock_mono_ns() / 1000000) : 0;
    v->spares = policy_spares(&u);
    v->spares_until_ms = u.used_ms + u.keep_warm_ms;
}

struct policy_view pool_look(const struct pool *p)
{
    const struct settings *s = &p->version->settings;
    unsigned old =
        p->counts[INSTANCE_IDLE] ? pool_count_old(p) : 0; /* they hold their places, and are to be replaced */
    uint32_t most = pool_concurrency(p);
    struct policy_view v = {
        .starting = p->counts[INSTANCE_SPAWNING] + p->counts[INSTANCE_STARTING] + p->counts[INSTANCE_CLOSING] +
                    p->counts[INSTANCE_ENDING],
        .idle = p->counts[INSTANCE_IDLE] - old,
        .busy = p->counts[INSTANCE_BUSY] + p->counts[INSTANCE_JUDGING],
        .queued = p->queued,
        .min_warm = p->warm_min,
        .max_concurrency = most > old ? most - old : 0,
        .queue_max = pool_queue_room(p),
        .host_free = UINT32_MAX,
        .now_ms = pool_now_ms(p),
        .keep_warm_ms = s->keep_warm_ms,
        .backoff_until_ms = p->backoff_until_ms,
        .draining = p->pools->gateway->draining,
    };
    if (v.idle)
        v.idle_oldest_ms = pool_find_oldest_idle(p)->idle_since_ms;
    pool_look_at_history(p, &v);
    if (p->makes_spares)
        look_for_spares(p, &v);
    return v;
}

/* Where all there is of the function are starts, the oldest requests, one for each, are waiting for those: a start ends within init_timeout, and they are told what
 * went wrong with it rather than how long they have waited. The two limits are the same by default. */
static unsigned count_waiting_for_starts(const struct pool *p)
{
    unsigned starting = p->counts[INSTANCE_SPAWNING] + p->counts[INSTANCE_STARTING];
    return starting == pool_total(p) ? starting : 0;
}

/* When the oldest request that waits for its turn has waited long enough; 0 = there is none. */
static uint64_t queue_due_ms(const struct pool *p)
{
    unsigned skipped = count_waiting_for_starts(p);
    if (p->queued <= skipped)
        return 0;
    struct list *oldest = list_first(&p->queue);
    while (skipped--)
        oldest = oldest->next;
    uint64_t waited =
        (turn_now_ns(p->pools->gateway) - LIST_ENTRY(oldest, struct invocation, queue_link)->queued_ns) / 1000000;
    uint64_t limit = p->pools->gateway->config->queue_timeout_ms;
    return pool_now_ms(p) + (waited < limit ? limit - waited : 0);
}

/* A timer that already fires earlier is left alone: it looks again then. So a busy function touches no timer here. */
void pool_arm_wake(struct pool *p, uint64_t at_ms)
{
    struct ev_loop *loop = p->pools->gateway->loop;
    if (at_ms == 0)
        return;
    uint64_t now = pool_now_ms(p);
    double after = at_ms > now ? (double)(at_ms - now) / 1e3 : 0.;
    if (ev_is_active(&p->wake) && ev_timer_remaining(loop, &p->wake) <= after)
        return;
    ev_timer_stop(loop, &p->wake);
    ev_timer_set(&p->wake, after, 0.);
    ev_timer_start(loop, &p->wake);
}

struct invocation *pool_dequeue(struct pool *p)
{
    struct list *link = list_first(&p->queue);
    if (!link)
        return NULL;
    struct invocation *inv = LIST_ENTRY(link, struct invocation, queue_link);
    list_remove(&inv->queue_link);
    p->queued--;
    p->queued_background -= inv->background;
    return inv;
}

void pool_enqueue(struct pool *p, struct invocation *inv)
{
    list_push_back(&p->queue, &inv->queue_link);
    p->queued++;
    p->queued_background += inv->background;
}

/* A worker that ends whenever it is asked something would get it for ever. */
enum { RETURNS_MAX = 8 };

bool pool_take_back(struct pool *p, struct invocation *inv)
{
    if (!p->function->current || p->pools->gateway->draining || inv->returns == RETURNS_MAX)
        return false;
    inv->returns++;
    inv->delivered_ns = 0;
    inv->init_ns = inv->spawn_ns = 0;
    inv->instance = 0;
    version_put(inv->version);
    inv->version = NULL;
    if (!pool_serves(p, inv)) {
        version_pool_submit(inv);
        return true;
    }
    list_push_front(&p->queue, &inv->queue_link);
    p->queued++;
    p->queued_background += inv->background;
    pools_note_change(p);
    return true;
}

/* ---- carrying it out ---- */

/* Who waits while an instance is idle was given back by another one. */
static void hand_out(struct pool *p)
{
    struct list *front;
    while (p->queued && (front = list_first(&p->idle)))
        instance_deliver(LIST_ENTRY(front, struct instance, link), pool_dequeue(p));
}

enum { START_AGAIN_MS = 20 };

static void start_wanted(struct pool *p, const struct policy_decision *d)
{
    p->short_of_memory = false;
    for (uint32_t k = 0; k < d->start; k++) {
        bool ahead = k >= d->start - d->ahead;
        enum pool_start r = pool_start_one(p, ahead);
        p->short_of_memory = (r == POOL_NO_ROOM || r == POOL_NO_MEMORY) && !ahead;
        pools_set_hungry(p, r == POOL_NO_ROOM && !ahead);
        if (r == POOL_NO_MEMORY) /* nobody tells when there is some again */
            pool_arm_wake(p, pool_now_ms(p) + START_AGAIN_MS);
        if (r != POOL_STARTED)
            return;
    }
}

void pool_evaluate(struct pool *p)
{
    if (!p->version)
        return;
    struct policy_view v;
    hand_out(p);
    pool_plan_spell(p);
    for (;;) {
        v = pool_look(p);
        struct policy_decision d = policy_decide(&v);
        if (d.start)
            start_wanted(p, &d);
        else
            pools_set_hungry(p, false);
        pool_arm_wake(p, d.wake_ms);
        if (!d.stop_oldest_idle)
            break;
        instance_stop(pool_find_oldest_idle(p), INSTANCE_RETIRED, "idle for keep_warm");
    }
    pool_look_at_templates(p, &v);
    pool_arm_wake(p, queue_due_ms(p));
    if (p->number && p->failures)
        pool_arm_wake(p, p->failed_ms + p->pools->gateway->config->crash_backoff_max_ms);
}

static void end_overdue(struct pool *p)
{
    const struct config *c = p->pools->gateway->config;
    char limit[UNITS_TEXT_MAX];
    for (uint64_t due; (due = queue_due_ms(p)) != 0 && due <= pool_now_ms(p);) {
        struct invocation *inv = pool_dequeue(p);
        units_format_time(c->queue_timeout_ms, limit);
        if (p->backoff_until_ms && !pool_has_servers(p))
            invocation_fail(inv, INVOCATION_REFUSED, 503, "NoCapacity",
                            "the function was lost %u times in a row, so it is started again only after a pause, at "
                            "most crash_backoff: its log says why",
                            p->failures);
        else if (p->short_of_memory)
            invocation_fail(
                inv, INVOCATION_REFUSED, 503, "NoCapacity",
                "no instance could be started within queue_timeout (%s): the host's memory, memory_budget or "
                "instances limit is used up",
                limit);
        else
            invocation_fail(inv, INVOCATION_THROTTLED, 429, "TooManyRequests",
                            "no instance was free within queue_timeout (%s): max_concurrency is %u", limit,
                            p->version ? function_concurrency(p->function, &p->version->settings) : 0);
    }
}

static void on_wake(struct ev_loop *loop, ev_timer *w, int events)
{
    struct pool *p = w->data;
    (void)loop;
    (void)events;
    /* A failed request may be the function's last holder. */
    struct function *f = function_get(p->function);
    end_overdue(p);
    pool_evaluate(p);
    if (p->number)
        pools_note_change(p);
    else if (f->versions.warm_total)
        version_warm_settle(f); /* one could not be read the last time */
    function_put(f);
}

/* ---- requests ---- */

/* The one taken leaves fewer than were made ahead. With reuse nothing is to be done while another one waits, or no more may be. */
static void look_after_delivery(struct pool *p)
{
    const struct settings *s = &p->version->settings;
    if (instance_settings_single_use(s) ||
        (list_is_empty(&p->idle) && pool_total(p) < function_concurrency(p->function, s)))
        pools_note_change(p);
}

/* Whether its event will do, and how long its queue may be, is known when its version is: then it is looked at again. */
static void wait_for_version(struct pool *p, struct invocation *inv)
{
    pool_enqueue(p, inv);
    pool_arm_wake(p, queue_due_ms(p));
}

void pool_submit(struct pool *p, struct invocation *inv)
{
    if (p->loading) {
        wait_for_version(p, inv);
        return;
    }
    p->version->used_ns = inv->queued_ns;
    if (p->number)
        pools_note_change(p); /* what is refused may have been all that it was made for */
    if (!event_admit(inv, &p->version->settings))
        return;
    pool_note_work(p);
    if (p->makes_spares && instance_settings_single_use(&p->version->settings))
        policy_peak_note(&p->peak, inv->queued_ns / 1000000,
                         p->queued + 1 + p->counts[INSTANCE_BUSY] + p->counts[INSTANCE_JUDGING]);
    struct list *front = list_first(&p->idle);
    if (front) {
        instance_deliver(LIST_ENTRY(front, struct instance, link), inv);
        if (p->makes_spares)
            look_after_delivery(p);
        return;
    }
    struct policy_view v = pool_look(p);
    if (!policy_may_queue(&v)) {
        invocation_fail(inv, INVOCATION_THROTTLED, 429, "TooManyRequests",
                        "the queue is full: %u requests wait (limit 'queue'), max_concurrency is %u", v.queued,
                        function_concurrency(p->function, &p->version->settings));
        return;
    }
    pool_enqueue(p, inv);
    pool_evaluate(p);
}

static void withdraw_background(struct pool *p)
{
    LIST_EACH (&p->queue, link) {
        struct invocation *inv = LIST_ENTRY(link, struct invocation, queue_link);
        if (!inv->background)
            continue;
        list_remove(link);
        p->queued--;
        p->queued_background--;
        invocation_fail(inv, INVOCATION_REFUSED, 503, "NoCapacity", "faasd is shutting down");
    }
}

void pool_withdraw_background(struct pool *p)
{
    struct function *f = function_get(p->function);
    withdraw_background(p);
    LIST_EACH (&p->numbered, link)
        withdraw_background(LIST_ENTRY(link, struct pool, numbered_link));
    function_put(f);
}

void pool_thaw(struct instance *i)
{
    freezer_thaw(i);
}

void pool_on_instance_ready(struct pool *p, struct instance *i)
{
    if (!i->counted) {
        instance_stop(i, INSTANCE_RETIRED, "a newer version serves");
        return;
    }
    p->doubts_forks = false;
    p->starts_lost = 0;
    p->start_failed_ns = 0;
    if (i->used)
        p->used_ms = i->idle_since_ms;
    else
        pool_note_start(p, i);
    if (p->home->sheds && pool_sheds(p)) {
        instance_stop(i, INSTANCE_RETIRED, "the function may have fewer instances now");
        return;
    }
    if (pool_must_yield(p)) {
        instance_stop(i, INSTANCE_RETIRED, "another version of the function waits for its place");
        return;
    }
    if (p->queued && pools_should_yield(i)) {
        instance_stop(i, INSTANCE_RETIRED, "the host's memory_budget is needed by a function that has waited longer");
        return;
    }
    struct invocation *inv = pool_dequeue(p);
    if (inv) {
        if (!i->used && p->queued)
            pools_note_change(p); /* those behind it wait for more than a start now */
        instance_deliver(i, inv);
        return;
    }
    list_remove(&i->link);
    /* A spare comes behind those that have worked: their caches are warm. */
    if (i->used || instance_is_single_use(i))
        list_push_front(&p->idle, &i->link);
    else
        list_push_back(&p->idle, &i->link);
    list_push_front(&p->pools->idle, &i->host_idle_link);
    freezer_watch(&p->pools->freezer, i);
    pools_wake_hungry(p->pools); /* it may be given up */
    if (pool_replaces_old(p, i))
        pools_note_change(p);
    bool has_plan = p->history.count >= HISTORY_IDLES_MIN && p->history.quiet_since_ms;
    pool_arm_wake(p, i->idle_since_ms + (has_plan ? HISTORY_SPELL_MS : i->version->settings.keep_warm_ms));
}

void pool_on_instance_served(struct pool *p, struct instance *i)
{
    p->failures = 0;
    p->backoff_until_ms = 0;
    if (instance_is_single_use(i))
        p->used_ms = pool_now_ms(p);
}

bool pool_wants_again(struct pool *p, const struct instance *i)
{
    return i->counted && !p->pools->gateway->draining;
}
