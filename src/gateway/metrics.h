/* SPDX-License-Identifier: Apache-2.0 */
/* The counters of one function since the gateway started, as /metrics tells them. Adding to them takes no memory and no system call. */
#ifndef FAASD_GATEWAY_METRICS_H
#define FAASD_GATEWAY_METRICS_H

#include <stdint.h>

enum { METRICS_OUTCOMES = 7 /* enum invocation_outcome */, METRICS_BUCKETS = 16 };

/* Upper bounds in microseconds, each 2 to 5 times the last; what is longer stands in the last count. */
extern const uint32_t METRICS_BOUNDS_US[METRICS_BUCKETS];

struct metrics_histogram {
    uint64_t counts[METRICS_BUCKETS + 1]; /* not cumulative */
    uint64_t sum_us;
};

struct metrics {
    uint64_t outcomes[METRICS_OUTCOMES];
    uint64_t cold_starts;
    uint64_t cpu_ns;
    struct metrics_histogram queue, init, run;
};

void metrics_observe(struct metrics_histogram *h, uint64_t us);
uint64_t metrics_count(const struct metrics_histogram *h); /* of all observations */
void metrics_add(struct metrics *to, const struct metrics *more);

#endif
