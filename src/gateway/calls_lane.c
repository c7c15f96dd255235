/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lanes: how many of a function's waiting calls are fetched and run, and when.
 *
 * Requests that somebody waits for come first without calls starving: a call is handed to the pool when an instance is free or may be started, and otherwise
 * one at a time queues among the requests, so that of each n + 1 places in the queue one is a call's.
 */
#include "base/clock.h"
#include "base/log.h"
#include "gateway/calls_internal.h"
#include "gateway/pool.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static void on_timer(struct ev_loop *loop, ev_timer *w, int events);

static struct calls_lane **bucket_of(struct calls *c, struct str function)
{
    return &c->lanes[str_hash(function, 0) % CALLS_LANE_BUCKETS];
}

struct calls_lane *calls_lane_hold(struct calls *c, struct str function)
{
    struct calls_lane **bucket = bucket_of(c, function), *l = *bucket;
    while (l && !str_is(function, l->name))
        l = l->next;
    if (!l) {
        l = calloc(1, sizeof(*l));
        if (!l || !str_copy(function, l->name, sizeof(l->name))) {
            free(l);
            return NULL;
        }
        l->calls = c;
        list_init(&l->blocked_link);
        ev_timer_init(&l->timer, on_timer, 0., 0.);
        l->timer.data = l;
        l->next = *bucket;
        *bucket = l;
    }
    l->holders++;
    return l;
}

static void free_if_idle(struct calls_lane *l)
{
    if (l->running || l->holders || l->fetching || l->next_ms)
        return;
    struct calls_lane **at = bucket_of(l->calls, str_from(l->name));
    while (*at != l)
        at = &(*at)->next;
    *at = l->next;
    ev_timer_stop(l->calls->gateway->loop, &l->timer);
    list_remove(&l->blocked_link);
    free(l);
}

void calls_lane_release(struct calls_lane *l)
{
    assert(l->holders);
    l->holders--;
    calls_lane_pump(l);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a == 0 || (b && b < a) ? b : a;
}

void calls_lane_note(struct calls_lane *l, uint64_t due_ms)
{
    uint64_t *at = l->fetching ? &l->noted_ms : &l->next_ms;
    *at = earlier(*at, due_ms);
}

static void arm(struct calls_lane *l, uint64_t now)
{
    struct ev_loop *loop = l->calls->gateway->loop;
    uint64_t after = l->next_ms > now ? l->next_ms - now : 0;
    if (after > CALLS_TIMER_MAX_MS)
        after = CALLS_TIMER_MAX_MS;
    ev_timer_stop(loop, &l->timer);
    ev_timer_set(&l->timer, (double)after / 1e3, 0.);
    ev_timer_start(loop, &l->timer);
}

static void on_timer(struct ev_loop *loop, ev_timer *w, int events)
{
    (void)loop;
    (void)events;
    calls_lane_pump(w->data);
}

/* How many may be handed to the pool now. */
static unsigned find_room(const struct calls_lane *l)
{
    const struct function *f = registry_find(l->calls->gateway->registry, str_from(l->name));
    struct pool_counts counts;
    if (!f || function_is_stopped(f)) /* they are told so at once */
        return l->running < CALLS_UNKNOWN_CONCURRENCY ? CALLS_UNKNOWN_CONCURRENCY - l->running : 0;
    const struct settings *s = &f->current->settings;
    unsigned most = s->async_concurrency ? s->async_concurrency : function_concurrency(f, s);
    if (l->running >= most)
        return 0;
    pool_count(f->pool, &counts);
    unsigned taken = counts.busy + counts.queued;
    unsigned all = function_concurrency(f, s), room = taken < all ? all - taken : 0;
    if (room == 0 && counts.queued_background == 0)
        room = 1;
    return room < most - l->running ? room : most - l->running;
}

/* Room in the window for one that waits for it. */
static void unblock_next(struct calls *c, const struct calls_lane *but)
{
    struct list *blocked = list_first(&c->blocked);
    if (!blocked)
        return;
    struct calls_lane *l = LIST_ENTRY(blocked, struct calls_lane, blocked_link);
    list_remove(blocked);
    if (l != but)
        calls_lane_pump(l);
}

static void on_fetched(struct calls_job *j)
{
    struct calls_lane *l = j->owner;
    struct calls *c = l->calls;
    bool any = !list_is_empty(&j->fetch.calls);
    calls_note_totals(c, j);
    l->fetching = false;
    l->next_ms = earlier(j->fetch.next_ms, l->noted_ms);
    l->noted_ms = 0;
    c->window_bytes -= j->fetch.bytes;
    if (j->error.code)
        log_error("waiting calls cannot be read, trying again fn=%s: %s", l->name, j->error.text);
    if (j->error.code || (!any && l->next_ms && l->next_ms <= calls_now(c)))
        l->next_ms = calls_now(c) + CALLS_AGAIN_MS;
    l->holders++;
    /* While faasd ends nothing is begun: they stay where they are, and go with the job. */
    LIST_EACH (&j->fetch.calls, at) {
        if (c->gateway->draining)
            break;
        struct calls_call *call = LIST_ENTRY(at, struct calls_call, link);
        list_remove(at);
        list_push_back(&c->running, at);
        call->lane = l;
        l->running++;
        c->running_count++;
        c->window_bytes += call->bytes;
        calls_run(call);
    }
    calls_job_free(j);
    unblock_next(c, l);
    calls_lane_release(l);
}

static void fetch(struct calls_lane *l, unsigned room)
{
    struct calls *c = l->calls;
    size_t free_bytes = c->window_bytes < CALLS_WINDOW_BYTES ? CALLS_WINDOW_BYTES - c->window_bytes : 0;
    if (free_bytes == 0) {
        list_remove(&l->blocked_link);
        list_push_back(&c->blocked, &l->blocked_link);
        return;
    }
    struct calls_job *j = calls_job_new(CALLS_JOB_FETCH, on_fetched, l);
    if (!j) {
        l->next_ms = calls_now(c) + CALLS_AGAIN_MS;
        arm(l, calls_now(c));
        return;
    }
    memcpy(j->fetch.function, l->name, sizeof(l->name));
    j->fetch.count = room < CALLS_FETCH_MAX ? room : CALLS_FETCH_MAX;
    j->fetch.bytes = free_bytes < CALLS_FETCH_BYTES ? free_bytes : CALLS_FETCH_BYTES;
    c->window_bytes += j->fetch.bytes;
    l->fetching = true;
    l->noted_ms = 0;
    calls_store_submit(c->store, j);
}

void calls_lane_pump(struct calls_lane *l)
{
    struct calls *c = l->calls;
    if (l->fetching || c->gateway->draining)
        return;
    ev_timer_stop(c->gateway->loop, &l->timer);
    if (!l->next_ms) {
        free_if_idle(l);
        return;
    }
    uint64_t now = calls_now(c);
    unsigned room = l->next_ms <= now ? find_room(l) : 0;
    if (l->next_ms > now)
        arm(l, now);
    else if (room)
        fetch(l, room);
    /* Without room at least one of its own calls is with the pool: its end comes here again. */
}

void calls_lane_call_over(struct calls_call *call)
{
    struct calls_lane *l = call->lane;
    struct calls *c = l->calls;
    list_remove(&call->link);
    c->running_count--;
    c->window_bytes -= call->bytes;
    assert(l->running);
    l->running--;
    free(call);
    unblock_next(c, l);
    calls_lane_pump(l);
}
