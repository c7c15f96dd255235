/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/history.h"

#include <stdlib.h>
#include <string.h>

/* Prices. A cold start is worth COLD_WEIGHT times the memory that the fixed keep-alive would have spent on one spell; COLD_SLACK is how many more of
 * them, as a share, memory may buy: of a bursty function's spells, of which the last 64 show little, it takes more than it asks for. With 0.008 one range of
 * 20 seeds in five lost over a percentage point there (scripts/simulate --seeds 501-520), with 0.007 three quarters of one. */
static const double COLD_WEIGHT = 3.0;
static const double COLD_SLACK = 0.007;
/* Samples are few: windows are wider than they, by these parts. */
static const double KEEP_MARGIN = 1.5;
static const double EDGE_MARGIN = 0.02;   /* of the idle time itself */
static const double SPREAD_MARGIN = 0.25; /* of the distance between the window's samples */

void history_quiet(struct history *h, uint64_t now_ms)
{
    h->quiet_since_ms = now_ms;
}

void history_awake(struct history *h, uint64_t now_ms)
{
    if (h->quiet_since_ms == 0 || now_ms < h->quiet_since_ms)
        return;
    uint64_t idle = now_ms - h->quiet_since_ms;
    h->quiet_since_ms = 0;
    if (idle < HISTORY_SPELL_MS)
        return;
    h->idle_ms[h->next] = idle < UINT32_MAX ? (uint32_t)idle : UINT32_MAX;
    h->next = (h->next + 1) % HISTORY_IDLES;
    if (h->count < HISTORY_IDLES)
        h->count++;
}

