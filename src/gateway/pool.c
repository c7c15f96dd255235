/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/pool.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/units.h"
#include "gateway/instance.h"
#include "gateway/policy.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The host's share: budgets over all functions. */
struct pools {
    struct gateway *gateway;
    struct list idle;      /* struct instance.host_idle_link, most recently used first: who makes room for others */
    struct list graveyard; /* struct instance.link */
    ev_prepare bury;
    uint64_t memory_bytes; /* limits of all that are neither stopping nor gone */
    unsigned instances;    /* the same, counted */
    unsigned alive;        /* all that are not gone */
};

struct pool {
    struct pools *pools;
    struct function *function;          /* its owner */
    struct list idle;                   /* struct instance.link, counted ones, most recently used first */
    struct list trials;                 /* IDLE, of versions that are not current yet */
    struct list others;                 /* every other state, and older versions */
    unsigned counts[INSTANCE_GONE + 1]; /* of counted instances, by state */
    unsigned stopping;                  /* counted or not */
    struct list queue;                  /* struct invocation.queue_link, oldest first */
    unsigned queued;
    ev_timer wake;     /* the earliest of: queue_timeout of the oldest request, keep_warm, the end of a backoff */
    unsigned failures; /* instances lost in a row without a good reply between */
    uint64_t backoff_until_ms; /* boottime */
    bool short_of_memory;      /* the last decision was held back by the host's budget */
};

static uint64_t now_ms(void)
{
    return clock_boot_ns() / 1000000;
}

static bool holds_memory(enum instance_state s)
{
    return s != INSTANCE_STOPPING && s != INSTANCE_GONE;
}

/* ---- the host ---- */

static void bury(struct ev_loop *loop, ev_prepare *w, int events)
{
    struct pools *p = w->data;
    (void)loop;
    (void)events;
    LIST_EACH (&p->graveyard, link) {
        struct instance *i = LIST_ENTRY(link, struct instance, link);
        list_remove(&i->link);
        instance_free(i);
    }
}

struct pools *pools_new(struct gateway *g)
{
    struct pools *p = calloc(1, sizeof(*p));
    if (!p)
        return NULL;
    p->gateway = g;
    list_init(&p->idle);
    list_init(&p->graveyard);
    ev_prepare_init(&p->bury, bury);
    p->bury.data = p;
    ev_prepare_start(g->loop, &p->bury);
    return p;
}

void pools_free(struct pools *p)
{
    if (!p)
        return;
    bury(p->gateway->loop, &p->bury, 0);
    ev_prepare_stop(p->gateway->loop, &p->bury);
    free(p);
}

static unsigned pool_total(const struct pool *p)
{
    unsigned total = 0;
    for (int s = INSTANCE_SPAWNING; s <= INSTANCE_JUDGING; s++)
        total += p->counts[s];
    return total;
}

/* The least recently used idle instance of another function that may be given up, or NULL. */
static struct instance *find_evictable(struct pools *p, const struct pool *but)
{
    for (struct list *link = p->idle.prev; link != &p->idle; link = link->prev) {
        struct instance *i = LIST_ENTRY(link, struct instance, host_idle_link);
        if (i->pool != but && pool_total(i->pool) > i->version->settings.min_warm)
            return i;
    }
    return NULL;
}

static bool fits(const struct pools *p, uint64_t memory_bytes)
{
    const struct config *c = p->gateway->config;
    return p->instances < c->instances_max && p->memory_bytes + memory_bytes <= c->memory_budget_bytes;
}

/* Gives up idle instances of others until one more of `memory_bytes` fits. */
static bool make_room(struct pools *p, const struct pool *for_pool, uint64_t memory_bytes)
{
    while (!fits(p, memory_bytes)) {
        struct instance *i = find_evictable(p, for_pool);
        if (!i)
            return false;
        instance_stop(i, INSTANCE_RETIRED, "idle, and the host's memory_budget is needed by '%s'",
                      for_pool->function->name);
    }
    return true;
}

/* ---- one function ---- */

static void on_wake(struct ev_loop *loop, ev_timer *w, int events);

struct pool *pool_new(struct pools *pools, struct function *f)
{
    struct pool *p = calloc(1, sizeof(*p));
    if (!p)
        return NULL;
    p->pools = pools;
    p->function = f;
    list_init(&p->idle);
    list_init(&p->trials);
    list_init(&p->others);
    list_init(&p->queue);
    ev_timer_init(&p->wake, on_wake, 0., 0.);
    p->wake.data = p;
    return p;
}

