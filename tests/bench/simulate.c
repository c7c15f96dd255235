/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One function's requests against the pool's policy, with a fake clock: gateway/policy.c and gateway/history.c as the gateway links them, instances that
 * are nothing but states. scripts/simulate makes the traces and reads the sums.
 *
 * usage: simulate fixed|adaptive KEEP_MS START_MS < "ARRIVAL_MS DURATION_MS" lines, ascending
 * prints: requests, how many of them waited for a start, and the milliseconds for which instances lived, added up.
 */
#include "gateway/history.h"
#include "gateway/policy.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { INSTANCES_MAX = 64, QUEUE_MAX = 4096 };
enum state { FREE, STARTING, IDLE, BUSY };

struct instance {
    enum state state;
    uint64_t born_ms, until_ms; /* STARTING, BUSY: of this state */
    uint64_t idle_since_ms;
};

struct world {
    bool adaptive;
    uint64_t keep_ms, start_ms, now_ms, wake_ms;
    struct instance instances[INSTANCES_MAX];
    uint64_t queue[QUEUE_MAX]; /* durations */
    unsigned queue_first, queued;
    struct history history;
    struct history_plan plan;
    bool planned;
    uint64_t requests, cold, lived_ms;
};

static unsigned count(const struct world *w, enum state s)
{
    unsigned n = 0;
    for (unsigned i = 0; i < INSTANCES_MAX; i++)
        n += w->instances[i].state == s;
    return n;
}

/* The most or the least recently used idle one. */
static struct instance *pick(struct world *w, bool newest)
{
    struct instance *found = NULL;
    for (unsigned i = 0; i < INSTANCES_MAX; i++) {
        struct instance *x = &w->instances[i];
        if (x->state == IDLE && (!found || (x->idle_since_ms > found->idle_since_ms) == newest))
            found = x;
    }
    return found;
}

static void end(struct world *w, struct instance *x)
{
    w->lived_ms += w->now_ms - x->born_ms;
    *x = (struct instance){0};
}

static void start(struct world *w)
{
    for (unsigned i = 0; i < INSTANCES_MAX; i++)
        if (w->instances[i].state == FREE) {
            w->instances[i] =
                (struct instance){.state = STARTING, .born_ms = w->now_ms, .until_ms = w->now_ms + w->start_ms};
            return;
        }
}

static void work(struct world *w, struct instance *x, uint64_t duration_ms)
{
    x->state = BUSY;
    x->until_ms = w->now_ms + duration_ms;
}

static struct policy_view look(struct world *w, uint64_t *ret_wake_ms)
{
    struct policy_view v = {
        .starting = count(w, STARTING),
        .idle = count(w, IDLE),
        .busy = count(w, BUSY),
        .queued = w->queued,
        .max_concurrency = INSTANCES_MAX,
        .queue_max = QUEUE_MAX,
        .host_free = UINT32_MAX,
        .now_ms = w->now_ms,
        .keep_warm_ms = w->keep_ms,
    };
    struct instance *oldest = pick(w, false);
    if (oldest)
        v.idle_oldest_ms = oldest->idle_since_ms;
    *ret_wake_ms = 0;
    if (!w->adaptive)
        return v;
    uint64_t quiet = w->history.quiet_since_ms;
    if (quiet && w->now_ms < quiet + HISTORY_SPELL_MS) {
        *ret_wake_ms = quiet + HISTORY_SPELL_MS;
    } else if (quiet) {
        if (!w->planned)
            w->plan = history_plan(&w->history, w->keep_ms, w->start_ms);
        w->planned = true;
        struct history_advice a = history_advise(&w->history, &w->plan, w->now_ms);
        v.keep_warm_ms = a.keep_ms > HISTORY_SPELL_MS ? a.keep_ms : HISTORY_SPELL_MS;
        v.min_warm = a.hold;
        *ret_wake_ms = a.wake_ms;
    }
    return v;
}

static void evaluate(struct world *w)
{
    for (;;) {
        uint64_t wake_ms;
        struct policy_view v = look(w, &wake_ms);
        struct policy_decision d = policy_decide(&v);
        for (unsigned i = 0; i < d.start; i++)
            start(w);
        w->wake_ms = d.wake_ms && (!wake_ms || d.wake_ms < wake_ms) ? d.wake_ms : wake_ms;
        if (!d.stop_oldest_idle)
            return;
        end(w, pick(w, false));
    }
}

static void on_ready(struct world *w, struct instance *x)
{
    if (w->queued) {
        work(w, x, w->queue[w->queue_first]);
        w->queue_first = (w->queue_first + 1) % QUEUE_MAX;
        w->queued--;
        return;
    }
    x->state = IDLE;
    x->idle_since_ms = w->now_ms;
}

static void on_request(struct world *w, uint64_t duration_ms)
{
    w->requests++;
    history_awake(&w->history, w->now_ms);
    w->planned = false;
    struct instance *x = pick(w, true);
    if (x) {
        work(w, x, duration_ms);
    } else {
        w->cold++;
        w->queue[(w->queue_first + w->queued++) % QUEUE_MAX] = duration_ms;
    }
    evaluate(w);
}

/* The next thing that happens on its own, at most `limit_ms`. */
static uint64_t next_ms(const struct world *w, uint64_t limit_ms)
{
    uint64_t next = w->wake_ms && w->wake_ms < limit_ms ? w->wake_ms : limit_ms;
    for (unsigned i = 0; i < INSTANCES_MAX; i++) {
        const struct instance *x = &w->instances[i];
        if ((x->state == STARTING || x->state == BUSY) && x->until_ms < next)
            next = x->until_ms;
    }
    return next;
}

static void run_until(struct world *w, uint64_t limit_ms)
{
    for (;;) {
        w->now_ms = next_ms(w, limit_ms);
        if (w->now_ms >= limit_ms)
            return;
        for (unsigned i = 0; i < INSTANCES_MAX; i++) {
            struct instance *x = &w->instances[i];
            if ((x->state == STARTING || x->state == BUSY) && x->until_ms <= w->now_ms)
                on_ready(w, x);
        }
        if (!w->queued && !count(w, BUSY) && !w->history.quiet_since_ms && w->requests)
            history_quiet(&w->history, w->now_ms);
        evaluate(w);
    }
}

int main(int argc, char **argv)
{
    static struct world w;
    if (argc != 4 || (strcmp(argv[1], "fixed") != 0 && strcmp(argv[1], "adaptive") != 0)) {
        fprintf(stderr, "usage: simulate fixed|adaptive KEEP_MS START_MS < trace\n");
        return 2;
    }
    w.adaptive = strcmp(argv[1], "adaptive") == 0;
    w.keep_ms = strtoull(argv[2], NULL, 10);
    w.start_ms = strtoull(argv[3], NULL, 10);
    uint64_t at, duration;
    while (scanf("%" SCNu64 " %" SCNu64, &at, &duration) == 2) {
        run_until(&w, at);
        w.now_ms = at;
        if (w.queued < QUEUE_MAX)
            on_request(&w, duration);
    }
    /* What is still kept after the last request is paid for too, by both. */
    run_until(&w, w.now_ms + 24 * 3600 * 1000ULL);
    for (unsigned i = 0; i < INSTANCES_MAX; i++)
        if (w.instances[i].state != FREE)
            end(&w, &w.instances[i]);
    printf("%" PRIu64 " %" PRIu64 " %" PRIu64 "\n", w.requests, w.cold, w.lived_ms);
    return 0;
}
