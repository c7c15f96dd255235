/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pool's policy as pure functions: counts, limits and a clock in, a decision out. No state, no time of its own, so that tests
 * and a simulator drive it with a fake clock.
 */
#ifndef FAASD_GATEWAY_POLICY_H
#define FAASD_GATEWAY_POLICY_H

#include <stdbool.h>
#include <stdint.h>

/* What one function's pool looks like. Instances of older versions are not counted: they only finish. */
struct policy_view {
    uint32_t starting, idle, busy, queued;
    uint32_t min_warm, max_concurrency, queue_max;
    uint32_t
        host_free; /* how many more instances of this function the host's budgets allow, idle ones of others given up for them */
    uint64_t now_ms; /* CLOCK_BOOTTIME */
    uint64_t keep_warm_ms;
    uint64_t idle_oldest_ms;   /* when the least recently used idle instance became idle; only read when idle > 0 */
    uint64_t backoff_until_ms; /* no start before this; 0 = none */
    bool draining;
};

struct policy_decision {
    uint32_t start;
    bool stop_oldest_idle;
    uint64_t wake_ms; /* decide again at this time at the latest; 0 = only when something changes */
};
struct policy_decision policy_decide(const struct policy_view *v);

/* May one more request wait? */
bool policy_may_queue(const struct policy_view *v);

/* How long a function that failed `failures` times in a row, without one good reply between, is not started again. The first
 * POLICY_FREE_FAILURES cost nothing; then 100 ms, doubled each time, up to max_ms. */
enum { POLICY_FREE_FAILURES = 5, POLICY_FIRST_BACKOFF_MS = 100 };
uint64_t policy_backoff_ms(uint32_t failures, uint64_t max_ms);

#endif