void pool_free(struct pool *p)
{
    if (!p)
        return;
    assert(list_is_empty(&p->idle) && list_is_empty(&p->trials) && list_is_empty(&p->others) && p->queued == 0);
    ev_timer_stop(p->pools->gateway->loop, &p->wake);
    free(p);
}

void pool_on_instance_state(struct pool *p, struct instance *i, enum instance_state before)
{
    struct pools *host = p->pools;
    if (i->counted) {
        p->counts[before]--;
        p->counts[i->state]++;
    }
    if (holds_memory(before) && !holds_memory(i->state)) {
        host->memory_bytes -= i->version->settings.memory_bytes;
        host->instances--;
    }
    p->stopping += (i->state == INSTANCE_STOPPING);
    p->stopping -= (before == INSTANCE_STOPPING);
    list_remove(&i->host_idle_link);
    if (i->state == INSTANCE_IDLE || before == INSTANCE_IDLE) {
        list_remove(&i->link);
        list_push_front(i->state == INSTANCE_IDLE && !i->counted ? &p->trials : &p->others, &i->link);
    }
}

static struct instance *start_instance(struct pool *p, const struct instance_options *o)
{
    struct pools *host = p->pools;
    struct instance *i = instance_start(host->gateway, o);
    if (!i)
        return NULL;
    i->counted = !o->on_trial;
    p->counts[INSTANCE_SPAWNING] += i->counted;
    host->memory_bytes += o->version->settings.memory_bytes;
    host->instances++;
    host->alive++;
    list_push_front(&p->others, &i->link);
    return i;
}

static struct policy_view look(const struct pool *p)
{
    const struct gateway *g = p->pools->gateway;
    const struct settings *s = &p->function->current->settings;
    struct policy_view v = {
        .starting = p->counts[INSTANCE_SPAWNING] + p->counts[INSTANCE_STARTING] + p->counts[INSTANCE_CLOSING],
        .idle = p->counts[INSTANCE_IDLE],
        .busy = p->counts[INSTANCE_BUSY] + p->counts[INSTANCE_JUDGING],
        .queued = p->queued,
        .min_warm = s->min_warm,
        .max_concurrency = s->max_concurrency,
        .queue_max = s->queue,
        .host_free = UINT32_MAX,
        .now_ms = now_ms(),
        .keep_warm_ms = s->keep_warm_ms,
        .backoff_until_ms = p->backoff_until_ms,
        .draining = g->draining,
    };
    const struct list *oldest = list_last(&p->idle);
    if (oldest)
        v.idle_oldest_ms = LIST_ENTRY(oldest, struct instance, link)->idle_since_ms;
    return v;
}

/* When the oldest waiting request has waited long enough; 0 = nobody waits. */
static uint64_t queue_due_ms(const struct pool *p)
{
    const struct list *oldest = list_first(&p->queue);
    if (!oldest)
        return 0;
    uint64_t waited = (clock_mono_ns() - LIST_ENTRY(oldest, struct invocation, queue_link)->queued_ns) / 1000000;
    uint64_t limit = p->pools->gateway->config->queue_timeout_ms;
    return now_ms() + (waited < limit ? limit - waited : 0);
}

/* A timer that already fires earlier is left alone: it looks again then. So a busy function touches no timer here. */
static void arm_wake(struct pool *p, uint64_t at_ms)
{
    struct ev_loop *loop = p->pools->gateway->loop;
    if (at_ms == 0)
        return;
    uint64_t now = now_ms();
    double after = at_ms > now ? (double)(at_ms - now) / 1e3 : 0.;
    if (ev_is_active(&p->wake) && ev_timer_remaining(loop, &p->wake) <= after)
        return;
    ev_timer_stop(loop, &p->wake);
    ev_timer_set(&p->wake, after, 0.);
    ev_timer_start(loop, &p->wake);
}

static struct invocation *dequeue(struct pool *p)
{
    struct list *link = list_first(&p->queue);
    if (!link)
        return NULL;
    struct invocation *inv = LIST_ENTRY(link, struct invocation, queue_link);
    list_remove(&inv->queue_link);
    p->queued--;
    return inv;
}

