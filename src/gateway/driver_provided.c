/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The runtime `provided`: a program that asks for its events by the Lambda Runtime API (runtime_api.h).
 *
 * Initialising ends with the first GET next. When it takes longer than init_timeout, or fails in an instance that has nobody to tell (it is no trial of a deploy), it is
 * repeated within the next request, under that request's timeout: the instance is IDLE then and no process runs. A request is answered when its response is complete; the
 * instance is CLOSING until the runtime asks for more. After a timeout or crash the process is started again in the same sandbox, /tmp stays.
 */
#include "gateway/provided_internal.h"

#include "base/fdio.h"
#include "gateway/log_tail.h"
#include "gateway/provided_event.h"
#include "gateway/runtime.h"
#include "gateway/store.h"
#include "gateway/verdict_runtime.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

void provided_note(struct instance *i, const char *format, ...)
{
    char line[LINE_READER_TAIL];
    const char *id = i->invocation ? i->invocation->exchange->id : "";
    va_list ap;
    va_start(ap, format);
    int n = vsnprintf(line, sizeof(line), format, ap);
    va_end(ap);
    if (n >= (int)sizeof(line))
        n = (int)sizeof(line) - 1;
    if (i->invocation && i->invocation->exchange->log_tail)
        log_tail_add(i->invocation->exchange->log_tail, (struct str){line, (size_t)n});
    store_log_line(i->gateway->store, i->function->name, i->waiter.id, id, (struct str){line, (size_t)n});
}

void provided_await(struct provided *p, enum awaited what, unsigned ms)
{
    struct ev_loop *loop = p->instance->gateway->loop;
    p->awaits = what;
    ev_timer_stop(loop, &p->timer);
    if (what == AWAITS_NOTHING)
        return;
    ev_timer_set(&p->timer, (double)ms / 1e3, 0.);
    ev_timer_start(loop, &p->timer);
}

/* ---- the process ---- */

static int start_runtime(struct instance *i)
{
    struct provided *p = provided_of(i);
    struct err e;
    buf_fini(&p->prelude);
    p->stopping = false;
    provided_await(p, AWAITS_NOTHING, 0);
    int r = runtime_begin_worker(i->gateway->config, i->function, i->version, &e);
    if (r < 0)
        return r;
    runtime_api_begin(&p->api);
    return exec_channel_start_worker(&i->channel, INIT_COMMAND_AGAIN, -1);
}

/* No process runs, and none is started before a request comes. */
static void rest(struct instance *i)
{
    provided_of(i)->init_failed = true;
    instance_ready(i);
}

/* Has its process not asked for an event yet? */
static bool is_initialising(const struct provided *p)
{
    return p->api.machine.state == RUNTIME_API_STARTED || p->api.machine.state == RUNTIME_API_INIT_FAILED;
}

static bool end_worker(struct instance *i)
{
    struct provided *p = provided_of(i);
    bool runs = i->channel.worker_runs;
    p->init_failed = p->init_failed || is_initialising(p);
    p->stopping = false;
    provided_await(p, AWAITS_NOTHING, 0);
    runtime_api_end(&p->api);
    return runs && exec_channel_stop_worker(&i->channel) == 0;
}

static int start_again(struct instance *i)
{
    if (!provided_of(i)->init_failed)
        return start_runtime(i);
    instance_ready(i);
    return 0;
}

static bool on_init_timeout(struct instance *i)
{
    struct provided *p = provided_of(i);
    if (p->api.listener_fd < 0)
        return false;
    provided_note(
        i,
        "INIT_REPORT Status: timeout: not ready after the limit 'init_timeout' (%lus); repeated with the next request",
        (unsigned long)(i->gateway->config->init_timeout_ms / 1000));
    p->stopping = true;
    runtime_api_end(&p->api);
    if (exec_channel_stop_worker(&i->channel) < 0)
        return false;
    rest(i);
    return true;
}

/* Its end while it was initialising, with nobody to blame a request on. */
static void on_failed_init(struct instance *i, const struct init_done *done)
{
    char how[VERDICT_RUNTIME_MAX];
    char tail[LINE_READER_TAIL];
    line_reader_drain(&i->log);
    const char *type = verdict_describe_runtime(done, how);
    provided_note(i, "INIT_REPORT Status: error Error Type: %s: %s", type, how);
    if (!i->on_trial) {
        rest(i);
        return;
    }
    char text[VERDICT_RUNTIME_MAX + LINE_READER_TAIL];
    struct str said = line_reader_tail(&i->log, tail);
    int n = snprintf(text, sizeof(text), "%s%s%.*s", how, said.n ? ": " : "", (int)said.n, said.p ? said.p : "");
    i->failed = *done;
    instance_init_failed(i, &(struct instance_fault){.type = str_from(type), .message = {text, (size_t)n}});
}

