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
    /* One start for each request that no starting instance will take, and whatever min_warm lacks. */
    uint32_t wanted = above(v->queued, v->starting + v->idle);
    if (wanted < above(v->min_warm, total))
        wanted = above(v->min_warm, total);
    if (v->draining)
        wanted = 0;
    if (wanted && v->now_ms < v->backoff_until_ms) {
        d.wake_ms = v->backoff_until_ms;
        wanted = 0;
    }
    d.start = at_most(wanted, at_most(above(v->max_concurrency, total), v->host_free));

    if (v->idle && total > v->min_warm) {
        uint64_t due = v->idle_oldest_ms + v->keep_warm_ms;
        if (due <= v->now_ms)
            d.stop_oldest_idle = true;
        else
            d.wake_ms = earlier(d.wake_ms, due);
    }
    return d;
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