static int ascending(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

struct samples {
    uint32_t idle[HISTORY_IDLES];      /* ascending */
    double sum[HISTORY_IDLES + 1];     /* of the first n */
    double squares[HISTORY_IDLES + 1]; /* of their squares */
    unsigned count;
};

static void collect(const struct history *h, struct samples *s)
{
    s->count = h->count;
    memcpy(s->idle, h->idle_ms, h->count * sizeof(s->idle[0]));
    qsort(s->idle, s->count, sizeof(s->idle[0]), ascending);
    s->sum[0] = s->squares[0] = 0;
    for (unsigned i = 0; i < s->count; i++) {
        s->sum[i + 1] = s->sum[i] + s->idle[i];
        s->squares[i + 1] = s->squares[i] + (double)s->idle[i] * s->idle[i];
    }
}

/* How many samples are at most `ms`. */
static unsigned count_up_to(const struct samples *s, double ms)
{
    unsigned low = 0;
    unsigned high = s->count;
    while (low < high) {
        unsigned middle = (low + high) / 2;
        if (s->idle[middle] <= ms)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Mean time for which an instance is held when it is from the spell's begin until `ms`. */
static double mean_held(const struct samples *s, double ms)
{
    unsigned n = count_up_to(s, ms);
    return (s->sum[n] + (s->count - n) * ms) / s->count;
}

struct price {
    double cold; /* share of the samples that find no instance */
    double held; /* mean time of one per spell, in ms */
};

/*
 * What the samples can't show: that the next idle time lies beyond the outermost of the run [first, end), on one side. For any distribution the chance that a new
 * draw is a record is 1 / (n + 1); what the margin leaves of it is Cantelli's bound with the run's own variance.
 */
static double chance_beyond(const struct samples *s, unsigned first, unsigned end, double margin)
{
    double n = end - first;
    if (n < 1)
        return 0;
    double mean = (s->sum[end] - s->sum[first]) / n;
    double variance = (s->squares[end] - s->squares[first]) / n - mean * mean;
    variance = variance > 1 ? variance : 1;
    return variance / (variance + margin * margin) / (s->count + 1);
}

static struct price price_of(const struct samples *s, const struct history_plan *p)
{
    double keep = (double)p->keep_ms;
    double from = (double)p->prewarm_ms;
    double until = (double)p->until_ms;
    unsigned kept = count_up_to(s, keep);
    unsigned met = kept;
    struct price price = {.held = mean_held(s, keep)};
    if (kept)
        price.cold = chance_beyond(s, 0, kept, keep - s->idle[kept - 1]);
    if (until > from) {
        unsigned first = count_up_to(s, from);
        unsigned end = count_up_to(s, until);
        met += end - first;
        price.held += mean_held(s, until) - mean_held(s, from);
        if (end > first)
            price.cold += chance_beyond(s, first, end, s->idle[first] - from) +
                          chance_beyond(s, first, end, until - s->idle[end - 1]);
    }
    price.cold += 1.0 - (double)met / s->count;
    return price;
}

/* The plan that keeps for all samples up to index `last`, and starts ahead for those from `first` to `end`; first > end: none. */
static struct history_plan draw(const struct samples *s, int last, int first, int end, uint64_t lead_ms)
{
    struct history_plan p = {0};
    if (last >= 0)
        p.keep_ms = (uint64_t)(s->idle[last] * KEEP_MARGIN) + 1;
    if (first > end)
        return p;
    double spread = (double)(s->idle[end] - s->idle[first]) * SPREAD_MARGIN;
    double from = s->idle[first] * (1 - EDGE_MARGIN) - spread - 2.0 * (double)lead_ms;
    double until = s->idle[end] * (1 + EDGE_MARGIN) + spread;
    if (from <= (double)p.keep_ms) {
        p.keep_ms = (uint64_t)until > p.keep_ms ? (uint64_t)until : p.keep_ms;
        return p;
    }
    p.prewarm_ms = (uint64_t)from;
    p.until_ms = (uint64_t)until;
    return p;
}

struct search {
    const struct samples *samples;
    struct history_plan best;
    struct price fixed;
    double best_cost;
};

static void consider(struct search *x, struct history_plan p)
{
    struct price price = price_of(x->samples, &p);
    if (price.held > x->fixed.held || price.cold > x->fixed.cold + COLD_SLACK)
        return;
    double cost = COLD_WEIGHT * price.cold + price.held / (x->fixed.held > 0 ? x->fixed.held : 1);
    if (cost < x->best_cost) {
        x->best_cost = cost;
        x->best = p;
    }
}

struct history_plan history_plan(const struct history *h, uint64_t fixed_ms, uint64_t lead_ms)
{
    struct history_plan fixed = {.keep_ms = fixed_ms};
    if (h->count < HISTORY_IDLES_MIN)
        return fixed;
    struct samples s;
    collect(h, &s);
    struct search x = {.samples = &s, .best = fixed, .fixed = price_of(&s, &fixed)};
    x.best_cost = COLD_WEIGHT * x.fixed.cold + 1;
    int n = (int)s.count;
    /* All samples of a cluster stand together, so a window is a run of them; a few edges are enough, and bound the work: a plan is made once per spell. */
    enum { STEPS = 12 };
    for (int a = -1; a < STEPS; a++) {
        int last = a < 0 ? -1 : (n - 1) * (a + 1) / STEPS;
        consider(&x, draw(&s, last, 1, 0, lead_ms));
        for (int b = 0; b < STEPS; b++)
            for (int c = b; c < STEPS; c++) {
                int first = last + 1 + (n - last - 2) * b / STEPS;
                int end = (n - 1) - (n - 1 - first) * (STEPS - 1 - c) / STEPS;
                if (first < n && first <= end)
                    consider(&x, draw(&s, last, first, end, lead_ms));
            }
    }
    return x.best;
}

struct history_advice history_advise(const struct history *h, const struct history_plan *p, uint64_t now_ms)
{
    struct history_advice a = {.keep_ms = p->keep_ms};
    if (h->quiet_since_ms == 0 || p->until_ms <= p->prewarm_ms)
        return a;
    uint64_t from = h->quiet_since_ms + p->prewarm_ms;
    uint64_t until = h->quiet_since_ms + p->until_ms;
    a.hold = now_ms >= from && now_ms < until;
    a.wake_ms = now_ms < from ? from : now_ms < until ? until : 0;
    return a;
}
