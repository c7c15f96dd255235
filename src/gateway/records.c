/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/records.h"

#include "base/clock.h"
#include "gateway/account.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* ---- usage ---- */

static void arm_sampling(struct records *r)
{
    if (ev_is_active(&r->sample_timer))
        return;
    ev_timer_set(&r->sample_timer, USAGE_SAMPLE_MS / 1e3, 0.);
    ev_timer_start(r->gateway->loop, &r->sample_timer);
}

static void look_at_waiters(struct records *r)
{
    uint64_t now = clock_mono_ns();
    LIST_EACH (&r->waiters, link) {
        struct records_waiter *w = LIST_ENTRY(link, struct records_waiter, link);
        const struct record *at = record_ring_at(&r->ring, w->number);
        if (at && at->usage_open && now - w->since_ns < RECORDS_SETTLE_MS * UINT64_C(1000000))
            continue;
        list_remove(link);
        w->on_settled(w);
    }
}

static void on_sample(struct ev_loop *loop, ev_timer *t, int events)
{
    struct records *r = t->data;
    (void)loop;
    (void)events;
    usage_sample(r);
    look_at_waiters(r);
    if (!list_is_empty(&r->to_sample) || !list_is_empty(&r->waiters))
        arm_sampling(r);
}

void records_note_served(struct records *r, struct instance *i)
{
    struct list *link = &i->usage.sample_link;
    if (!list_is_empty(link))
        return;
    list_push_back(&r->to_sample, link);
    arm_sampling(r);
}

void records_on_settled(struct records *r)
{
    if (!list_is_empty(&r->waiters))
        look_at_waiters(r);
}

void records_when_settled(struct records *r, struct records_waiter *w)
{
    const struct record *at = record_ring_at(&r->ring, w->number);
    w->since_ns = clock_mono_ns();
    if (!at || !at->usage_open) {
        w->on_settled(w);
        return;
    }
    list_push_back(&r->waiters, &w->link);
    usage_sample(r);
    arm_sampling(r);
}

/* ---- an invocation ---- */

void records_attach(struct records *r, struct function *f)
{
    if (f->account || f->removed)
        return;
    f->account = accounts_get(&r->accounts, str_from(f->name));
    if (f->account)
        account_attach(f->account, r->gateway->config->metrics_functions_max);
}

void records_begin(struct records *r, struct invocation *inv)
{
    inv->started_ms = clock_real_ms();
    list_push_back(&r->live, &inv->live_link);
    records_attach(r, inv->function);
}

/* 32 bits of microseconds are 71 minutes; queue_timeout and init_timeout are an hour at most. */
static uint32_t to_us(uint64_t ns)
{
    uint64_t us = ns / 1000;
    return us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
}

static void count_series(struct records *r, const struct invocation *inv, const struct invocation_end *end)
{
    struct metrics *m = accounts_series(&r->accounts, inv->function->account);
    m->outcomes[end->outcome]++;
    if (!inv->delivered_ns)
        return;
    metrics_observe(&m->queue, to_us(inv->delivered_ns - inv->queued_ns));
    metrics_observe(&m->run, (end->now_ns - inv->delivered_ns) / 1000);
    if (inv->start == INVOCATION_WARM)
        return;
    metrics_observe(&m->init, to_us(inv->init_ns));
    m->cold_starts += inv->start == INVOCATION_COLD;
}

static void turn_month(struct records *r, uint64_t now)
{
    if (r->month && now < r->month_end_ms && now + UINT64_C(32) * 86400000 > r->month_end_ms)
        return;
    uint64_t end_ms;
    unsigned month = records_month(now, &end_ms);
    if (month != r->month)
        records_collect_sums(r); /* what there is belongs to the last one */
    r->month = month;
    r->month_end_ms = end_ms;
}

static void add_sums(struct records *r, struct account *c, uint64_t now_ms, const struct account_sums *more)
{
    if (!c)
        return; /* no memory for it: nothing keeps a bill then */
    turn_month(r, now_ms);
    account_add(c, more);
    records_note_unsaved(r);
}

void records_add_idle(struct records *r, struct function *f, uint64_t mib_us)
{
    records_attach(r, f);
    if (mib_us)
        add_sums(r, f->account, clock_real_ms(), &(struct account_sums){.idle_mib_us = mib_us});
}

