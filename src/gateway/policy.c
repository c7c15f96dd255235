/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/policy.h"

static uint32_t at_most(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static uint32_t above(uint32_t a, uint32_t b)
{
    return a > b ? a - b : 0;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}

struct policy_decision policy_decide(const struct policy_view *v)
{
    struct policy_decision d = {0};
    uint32_t total = v->starting + v->idle + v->busy;
    /* One start for each request that no starting instance will take, or whatever min_warm lacks; and the spares beside them. */
    uint32_t needed = above(v->queued, v->starting + v->idle);
    if (needed < above(v->min_warm, total))
        needed = above(v->min_warm, total);
    uint32_t wanted = above(v->queued + v->spares, v->starting + v->idle);
    if (wanted < needed)
        wanted = needed;
    if (v->draining)
        wanted = 0;
    if (wanted && v->now_ms < v->backoff_until_ms) {
        d.wake_ms = v->backoff_until_ms;
        wanted = 0;
    }
    d.start = at_most(wanted, at_most(above(v->max_concurrency, total), v->host_free));
    d.ahead = above(d.start, needed);

    if (v->idle && total > v->min_warm) {
        uint64_t due = v->idle_oldest_ms + v->keep_warm_ms;
        /* A spare that nobody took for keep_warm would only be followed by another one. */
        if (v->idle + v->starting <= v->spares && due < v->spares_until_ms)
            due = v->spares_until_ms;
        if (due <= v->now_ms)
            d.stop_oldest_idle = true;
        else
            d.wake_ms = earlier(d.wake_ms, due);
    }
    d.wake_ms = earlier(d.wake_ms, v->look_again_ms);
    return d;
}

uint32_t policy_spares(const struct policy_use *u)
{
    if (u->used_ms == 0 || u->now_ms >= u->used_ms + u->keep_warm_ms)
        return 0;
    if (u->single_use)
        return u->concurrency ? u->concurrency : 1;
    return u->forks ? 1 : 0;
}

void policy_peak_note(struct policy_peak *p, uint64_t now_ms, uint32_t concurrency)
{
    uint64_t window = now_ms / POLICY_PEAK_WINDOW_MS;
    if (window != p->window) {
        p->before = window == p->window + 1 ? p->now : 0;
        p->now = 0;
        p->window = window;
    }
    if (concurrency > p->now)
        p->now = concurrency;
}

uint32_t policy_peak_read(const struct policy_peak *p, uint64_t now_ms)
{
    uint64_t window = now_ms / POLICY_PEAK_WINDOW_MS;
    if (window == p->window)
        return p->now > p->before ? p->now : p->before;
    return window == p->window + 1 ? p->now : 0;
}

bool policy_may_queue(const struct policy_view *v)
{
    return v->queued < v->queue_max;
}

uint64_t policy_backoff_ms(uint32_t failures, uint64_t max_ms)
{
    if (failures <= POLICY_FREE_FAILURES)
        return 0;
    uint32_t doublings = failures - POLICY_FREE_FAILURES - 1;
    uint64_t backoff = doublings < 32 ? (uint64_t)POLICY_FIRST_BACKOFF_MS << doublings : max_ms;
    return backoff < max_ms ? backoff : max_ms;
}
