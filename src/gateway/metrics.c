/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/metrics.h"

const uint32_t METRICS_BOUNDS_US[METRICS_BUCKETS] = {
    100, 250, 500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 500000, 1000000, 2500000, 10000000, 30000000,
};

void metrics_observe(struct metrics_histogram *h, uint64_t us)
{
    unsigned i = 0;
    while (i < METRICS_BUCKETS && us > METRICS_BOUNDS_US[i])
        i++;
    h->counts[i]++;
    h->sum_us += us;
}

uint64_t metrics_count(const struct metrics_histogram *h)
{
    uint64_t n = 0;
    for (unsigned i = 0; i <= METRICS_BUCKETS; i++)
        n += h->counts[i];
    return n;
}

static void add_histogram(struct metrics_histogram *to, const struct metrics_histogram *more)
{
    for (unsigned i = 0; i <= METRICS_BUCKETS; i++)
        to->counts[i] += more->counts[i];
    to->sum_us += more->sum_us;
}

void metrics_add(struct metrics *to, const struct metrics *more)
{
    for (unsigned i = 0; i < METRICS_OUTCOMES; i++)
        to->outcomes[i] += more->outcomes[i];
    to->cold_starts += more->cold_starts;
    to->cpu_ns += more->cpu_ns;
    add_histogram(&to->queue, &more->queue);
    add_histogram(&to->init, &more->init);
    add_histogram(&to->run, &more->run);
}