static void fill(struct record *at, const struct invocation *inv, const struct invocation_end *end)
{
    memcpy(at->id, inv->exchange->id_bytes, sizeof(at->id));
    at->account = inv->function->account ? account_get(inv->function->account) : NULL;
    at->started_ms = inv->started_ms;
    at->queue_us = to_us((inv->delivered_ns ? inv->delivered_ns : end->now_ns) - inv->queued_ns);
    at->http_status = (uint16_t)end->status;
    at->outcome = (uint8_t)end->outcome;
    at->status = end->failure ? RECORD_FAILED : RECORD_SUCCEEDED;
    at->trace = inv->trace;
    at->background = inv->background;
    if (end->failure) {
        struct str type = str_from(end->failure->type);
        str_copy((struct str){type.p, type.n < RECORD_TYPE_MAX ? type.n : RECORD_TYPE_MAX - 1}, at->type,
                 sizeof(at->type));
    }
    if (!inv->delivered_ns)
        return;
    at->delivered = true;
    at->start = (uint8_t)inv->start;
    at->run_us = (end->now_ns - inv->delivered_ns) / 1000;
    at->spawn_us = to_us(inv->spawn_ns);
    at->init_us = to_us(inv->init_ns);
    at->instance = inv->instance;
    at->version = (uint32_t)inv->version->number;
    at->memory_kib = (uint32_t)(inv->version->settings.memory_bytes / 1024);
    at->cpu_us = inv->cpu_ns / 1000;
    at->peak_kib = (uint32_t)(inv->peak_bytes / 1024);
    at->peak = inv->peak_bytes ? RECORD_PEAK_PROCESS : RECORD_PEAK_UNKNOWN;
}

void records_end(struct records *r, struct invocation *inv, const struct invocation_end *end)
{
    list_remove(&inv->live_link);
    count_series(r, inv, end);
    if (inv->delivered_ns) {
        uint64_t run_us = (end->now_ns - inv->delivered_ns) / 1000;
        add_sums(r, inv->function->account, inv->started_ms + (end->now_ns - inv->queued_ns) / 1000000,
                 &(struct account_sums){
                     .requests = 1,
                     .run_mib_us = (uint64_t)((__uint128_t)run_us * inv->version->settings.memory_bytes >> 20),
                 });
    }
    struct record *at = record_ring_add(&r->ring);
    if (!at)
        return;
    fill(at, inv, end);
    if (inv->usage_of)
        usage_open_record(inv->usage_of, at);
    /* What never reached the function is the caller's own news, and may come by the thousand: memory is enough for it. */
    if (end->failure && end->outcome != INVOCATION_THROTTLED && end->outcome != INVOCATION_REFUSED)
        records_keep_failure(r, at, inv, end);
}

void records_note(struct records *r, const struct records_note *n)
{
    struct record *at = record_ring_add(&r->ring);
    if (!at || !id_uuid_parse(str_from(n->id), at->id))
        return;
    at->account = accounts_get(&r->accounts, n->function);
    at->started_ms = n->started_ms;
    at->queue_us = to_us(n->queue_us * 1000);
    at->version = n->version;
    at->status = (uint8_t)n->status;
    at->outcome = (uint8_t)n->outcome;
    at->http_status = (uint16_t)n->http_status;
    str_copy(str_from(n->type), at->type, sizeof(at->type));
    at->delivered = n->delivered;
    at->start = INVOCATION_COLD;
    at->run_us = n->run_us;
    at->cpu_us = n->cpu_us;
    at->memory_kib = (uint32_t)(n->memory_bytes / 1024);
    at->peak_kib = (uint32_t)(n->peak_bytes / 1024);
    at->peak = n->peak_bytes ? RECORD_PEAK_REQUEST : RECORD_PEAK_UNKNOWN;
}

/* ---- life ---- */

static void on_flush(struct ev_loop *loop, ev_timer *t, int events)
{
    (void)loop;
    (void)events;
    records_flush(t->data);
}

struct records *records_new(struct gateway *g)
{
    struct records *r = calloc(1, sizeof(*r));
    if (!r)
        return NULL;
    r->gateway = g;
    accounts_init(&r->accounts);
    record_ring_init(&r->ring, g->config->records_max);
    list_init(&r->live);
    list_init(&r->to_sample);
    list_init(&r->waiters);
    list_init(&r->unsaved);
    ev_timer_init(&r->sample_timer, on_sample, 0., 0.);
    ev_timer_init(&r->flush_timer, on_flush, 0., 0.);
    r->sample_timer.data = r;
    r->flush_timer.data = r;
    /* What min_warm costs grows without a request. */
    ev_timer_init(&r->idle_timer, on_flush, RECORDS_IDLE_S, RECORDS_IDLE_S);
    r->idle_timer.data = r;
    ev_timer_start(g->loop, &r->idle_timer);
    return r;
}

static void free_failures(struct list *failures)
{
    LIST_EACH (failures, link)
        records_free_failure(LIST_ENTRY(link, struct record_failure, link));
}

void records_free(struct records *r)
{
    if (!r)
        return;
    ev_timer_stop(r->gateway->loop, &r->sample_timer);
    ev_timer_stop(r->gateway->loop, &r->flush_timer);
    ev_timer_stop(r->gateway->loop, &r->idle_timer);
    free_failures(&r->unsaved);
    buf_fini(&r->bills);
    record_ring_fini(&r->ring);
    accounts_fini(&r->accounts);
    free(r);
}
