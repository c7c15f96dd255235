/* SPDX-License-Identifier: Apache-2.0 */
/* The loop's side of the calls' store. */
#include "gateway/calls_store.h"

#include "base/fdio.h"
#include "base/log.h"
#include "base/watch.h"
#include "gateway/calls_store_internal.h"
#include "gateway/store_salvage.h"
#include "gateway/thread.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct calls_job *calls_job_new(enum calls_job_kind kind, void (*done)(struct calls_job *j), void *owner)
{
    struct calls_job *j = calloc(1, sizeof(*j));
    if (!j)
        return NULL;
    j->kind = kind;
    j->done = done;
    j->owner = owner;
    buf_init(&j->out, 0);
    if (kind == CALLS_JOB_FETCH)
        list_init(&j->fetch.calls);
    return j;
}

void calls_job_free(struct calls_job *j)
{
    if (!j)
        return;
    if (j->kind == CALLS_JOB_FETCH)
        LIST_EACH (&j->fetch.calls, at) {
            list_remove(at);
            free(LIST_ENTRY(at, struct calls_call, link));
        }
    buf_fini(&j->out);
    free(j);
}

void calls_listed_fill(struct calls_listed *l, const struct calls_info *info, bool running)
{
    *l = (struct calls_listed){
        .status = running ? CALLS_RUNNING : info->status,
        .attempts = info->attempts,
        .due_ms = info->due_ms,
        .accepted_real_ms = info->accepted_real_ms,
        .ended_real_ms = info->ended_real_ms,
        .http_status = info->http_status,
    };
    memcpy(l->id, info->id, sizeof(l->id));
    str_copy(str_from(info->function), l->function, sizeof(l->function));
    str_copy(str_from(info->error), l->error, sizeof(l->error));
    str_copy(str_from(info->message), l->message, sizeof(l->message));
}

/* ---- handing over ---- */

static void wait_in_line(struct calls_store *s, struct calls_job *j)
{
    j->next = NULL;
    *s->last = j;
    s->last = &j->next;
}

static struct calls_job *take_first(struct calls_store *s)
{
    struct calls_job *j = s->first;
    if (!j)
        return NULL;
    s->first = j->next;
    if (!s->first)
        s->last = &s->first;
    return j;
}

static void hand_over(struct calls_store *s, struct calls_job *j)
{
    uint64_t one = 1;
    s->under_way++;
    bool fits = store_queue_put(&s->jobs, j);
    assert(fits);
    if (atomic_exchange(&s->resting, false))
        fd_write_full(s->wake_fd, &one, sizeof(one));
}

static void feed(struct calls_store *s)
{
    while (s->state == CALLS_STORE_OPEN && s->first && s->under_way < STORE_QUEUE_SLOTS)
        hand_over(s, take_first(s));
}

/* Those that wait now: what their callbacks submit opens the database once more. */
static void refuse_waiting(struct calls_store *s, const struct err *e)
{
    struct calls_job *j = s->first, *next;
    s->first = NULL;
    s->last = &s->first;
    for (; j; j = next) {
        next = j->next;
        j->error = *e;
        j->done(j);
    }
}

static void say_failure(struct calls_store *s, const struct err *e)
{
    if (strcmp(s->said, e->text) != 0)
        log_error("asynchronous calls are not available, all else is: %s", e->text);
    str_copy(str_from(e->text), s->said, sizeof(s->said));
}

static void on_opened(struct calls_job *j)
{
    struct calls_store *s = j->owner;
    assert(s->state == CALLS_STORE_OPENING);
    if (j->error.code) {
        struct err e = j->error;
        s->state = CALLS_STORE_CLOSED;
        say_failure(s, &e);
        ev_timer_set(&s->reopen, CALLS_REOPEN_MS / 1e3, 0.);
        ev_timer_start(s->gateway->loop, &s->reopen);
        calls_job_free(j);
        refuse_waiting(s, &e);
        return;
    }
    s->state = CALLS_STORE_OPEN;
    s->said[0] = '\0';
    ev_timer_stop(s->gateway->loop, &s->reopen);
    s->options.on_open(s->options.owner, j);
    calls_job_free(j);
    feed(s);
}

static void take_results(struct calls_store *s)
{
    struct calls_job *j;
    while ((j = store_queue_take(&s->results))) {
        s->under_way--;
        j->done(j);
    }
    feed(s);
}

static void on_results(struct ev_loop *loop, ev_io *w, int events)
{
    watch_again(loop, w, events);
    struct calls_store *s = w->data;
    uint64_t count;
    ssize_t ignored = read(s->done_fd, &count, sizeof(count));
    (void)ignored;
    take_results(s);
}

/* ---- opening ---- */

