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
    uint32_t spares;          /* policy_spares(): idle or starting ones wanted beside those that work */
    uint64_t spares_until_ms; /* until when, unless it is used again; only read when spares > 0 */
    uint32_t
        host_free; /* how many more instances of this function the host's budgets allow, idle ones of others given up for them */
    uint64_t now_ms; /* CLOCK_BOOTTIME */
    uint64_t keep_warm_ms;
    uint64_t idle_oldest_ms;   /* when the least recently used idle instance became idle; only read when idle > 0 */
    uint64_t backoff_until_ms; /* no start before this; 0 = none */
    uint64_t look_again_ms;    /* something in this view changes by itself then; 0 = nothing does */
    bool draining;
};

struct policy_decision {
    uint32_t start;
    uint32_t ahead; /* of those, made ahead of need: nobody else has to make room for them */
    bool stop_oldest_idle;
    uint64_t wake_ms; /* decide again at this time at the latest; 0 = only when something changes */
};
struct policy_decision policy_decide(const struct policy_view *v);

/* How one function is used and served, as far as it says how many instances are to be made ahead of need. */
struct policy_use {
    bool single_use;      /* an instance serves one request: isolation fork and sandbox */
    bool forks;           /* from a template: one more costs little */
    uint32_t concurrency; /* the most requests that were there at once lately (struct policy_peak) */
    uint64_t used_ms;     /* CLOCK_BOOTTIME of the last request; 0 = never */
    uint64_t keep_warm_ms;
    uint64_t now_ms;
};
/*
 * 0 when nothing was asked for keep_warm. Where instances are used up, one for each request that is likely to come at once, so that it finds a process
 * made and its successor is made while it runs. With a template and reuse one, for a burst's second request. Otherwise none: busy ones come back.
 */
uint32_t policy_spares(const struct policy_use *u);

/* The highest concurrency of the last POLICY_PEAK_WINDOW_MS to twice that: two windows, so that it falls again and needs no list of times. */
enum { POLICY_PEAK_WINDOW_MS = 10000 };
struct policy_peak {
    uint64_t window; /* number of the present one */
    uint32_t now, before;
};
void policy_peak_note(struct policy_peak *p, uint64_t now_ms, uint32_t concurrency);
uint32_t policy_peak_read(const struct policy_peak *p, uint64_t now_ms);

/* May one more request wait? */
bool policy_may_queue(const struct policy_view *v);

/* How long a function that failed `failures` times in a row, without one good reply between, is not started again. The first
 * POLICY_FREE_FAILURES cost nothing; then 100 ms, doubled each time, up to max_ms. */
enum { POLICY_FREE_FAILURES = 5, POLICY_FIRST_BACKOFF_MS = 100 };
uint64_t policy_backoff_ms(uint32_t failures, uint64_t max_ms);

#endif