static void start_wanted(struct pool *p, uint32_t count)
{
    struct version *v = p->function->current;
    p->short_of_memory = false;
    for (uint32_t k = 0; k < count; k++) {
        if (!make_room(p->pools, p, v->settings.memory_bytes)) {
            p->short_of_memory = true;
            return;
        }
        if (!start_instance(p, &(struct instance_options){.function = p->function, .version = v}))
            return;
    }
}

/* Carries the policy out: until it asks for nothing more. */
static void evaluate(struct pool *p)
{
    if (!p->function->current)
        return;
    for (;;) {
        struct policy_view v = look(p);
        struct policy_decision d = policy_decide(&v);
        if (d.start)
            start_wanted(p, d.start);
        arm_wake(p, d.wake_ms);
        if (!d.stop_oldest_idle)
            break;
        instance_stop(LIST_ENTRY(list_last(&p->idle), struct instance, link), INSTANCE_RETIRED, "idle for keep_warm");
    }
    arm_wake(p, queue_due_ms(p));
}

static void end_overdue(struct pool *p)
{
    const struct config *c = p->pools->gateway->config;
    char limit[UNITS_TEXT_MAX];
    while (p->queued && queue_due_ms(p) <= now_ms()) {
        struct invocation *inv = dequeue(p);
        units_format_time(c->queue_timeout_ms, limit);
        if (p->short_of_memory)
            invocation_fail(inv, INVOCATION_REFUSED, 503, "NoCapacity",
                            "no instance could be started within queue_timeout (%s): the host's memory_budget or "
                            "instances limit is used up",
                            limit);
        else
            invocation_fail(inv, INVOCATION_THROTTLED, 429, "TooManyRequests",
                            "no instance was free within queue_timeout (%s): max_concurrency is %u", limit,
                            p->function->current ? p->function->current->settings.max_concurrency : 0);
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
    evaluate(p);
    function_put(f);
}

void pool_submit(struct pool *p, struct invocation *inv)
{
    struct list *front = list_first(&p->idle);
    if (front) {
        instance_deliver(LIST_ENTRY(front, struct instance, link), inv);
        return;
    }
    struct policy_view v = look(p);
    if (!policy_may_queue(&v)) {
        invocation_fail(inv, INVOCATION_THROTTLED, 429, "TooManyRequests",
                        "the queue is full: %u requests wait (limit 'queue'), max_concurrency is %u", v.queued,
                        v.max_concurrency);
        return;
    }
    list_push_back(&p->queue, &inv->queue_link);
    p->queued++;
    evaluate(p);
}

void pool_on_instance_ready(struct pool *p, struct instance *i)
{
    if (!i->counted) {
        instance_stop(i, INSTANCE_RETIRED, "a newer version serves");
        return;
    }
    struct invocation *inv = dequeue(p);
    if (inv) {
        instance_deliver(i, inv);
        return;
    }
    list_remove(&i->link);
    list_push_front(&p->idle, &i->link);
    list_push_front(&p->pools->idle, &i->host_idle_link);
    arm_wake(p, i->idle_since_ms + i->version->settings.keep_warm_ms);
}

void pool_on_instance_served(struct pool *p, struct instance *i)
{
    (void)i;
    p->failures = 0;
    p->backoff_until_ms = 0;
}

/* Nothing of this function lives or starts: whoever waits is told why, rather than left to wait for a start that fails again. */
static void fail_queue(struct pool *p, const struct instance *i)
{
    struct invocation *inv;
    while ((inv = dequeue(p)))
        invocation_fail(inv, INVOCATION_CRASHED, 502, "FunctionCrashed", "the function could not be started: %s",
                        i->doom_text);
}

void pool_on_instance_gone(struct pool *p, struct instance *i, bool failed_start)
{
    struct pools *host = p->pools;
    struct function *f = function_get(p->function);
    bool lost = i->doom != INSTANCE_RETIRED;
    host->alive--;
    if (i->counted && lost) {
        p->failures++;
        uint64_t backoff = policy_backoff_ms(p->failures, host->gateway->config->crash_backoff_max_ms);
        p->backoff_until_ms = backoff ? now_ms() + backoff : 0;
        if (failed_start)
            log_warn("an instance did not start fn=%s inst=%lu failures=%u next_in_ms=%lu: %s", f->name,
                     (unsigned long)i->waiter.id, p->failures, (unsigned long)backoff, i->doom_text);
    }
    bool counted = i->counted;
    if (counted) {
        p->counts[INSTANCE_GONE]--;
        i->counted = false;
    }
    list_remove(&i->link);
    list_push_back(&host->graveyard, &i->link);
    if (counted && failed_start && pool_total(p) == 0)
        fail_queue(p, i);
    evaluate(p);
    function_put(f);
}

/* An instance of the version that has just become current. */
static void adopt(struct pool *p, struct instance *i)
{
    i->counted = true;
    p->counts[i->state]++;
    if (i->state != INSTANCE_IDLE)
        return;
    ev_timer_stop(p->pools->gateway->loop, &i->timer);
    pool_on_instance_ready(p, i);
}

static void disown(struct pool *p, struct instance *i)
{
    if (i->counted)
        p->counts[i->state]--;
    i->counted = false;
    if (i->state == INSTANCE_IDLE || i->state == INSTANCE_SPAWNING || i->state == INSTANCE_STARTING)
        instance_stop(i, INSTANCE_RETIRED, "a newer version serves");
}

static void sort_out(struct pool *p, struct list *instances)
{
    /* Stopping moves an instance to the front of `others`, behind the walker: none is seen twice with effect. */
    LIST_EACH (instances, link) {
        struct instance *i = LIST_ENTRY(link, struct instance, link);
        if (i->state == INSTANCE_GONE || i->state == INSTANCE_STOPPING)
            continue;
        if (i->version != p->function->current)
            disown(p, i);
        else if (!i->counted)
            adopt(p, i);
    }
}

void pool_version_changed(struct pool *p)
{
    struct function *f = function_get(p->function);
    sort_out(p, &p->idle);
    sort_out(p, &p->others);
    sort_out(p, &p->trials);
    p->failures = 0;
    p->backoff_until_ms = 0;
    if (!f->current) {
        struct invocation *inv;
        while ((inv = dequeue(p)))
            invocation_fail(inv, INVOCATION_REFUSED, 404, "ResourceNotFound", "the function '%s' was removed", f->name);
    }
    evaluate(p);
    function_put(f);
}

void pool_trial(struct pool *p, struct version *v, pool_on_trial *on_done, void *owner)
{
    struct instance_options o = {.function = p->function, .version = v, .on_trial = on_done, .trial_owner = owner};
    make_room(p->pools, p, v->settings.memory_bytes);
    if (!start_instance(p, &o))
        on_done(owner, &(struct err){.code = ENOMEM, .text = "out of memory"});
}

void pool_count(const struct pool *p, struct pool_counts *ret_counts)
{
    struct policy_view v = {0};
    if (p->function->current)
        v = look(p);
    *ret_counts = (struct pool_counts){
        .starting = v.starting, .idle = v.idle, .busy = v.busy, .stopping = p->stopping, .queued = p->queued};
    if (p->function->current)
        ret_counts->memory_bytes = (uint64_t)pool_total(p) * p->function->current->settings.memory_bytes;
}

struct count_context {
    struct pool_counts *sum;
};

static void add_counts(struct function *f, void *context)
{
    struct count_context *c = context;
    struct pool_counts one;
    pool_count(f->pool, &one);
    c->sum->starting += one.starting;
    c->sum->idle += one.idle;
    c->sum->busy += one.busy;
    c->sum->queued += one.queued;
}

void pools_count(const struct pools *p, struct pool_counts *ret_counts)
{
    *ret_counts = (struct pool_counts){0};
    registry_each(p->gateway->registry, add_counts, &(struct count_context){.sum = ret_counts});
    ret_counts->stopping = p->alive - p->instances;
    ret_counts->memory_bytes = p->memory_bytes;
}

static void tell_instances(const struct list *instances, void (*on_instance)(const struct pool_instance_info *, void *),
                           void *context)
{
    LIST_EACH (instances, link) {
        const struct instance *i = LIST_ENTRY(link, struct instance, link);
        struct pool_instance_info info = {
            .id = i->waiter.id,
            .pid = i->pid,
            .state = instance_state_name(i->state),
            .version_number = i->version->number,
            .age_ms = (clock_mono_ns() - i->spawned_ns) / 1000000,
            .requests = i->requests,
        };
        on_instance(&info, context);
    }
}

void pool_each_instance(const struct pool *p, void (*on_instance)(const struct pool_instance_info *i, void *context),
                        void *context)
{
    tell_instances(&p->idle, on_instance, context);
    tell_instances(&p->trials, on_instance, context);
    tell_instances(&p->others, on_instance, context);
}
