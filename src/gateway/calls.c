/* SPDX-License-Identifier: Apache-2.0 */
/* The life of the whole, what is kept no longer, and acceptance. */
#include "gateway/calls.h"

#include "base/clock.h"
#include "base/fdio.h"
#include "base/log.h"
#include "gateway/calls_internal.h"
#include "gateway/pool.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

/* ---- what is kept no longer ---- */

static void submit_sweep(struct calls *c);

static bool is_over_size(const struct calls *c)
{
    const struct config *config = c->gateway->config;
    return c->totals.results_bytes > config->async_results_bytes_max ||
           c->totals.failed_bytes > config->async_failed_bytes_max || c->totals.keys > config->async_calls_max;
}

static void on_swept(struct calls_job *j)
{
    struct calls *c = j->owner;
    c->sweeping = false;
    if (j->error.code)
        log_error("old calls cannot be removed, trying again later: %s", j->error.text);
    if (j->sweep.dropped_failed)
        log_warn("calls that failed were given up to stay within async.failed count=%llu",
                 (unsigned long long)j->sweep.dropped_failed);
    bool more = !j->error.code && j->sweep.more;
    if (!j->error.code)
        c->totals = j->totals;
    calls_job_free(j);
    if (more)
        submit_sweep(c);
}

static uint64_t before(uint64_t now, uint64_t age)
{
    return now > age ? now - age : 0;
}

static void submit_sweep(struct calls *c)
{
    const struct config *config = c->gateway->config;
    uint64_t now = calls_now(c);
    struct calls_job *j = c->sweeping ? NULL : calls_job_new(CALLS_JOB_SWEEP, on_swept, c);
    if (!j)
        return;
    j->sweep = (struct calls_sweep){
        .ended_before_ms = before(now, config->async_keep_ms),
        .keys_before_ms = before(now, config->async_idempotency_ms),
        .results_bytes = config->async_results_bytes_max,
        .failed_bytes = config->async_failed_bytes_max,
        .keys = config->async_calls_max,
        .steps = CALLS_SWEEP_STEPS,
    };
    c->sweeping = true;
    calls_store_submit(c->store, j);
}

static void on_sweep_timer(struct ev_loop *loop, ev_timer *w, int events)
{
    struct calls *c = w->data;
    (void)events;
    if (c->totals.results || c->totals.failed || c->totals.keys)
        submit_sweep(c);
    else
        ev_timer_stop(loop, w);
}

void calls_note_totals(struct calls *c, const struct calls_job *j)
{
    if (j->error.code)
        return;
    c->totals = j->totals;
    if (is_over_size(c))
        submit_sweep(c);
    if (!ev_is_active(&c->sweep_timer) && (c->totals.results || c->totals.failed || c->totals.keys))
        ev_timer_again(c->gateway->loop, &c->sweep_timer);
}

const struct calls_totals *calls_totals(const struct calls *c)
{
    return &c->totals;
}

unsigned calls_running(const struct calls *c)
{
    return c->running_count;
}

uint64_t calls_waiting(const struct calls *c)
{
    return c->totals.queued > c->running_count ? c->totals.queued - c->running_count : 0;
}

/* ---- life ---- */

/* uint64_t due_ms and the name with its NUL, one after the other. */
static void on_open(void *owner, const struct calls_job *opened)
{
    struct calls *c = owner;
    struct str rest = buf_str(&opened->out);
    c->clock = opened->opened.clock;
    calls_note_totals(c, opened);
    while (rest.n > sizeof(uint64_t)) {
        uint64_t due;
        memcpy(&due, rest.p, sizeof(due));
        rest = str_skip(rest, sizeof(due));
        struct str name = str_from(rest.p);
        rest = str_skip(rest, name.n + 1);
        struct calls_lane *l = calls_lane_hold(c, name);
        if (!l) {
            log_error("out of memory: calls that wait are run after the next start fn=%.*s", (int)name.n, name.p);
            continue;
        }
        calls_lane_note(l, due);
        calls_lane_release(l);
    }
}

static void on_again(struct ev_loop *loop, ev_timer *w, int events)
{
    (void)loop;
    (void)events;
    calls_try_again(w->data);
}

/* "" where it can't be read: each start counts as a new boot then. */
static void read_boot_id(char out[CALLS_BOOT_ID_MAX])
{
    char text[CALLS_BOOT_ID_MAX] = "";
    scoped_fd fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    out[0] = '\0';
    if (n > 0)
        str_copy(str_from(strtok(text, "\n") ? text : ""), out, CALLS_BOOT_ID_MAX);
}

struct calls *calls_new(struct gateway *g, struct err *e)
{
    char boot_id[CALLS_BOOT_ID_MAX];
    struct calls *c = calloc(1, sizeof(*c));
    if (!c) {
        err_set(e, ENOMEM, "make the asynchronous calls");
        return NULL;
    }
    read_boot_id(boot_id);
    const struct calls_store_options o = {.dir = g->boot->db_dir, .boot_id = boot_id, .on_open = on_open, .owner = c};
    c->gateway = g;
    list_init(&c->running);
    list_init(&c->blocked);
    list_init(&c->stalled);
    ev_timer_init(&c->again, on_again, 0., 0.);
    ev_timer_init(&c->sweep_timer, on_sweep_timer, 0., CALLS_SWEEP_MS / 1e3);
    c->again.data = c->sweep_timer.data = c;
    c->store = calls_store_new(g, &o, e);
    if (!c->store) {
        free(c);
        return NULL;
    }
    return c;
}

void calls_start(struct calls *c)
{
    calls_store_start(c->store);
}

void calls_drain(struct calls *c)
{
    for (unsigned i = 0; i < CALLS_LANE_BUCKETS; i++) {
        for (struct calls_lane *l = c->lanes[i]; l; l = l->next) {
            struct function *f = registry_find(c->gateway->registry, str_from(l->name));
            if (f)
                pool_withdraw_background(f->pool);
        }
    }
}

static void free_calls(struct list *calls)
{
    LIST_EACH (calls, at) {
        struct calls_call *call = LIST_ENTRY(at, struct calls_call, link);
        list_remove(at);
        calls_job_free(call->settle);
        free(call);
    }
}

void calls_close(struct calls *c)
{
    if (!c)
        return;
    calls_settle_again(c);
    calls_store_close(c->store);
    free_calls(&c->running);
    free_calls(&c->stalled);
    for (unsigned i = 0; i < CALLS_LANE_BUCKETS; i++) {
        for (struct calls_lane *l = c->lanes[i], *next; l; l = next) {
            next = l->next;
            ev_timer_stop(c->gateway->loop, &l->timer);
            free(l);
        }
    }
    ev_timer_stop(c->gateway->loop, &c->again);
    ev_timer_stop(c->gateway->loop, &c->sweep_timer);
    free(c);
}
