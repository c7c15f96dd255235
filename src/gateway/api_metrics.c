/* SPDX-License-Identifier: Apache-2.0 */
/* GET /metrics: Prometheus' text format 0.0.4 (https://prometheus.io/docs/instrumenting/exposition_formats/). */
#include "gateway/api.h"

#include "base/clock.h"
#include "gateway/calls.h"
#include "gateway/front.h"
#include "gateway/pool.h"
#include "gateway/process_stats.h"
#include "gateway/records.h"
#include "version.h"

#include <stdarg.h>
#include <stdio.h>

enum { METRICS_TEXT_MAX = 32 << 20 };

struct page {
    struct buf *out;
    int error;
};

static void add(struct page *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add(struct page *p, const char *format, ...)
{
    char line[512];
    va_list ap;
    va_start(ap, format);
    int n = vsnprintf(line, sizeof(line), format, ap);
    va_end(ap);
    if (p->error == 0 && n > 0)
        p->error = buf_add(p->out, line, (size_t)n < sizeof(line) ? (size_t)n : sizeof(line) - 1);
}

static void describe(struct page *p, const char *name, const char *type, const char *help)
{
    add(p, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* Label values hold backslash, quote and newline escaped. Names of functions have none of them; this is for whatever they may become. */
static const char *escape(const char *text, char out[2 * SETTINGS_NAME_MAX])
{
    char *to = out;
    for (const char *p = text; *p && to < out + 2 * SETTINGS_NAME_MAX - 3; p++) {
        if (*p == '\\' || *p == '"' || *p == '\n')
            *to++ = '\\';
        *to++ = *p == '\n' ? 'n' : *p;
    }
    *to = '\0';
    return out;
}

/* ---- of functions ---- */

struct series {
    struct page *page;
    const char *name;                                                 /* of the family */
    const struct metrics_histogram *(*pick)(const struct metrics *m); /* of the histogram at hand */
};

static const char *label_of(const char *function, char out[2 * SETTINGS_NAME_MAX])
{
    return escape(function ? function : ACCOUNTS_OTHER, out);
}

/* `_other` appears once there is something in it. */
static bool is_empty(const struct metrics *m)
{
    for (unsigned i = 0; i < METRICS_OUTCOMES; i++)
        if (m->outcomes[i])
            return false;
    return m->cpu_ns == 0;
}

static void print_outcomes(const char *function, const struct metrics *m, void *context)
{
    char label[2 * SETTINGS_NAME_MAX];
    struct page *p = context;
    if (!function && is_empty(m))
        return;
    for (unsigned i = 0; i < METRICS_OUTCOMES; i++)
        add(p, "faasd_invocations_total{function=\"%s\",outcome=\"%s\"} %lu\n", label_of(function, label),
            record_outcome_name((enum invocation_outcome)i), (unsigned long)m->outcomes[i]);
}

static void print_cold_starts(const char *function, const struct metrics *m, void *context)
{
    char label[2 * SETTINGS_NAME_MAX];
    if (function || !is_empty(m))
        add(context, "faasd_cold_starts_total{function=\"%s\"} %lu\n", label_of(function, label),
            (unsigned long)m->cold_starts);
}

static void print_cpu(const char *function, const struct metrics *m, void *context)
{
    char label[2 * SETTINGS_NAME_MAX];
    if (function || !is_empty(m))
        add(context, "faasd_function_cpu_seconds_total{function=\"%s\"} %.6f\n", label_of(function, label),
            (double)m->cpu_ns / 1e9);
}

static void print_histogram(const char *function, const struct metrics *m, void *context)
{
    const struct series *s = context;
    const struct metrics_histogram *h = s->pick(m);
    char text[2 * SETTINGS_NAME_MAX];
    const char *label = label_of(function, text);
    uint64_t sum = 0;
    if (metrics_count(h) == 0)
        return;
    for (unsigned i = 0; i < METRICS_BUCKETS; i++) {
        sum += h->counts[i];
        add(s->page, "%s_bucket{function=\"%s\",le=\"%g\"} %lu\n", s->name, label, METRICS_BOUNDS_US[i] / 1e6,
            (unsigned long)sum);
    }
    sum += h->counts[METRICS_BUCKETS];
    add(s->page, "%s_bucket{function=\"%s\",le=\"+Inf\"} %lu\n", s->name, label, (unsigned long)sum);
    add(s->page, "%s_sum{function=\"%s\"} %.6f\n", s->name, label, (double)h->sum_us / 1e6);
    add(s->page, "%s_count{function=\"%s\"} %lu\n", s->name, label, (unsigned long)sum);
}

static const struct metrics_histogram *pick_queue(const struct metrics *m)
{
    return &m->queue;
}

static const struct metrics_histogram *pick_init(const struct metrics *m)
{
    return &m->init;
}

static const struct metrics_histogram *pick_run(const struct metrics *m)
{
    return &m->run;
}

static void print_series(struct page *p, const struct account_table *a)
{
    describe(p, "faasd_invocations_total", "counter", "Invocations that have ended, by how they ended.");
    accounts_each_series(a, print_outcomes, p);
    describe(p, "faasd_cold_starts_total", "counter", "Invocations that waited for a sandbox or process to be made.");
    accounts_each_series(a, print_cold_starts, p);
    describe(p, "faasd_function_cpu_seconds_total", "counter",
             "Processor time of a function's instances, starts and idle threads included.");
    accounts_each_series(a, print_cpu, p);
    static const struct {
        const char *name, *help;
        const struct metrics_histogram *(*pick)(const struct metrics *m);
    } HISTOGRAMS[] = {
        {"faasd_invocation_queue_seconds", "From admission to delivery.", pick_queue},
        {"faasd_invocation_init_seconds", "Start of the instance, of those that waited for one.", pick_init},
        {"faasd_invocation_run_seconds", "From delivery to the reply.", pick_run},
    };
    for (unsigned i = 0; i < sizeof(HISTOGRAMS) / sizeof(HISTOGRAMS[0]); i++) {
        struct series s = {.page = p, .name = HISTOGRAMS[i].name, .pick = HISTOGRAMS[i].pick};
        describe(p, HISTOGRAMS[i].name, "histogram", HISTOGRAMS[i].help);
        accounts_each_series(a, print_histogram, &s);
    }
}

/* ---- instances ---- */

static const char *const STATE_NAMES[POOL_STATES] = {
    [POOL_STARTING] = "starting", [POOL_IDLE] = "idle",         [POOL_FROZEN] = "frozen",
    [POOL_BUSY] = "busy",         [POOL_STOPPING] = "stopping", [POOL_TEMPLATE] = "template",
};

struct instances {
    struct page *page;
    unsigned other[POOL_STATES];
};

static void print_states(struct page *p, const char *function, const unsigned counts[POOL_STATES])
{
    char label[2 * SETTINGS_NAME_MAX];
    for (unsigned i = 0; i < POOL_STATES; i++)
        add(p, "faasd_instances{function=\"%s\",state=\"%s\"} %u\n", label_of(function, label), STATE_NAMES[i],
            counts[i]);
}

static void print_instances_of(struct function *f, void *context)
{
    struct instances *all = context;
    unsigned counts[POOL_STATES];
    if (!f->account)
        return; /* it never had one */
    pool_count_states(f->pool, counts);
    if (f->account->series) {
        print_states(all->page, f->name, counts);
        return;
    }
    for (unsigned i = 0; i < POOL_STATES; i++)
        all->other[i] += counts[i];
}

static void print_instances(struct page *p, const struct gateway *g)
{
    struct instances all = {.page = p};
    unsigned other = 0;
    describe(p, "faasd_instances", "gauge", "Instances by what they are doing.");
    registry_walk(g->registry, print_instances_of, &all);
    for (unsigned i = 0; i < POOL_STATES; i++)
        other += all.other[i];
    if (other)
        print_states(p, NULL, all.other);
}

/* ---- the daemon ---- */

static void print_value(struct page *p, const char *name, const char *type, const char *help, double value)
{
    describe(p, name, type, help);
    add(p, "%s %.17g\n", name, value);
}

static void print_process(struct page *p)
{
    struct process_stats s;
    process_stats_read(&s);
    print_value(p, "process_cpu_seconds_total", "counter", "Processor time of the gateway.", (double)s.cpu_ns / 1e9);
    print_value(p, "process_start_time_seconds", "gauge", "When the gateway was started.", (double)s.started_ms / 1e3);
    print_value(p, "process_max_fds", "gauge", "Descriptors that the gateway may have.", (double)s.max_fds);
    if (s.resident_bytes) {
        print_value(p, "process_resident_memory_bytes", "gauge", "Resident memory of the gateway.",
                    (double)s.resident_bytes);
        print_value(p, "process_virtual_memory_bytes", "gauge", "Address space of the gateway.",
                    (double)s.virtual_bytes);
    }
    if (s.open_fds)
        print_value(p, "process_open_fds", "gauge", "Descriptors that the gateway has.", (double)s.open_fds);
}

static void print_daemon(struct page *p, const struct gateway *g, uint64_t async_age_ms)
{
    describe(p, "faasd_build_info", "gauge", "Always 1; the version is in the label.");
    add(p, "faasd_build_info{version=\"%s\"} 1\n", FAASD_VERSION);
    print_value(p, "faasd_records_dropped_total", "counter",
                "Failed invocations whose records were not written because too many came at once.",
                (double)g->records->dropped);
    print_value(p, "faasd_async_queue_depth", "gauge", "Asynchronous calls that have not ended and do not run.",
                (double)calls_waiting(g->calls));
    print_value(p, "faasd_async_oldest_seconds", "gauge", "Age of the oldest asynchronous call that has not ended.",
                (double)async_age_ms / 1e3);
    print_process(p);
}

static void on_age(void *owner, uint64_t async_age_ms)
{
    struct exchange *x = owner;
    struct buf body;
    struct page p = {.out = &body};
    buf_init(&body, METRICS_TEXT_MAX);
    print_series(&p, &x->gateway->records->accounts);
    print_instances(&p, x->gateway);
    print_daemon(&p, x->gateway, async_age_ms);
    struct reply r = {
        .status = 200, .content_type = "text/plain; version=0.0.4; charset=utf-8", .body = buf_str(&body)};
    if (p.error < 0)
        exchange_error(x, 503, "NoCapacity", "out of memory");
    else
        exchange_reply(x, &r);
    buf_fini(&body);
}

/* The database is asked first; who scrapes waits for it. */
void api_metrics(struct exchange *x, struct str name)
{
    (void)name;
    calls_ask_age(x->gateway->calls, on_age, x);
}