static void on_worker_exited(void *owner, const struct init_done *done)
{
    struct instance *i = owner;
    struct provided *p = provided_of(i);
    bool stopping = p->stopping;
    p->init_failed = p->init_failed || is_initialising(p);
    provided_await(p, AWAITS_NOTHING, 0);
    p->stopping = false;
    if (i->state != INSTANCE_BUSY || !stopping)
        runtime_api_end(&p->api);
    if (stopping && i->state == INSTANCE_IDLE)
        return;
    if (stopping && i->state == INSTANCE_BUSY) {
        /* A request came while the last process was still being killed: now it can be started. */
        if (start_runtime(i) < 0)
            instance_stop(i, INSTANCE_CRASHED, "its runtime could not be started");
        return;
    }
    if (i->state == INSTANCE_STARTING) {
        on_failed_init(i, done);
        return;
    }
    if (i->invocation) {
        char how[VERDICT_RUNTIME_MAX];
        if (i->doom == INSTANCE_TIMED_OUT) {
            provided_note(i, "Task timed out after %.2f seconds", (double)i->version->settings.timeout_ms / 1e3);
        } else if (i->doom == INSTANCE_NOT_DOOMED) {
            const char *type = verdict_describe_runtime(done, how);
            provided_note(i, "RequestId: %s Error: %s\n%s", i->invocation->exchange->id, how, type);
        }
    }
    instance_worker_ended(i, done);
}

/* ---- init's side ---- */

static void on_out_of_turn(void *owner)
{
    instance_stop(owner, INSTANCE_CRASHED, "init spoke of a program in a sandbox that has a runtime");
}

static void on_program(void *owner, const struct init_done *done)
{
    (void)done;
    on_out_of_turn(owner);
}

static void on_lost(void *owner, const char *why)
{
    instance_worker_closed(owner, why);
}

static const struct exec_channel_events CONTROL_EVENTS = {
    .on_ready = on_out_of_turn,
    .on_finished = on_program,
    .on_flood = on_out_of_turn,
    .on_worker_exited = on_worker_exited,
    .on_lost = on_lost,
};

/* ---- the listening socket comes ---- */

static bool is_listening(int fd)
{
    int on = 0;
    socklen_t n = sizeof(on);
    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &n) == 0 && on;
}

static void on_listener(void *owner, int fd)
{
    struct instance *i = owner;
    struct provided *p = provided_of(i);
    if (i->state != INSTANCE_STARTING) {
        fd_close(&fd);
        return;
    }
    if (fd < 0 || !is_listening(fd)) {
        fd_close(&fd);
        instance_stop(i, INSTANCE_START_FAILED,
                      "its listening socket could not be taken over: the gateway has too many open files");
        return;
    }
    runtime_api_listen(&p->api, fd);
    int r = start_runtime(i);
    if (r < 0)
        instance_stop(i, INSTANCE_START_FAILED, "start its runtime: %s", strerrorname_np(-r));
}

static int start(struct instance *i, int worker_fd)
{
    struct provided *p = provided_of(i);
    if (!p) {
        close(worker_fd);
        return -ENOMEM;
    }
    handover_attach(&p->handover, worker_fd);
    return 0;
}

/* ---- an event goes in ---- */

static void deliver(struct instance *i, struct invocation *inv)
{
    struct provided *p = provided_of(i);
    struct provided_event_space space;
    struct runtime_api_event e;
    provided_event_build(inv, &i->version->settings, i->arn, &space, &e);
    if (!runtime_api_deliver(&p->api, &e)) {
        instance_replied(i, true);
        invocation_fail(inv, INVOCATION_REFUSED, 503, "NoCapacity", "out of memory");
        return;
    }
    /* Its initialisation is repeated within this request; when the last process is still being killed, after that. */
    if (p->api.machine.state == RUNTIME_API_OFF && !p->stopping && start_runtime(i) < 0)
        instance_stop(i, INSTANCE_CRASHED, "its runtime could not be started");
}

/* ---- life ---- */

static void init(struct instance *i)
{
    struct provided *p = calloc(1, sizeof(*p));
    exec_channel_init(&i->channel, i->gateway, &CONTROL_EVENTS, i);
    i->driver_state = p;
    if (!p)
        return; /* `start` says so */
    p->instance = i;
    handover_init(&p->handover, i->gateway, on_listener, i);
    ev_init(&p->timer, provided_on_timer);
    p->timer.data = p;
    runtime_api_init(&p->api, i->gateway, &PROVIDED_API_EVENTS, i);
}

static void fini(struct instance *i)
{
    struct provided *p = provided_of(i);
    if (!p)
        return;
    provided_await(p, AWAITS_NOTHING, 0);
    buf_fini(&p->prelude);
    handover_fini(&p->handover);
    runtime_api_fini(&p->api);
    free(p);
    i->driver_state = NULL;
}

const struct driver driver_provided = {
    .init = init,
    .start = start,
    .deliver = deliver,
    .fini = fini,
    .end_worker = end_worker,
    .start_again = start_again,
    .on_init_timeout = on_init_timeout,
};