static int start_thread(struct calls_store *s, struct err *e)
{
    if (s->wake_fd < 0)
        s->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (s->done_fd < 0)
        s->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (s->wake_fd < 0 || s->done_fd < 0)
        return err_set(e, errno, "make an eventfd");
    int r = thread_start(&s->thread, calls_thread_main, s, e);
    if (r < 0)
        return err_wrap(e, "asynchronous calls");
    s->started = true;
    ev_io_set(&s->done_watcher, s->done_fd, EV_READ);
    s->done_watcher.data = s;
    ev_io_start(s->gateway->loop, &s->done_watcher);
    return 0;
}

static int open_database(struct calls_store *s, struct err *e)
{
    int r = s->started ? 0 : start_thread(s, e);
    struct calls_job *j = r < 0 ? NULL : calls_job_new(CALLS_JOB_OPEN, on_opened, s);
    if (!j)
        return r < 0 ? r : err_set(e, ENOMEM, "open the calls' database");
    s->state = CALLS_STORE_OPENING;
    hand_over(s, j);
    return 0;
}

static void on_reopen(struct ev_loop *loop, ev_timer *w, int events)
{
    (void)loop;
    (void)events;
    calls_store_start(w->data);
}

void calls_store_submit(struct calls_store *s, struct calls_job *j)
{
    struct err e = {0};
    wait_in_line(s, j);
    if (s->state == CALLS_STORE_CLOSED && open_database(s, &e) < 0) {
        /* Never from inside the call: the timer's turn refuses it. */
        say_failure(s, &e);
        ev_timer_set(&s->reopen, 0., 0.);
        ev_timer_start(s->gateway->loop, &s->reopen);
    }
    feed(s);
}

bool calls_store_exists(const struct calls_store *s)
{
    char path[CONFIG_PATH_MAX + sizeof(CALLS_DB_NAME) + 1], log[sizeof(path) + 4];
    if (s->state != CALLS_STORE_CLOSED)
        return true;
    snprintf(path, sizeof(path), "%s/%s", s->dir, CALLS_DB_NAME);
    snprintf(log, sizeof(log), "%s-wal", path);
    /* a log alone: it was there */
    return access(path, F_OK) == 0 || access(log, F_OK) == 0 || store_salvage_is_cut_off(path);
}

void calls_store_start(struct calls_store *s)
{
    struct err e = {0};
    if (s->state != CALLS_STORE_CLOSED || (!s->first && !calls_store_exists(s)))
        return;
    if (open_database(s, &e) < 0) {
        say_failure(s, &e);
        ev_timer_set(&s->reopen, CALLS_REOPEN_MS / 1e3, 0.);
        ev_timer_start(s->gateway->loop, &s->reopen);
        refuse_waiting(s, &e);
    }
}

/* ---- life ---- */

struct calls_store *calls_store_new(struct gateway *g, const struct calls_store_options *o, struct err *e)
{
    struct calls_store *s = calloc(1, sizeof(*s));
    if (!s || !str_copy(str_from(o->dir), s->dir, sizeof(s->dir)) ||
        !str_copy(str_from(o->boot_id), s->boot_id, sizeof(s->boot_id))) {
        free(s);
        err_set(e, ENOMEM, "make the calls' store");
        return NULL;
    }
    s->gateway = g;
    s->options = *o;
    s->options.dir = s->dir;
    s->options.boot_id = s->boot_id;
    s->wake_fd = s->done_fd = -1;
    s->last = &s->first;
    ev_io_init(&s->done_watcher, on_results, -1, EV_READ);
    ev_timer_init(&s->reopen, on_reopen, 0., 0.);
    s->reopen.data = s;
    return s;
}

static void drop_done(struct calls_job *j)
{
    if (j->kind == CALLS_JOB_SETTLE) {
        list_remove(&j->settle.call->link); /* its owner's list of those that run */
        free(j->settle.call);
    }
    calls_job_free(j);
}

/* What waits is handed over as places become free; nobody is told any more. */
static void finish_jobs(struct calls_store *s)
{
    struct calls_job *j;
    while (s->under_way) {
        struct pollfd p = {.fd = s->done_fd, .events = POLLIN};
        uint64_t count;
        poll(&p, 1, -1);
        ssize_t ignored = read(s->done_fd, &count, sizeof(count));
        (void)ignored;
        while ((j = store_queue_take(&s->results))) {
            s->under_way--;
            if (j->kind == CALLS_JOB_OPEN)
                s->state = j->error.code ? CALLS_STORE_CLOSED : CALLS_STORE_OPEN;
            drop_done(j);
        }
        feed(s);
    }
    while ((j = take_first(s)))
        drop_done(j);
}

void calls_store_close(struct calls_store *s)
{
    uint64_t one = 1;
    if (!s)
        return;
    finish_jobs(s);
    if (s->started) {
        atomic_store(&s->stop, true);
        fd_write_full(s->wake_fd, &one, sizeof(one));
        pthread_join(s->thread, NULL);
    }
    ev_io_stop(s->gateway->loop, &s->done_watcher);
    ev_timer_stop(s->gateway->loop, &s->reopen);
    calls_db_close(s->db);
    calls_leases_fini(&s->leases);
    fd_close(&s->wake_fd);
    fd_close(&s->done_fd);
    free(s);
}
