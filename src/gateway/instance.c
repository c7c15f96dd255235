/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/instance.h"

#include "base/clock.h"
#include "base/log.h"
#include "gateway/spawn_message.h"
#include "gateway/verdict.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TO(state) (1u << INSTANCE_##state)

static const unsigned TRANSITIONS[] = {
    [INSTANCE_SPAWNING] = TO(STARTING) | TO(STOPPING) | TO(GONE),
    [INSTANCE_STARTING] = TO(IDLE) | TO(STOPPING) | TO(GONE),
    [INSTANCE_IDLE] = TO(BUSY) | TO(STOPPING) | TO(GONE),
    [INSTANCE_BUSY] = TO(IDLE) | TO(CLOSING) | TO(JUDGING) | TO(STOPPING) | TO(GONE),
    [INSTANCE_CLOSING] = TO(IDLE) | TO(STOPPING) | TO(GONE),
    [INSTANCE_JUDGING] = TO(IDLE) | TO(CLOSING) | TO(STOPPING) | TO(GONE),
    [INSTANCE_STOPPING] = TO(GONE),
    [INSTANCE_GONE] = 0,
};

static void set_state(struct instance *i, enum instance_state next)
{
    enum instance_state before = i->state;
    assert(TRANSITIONS[before] & (1u << next));
    i->state = next;
    pool_on_instance_state(i->pool, i, before);
}

const char *instance_state_name(enum instance_state s)
{
    static const char *const NAMES[] = {
        [INSTANCE_SPAWNING] = "starting", [INSTANCE_STARTING] = "starting", [INSTANCE_IDLE] = "idle",
        [INSTANCE_BUSY] = "busy",         [INSTANCE_CLOSING] = "busy",      [INSTANCE_JUDGING] = "busy",
        [INSTANCE_STOPPING] = "stopping", [INSTANCE_GONE] = "gone",
    };
    return NAMES[s];
}

static void arm(struct instance *i, uint64_t ms)
{
    struct ev_loop *loop = i->gateway->loop;
    if (ms == 0) {
        ev_timer_stop(loop, &i->timer);
        return;
    }
    i->timer.repeat = (double)ms / 1e3;
    ev_timer_again(loop, &i->timer);
}

static void send_kill(struct instance *i)
{
    i->kill_sent = true;
    link_send_plain(i->gateway->link, &i->waiter, MESSAGE_KILL);
}

static void doom(struct instance *i, enum instance_doom why, const char *text)
{
    if (i->doom != INSTANCE_NOT_DOOMED)
        return;
    i->doom = why;
    snprintf(i->doom_text, sizeof(i->doom_text), "%s", text);
}

void instance_stop(struct instance *i, enum instance_doom why, const char *format, ...)
{
    char text[ERR_TEXT_MAX];
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof(text), format, ap);
    va_end(ap);
    doom(i, why, text);
    if (i->state == INSTANCE_GONE)
        return;
    if (i->state != INSTANCE_STOPPING)
        set_state(i, INSTANCE_STOPPING);
    if (!i->kill_sent)
        send_kill(i);
    arm(i, INSTANCE_STOP_MS);
}

void instance_worker_closed(struct instance *i, const char *how)
{
    if (i->state == INSTANCE_STOPPING || i->state == INSTANCE_GONE)
        return;
    /* Init tells the exit status a moment later and ends, and EXITED follows. A worker that only closed its socket and lives on is killed after the grace. */
    doom(i, i->state == INSTANCE_STARTING ? INSTANCE_START_FAILED : INSTANCE_CRASHED, how);
    set_state(i, INSTANCE_STOPPING);
    arm(i, INSTANCE_EOF_GRACE_MS);
}

static void on_timer(struct ev_loop *loop, ev_timer *w, int events)
{
    struct instance *i = w->data;
    const struct config *c = i->gateway->config;
    (void)loop;
    (void)events;
    switch (i->state) {
    case INSTANCE_SPAWNING:
    case INSTANCE_STARTING:
        instance_stop(i, INSTANCE_START_FAILED, "not ready after the limit 'init_timeout' (%lus)",
                      (unsigned long)(c->init_timeout_ms / 1000));
        return;
    case INSTANCE_BUSY:
        instance_stop(i, INSTANCE_TIMED_OUT, "timed out");
        return;
    case INSTANCE_CLOSING:
        instance_stop(i, INSTANCE_RETIRED, "not clean again after %d ms", INSTANCE_RESET_MS);
        return;
    case INSTANCE_JUDGING:
        instance_stop(i, INSTANCE_CRASHED, "the program failed");
        return;
    case INSTANCE_STOPPING:
        if (i->kill_sent)
            log_warn("instance not dead after %d ms, killing it again fn=%s inst=%lu", INSTANCE_STOP_MS,
                     i->function->name, (unsigned long)i->waiter.id);
        send_kill(i);
        arm(i, INSTANCE_STOP_MS);
        return;
    case INSTANCE_IDLE: /* a trial whose version did not become current */
        instance_stop(i, INSTANCE_RETIRED, "its version was not published");
        return;
    case INSTANCE_GONE:
        assert(!"a timer in the graveyard");
    }
}

static void tell_trial(struct instance *i, const struct err *e)
{
    pool_on_trial *on_trial = i->on_trial;
    i->on_trial = NULL;
    if (on_trial)
        on_trial(i->trial_owner, e);
}

enum { TRIAL_KEEP_MS = 30000 };

void instance_ready(struct instance *i)
{
    if (i->state != INSTANCE_STARTING && i->state != INSTANCE_CLOSING)
        return;
    bool first = i->state == INSTANCE_STARTING;
    if (first)
        i->ready_ns = clock_mono_ns();
    i->idle_since_ms = clock_boot_ns() / 1000000;
    set_state(i, INSTANCE_IDLE);
    if (i->on_trial) {
        arm(i, TRIAL_KEEP_MS);
        tell_trial(i, &(struct err){0});
        return;
    }
    arm(i, 0);
    pool_on_instance_ready(i->pool, i);
}

void instance_deliver(struct instance *i, struct invocation *inv)
{
    set_state(i, INSTANCE_BUSY);
    i->invocation = inv;
    inv->delivered_ns = clock_mono_ns();
    inv->cold = i->requests == 0 && inv->queued_ns < i->ready_ns;
    inv->init_ns = inv->cold ? i->ready_ns - i->spawned_ns : 0;
    i->requests++;
    arm(i, i->version->settings.timeout_ms);
    line_reader_begin(&i->log, inv->exchange->id);
    i->driver->deliver(i, inv);
}

void instance_replied(struct instance *i, bool clean)
{
    i->invocation = NULL;
    line_reader_end(&i->log);
    pool_on_instance_served(i->pool, i);
    if (!clean) {
        set_state(i, INSTANCE_CLOSING);
        arm(i, INSTANCE_RESET_MS);
        return;
    }
    i->idle_since_ms = clock_boot_ns() / 1000000;
    set_state(i, INSTANCE_IDLE);
    arm(i, 0);
    pool_on_instance_ready(i->pool, i);
}

void instance_judge(struct instance *i, const struct init_done *failed)
{
    i->failed = *failed;
    set_state(i, INSTANCE_JUDGING);
    arm(i, INSTANCE_JUDGE_MS);
    link_send_plain(i->gateway->link, &i->waiter, MESSAGE_USAGE);
}

static uint32_t since(uint32_t now, uint32_t seen)
{
    return now > seen ? now - seen : 0;
}

static struct verdict_facts collect_facts(struct instance *i, const struct message_exited *m, char *tail)
{
    return (struct verdict_facts){
        .version = i->version,
        .oom_kills = since(m->oom_kills, i->oom_seen),
        .pids_denied = since(m->pids_denied, i->pids_seen),
        .memory_peak_bytes = m->memory_peak_bytes,
        .shmem_bytes = m->shmem_bytes,
        .tail = line_reader_tail(i->driver == &driver_exec ? &i->channel.log : &i->log, tail),
    };
}

static void on_usage(struct instance *i, const struct message_exited *m)
{
    if (i->state != INSTANCE_JUDGING)
        return;
    char tail[LINE_READER_TAIL];
    struct verdict_facts facts = collect_facts(i, m, tail);
    if (facts.oom_kills) {
        /* On v1 the kernel killed one process of it; the promise is that the instance dies whole. */
        instance_stop(i, INSTANCE_CRASHED, "out of memory");
        return;
    }
    i->oom_seen = m->oom_kills;
    i->pids_seen = m->pids_denied;
    struct invocation *inv = i->invocation;
    i->invocation = NULL;
    bool ready = i->channel.state == EXEC_CHANNEL_READY;
    verdict_program(inv, &i->failed, &facts);
    line_reader_end(&i->log);
    set_state(i, INSTANCE_CLOSING);
    arm(i, INSTANCE_RESET_MS);
    if (ready)
        instance_ready(i);
}

/* How a dead instance ended, for people: its worker's status where init could tell it. */
static void describe_end(const struct instance *i, const struct message_exited *m, char out[ERR_TEXT_MAX])
{
    char status[VERDICT_STATUS_MAX];
    if (i->failed.head.type == INIT_WORKER_EXITED && (i->failed.flags & INIT_DONE_EXEC_FAILED)) {
        const char *name = strerrorname_np(i->failed.error);
        snprintf(out, ERR_TEXT_MAX, "the handler '%.100s' can't be executed: %s", i->version->settings.handler,
                 name ? name : "?");
    } else if (i->failed.head.type == INIT_WORKER_EXITED) {
        verdict_print_status(i->failed.status, status);
        snprintf(out, ERR_TEXT_MAX, "the worker %s", status);
    } else if (i->doom != INSTANCE_NOT_DOOMED) {
        snprintf(out, ERR_TEXT_MAX, "%s", i->doom_text);
    } else {
        verdict_print_status(m->status, status);
        snprintf(out, ERR_TEXT_MAX, "the sandbox %s", status);
    }
}

static void answer_invocation(struct instance *i, const struct message_exited *m)
{
    struct invocation *inv = i->invocation;
    if (!inv)
        return;
    i->invocation = NULL;
    char tail[LINE_READER_TAIL];
    struct verdict_facts facts = collect_facts(i, m, tail);
    char how[ERR_TEXT_MAX];
    describe_end(i, m, how);
    if (i->doom == INSTANCE_TIMED_OUT)
        verdict_timeout(inv, &facts);
    else if (i->doom == INSTANCE_BAD_REPLY && !facts.oom_kills)
        invocation_fail(inv, INVOCATION_CRASHED, 502, "BadReply", "%s", i->doom_text);
    else
        verdict_crash(inv, how, &facts);
}

/* The supervisor holds nothing of it any more. */
static void go(struct instance *i, bool failed_start, const struct err *why)
{
    set_state(i, INSTANCE_GONE);
    ev_timer_stop(i->gateway->loop, &i->timer);
    link_unregister(i->gateway->link, &i->waiter);
    if (i->on_trial)
        tell_trial(i, why);
    pool_on_instance_gone(i->pool, i, failed_start);
}

static void on_exited(struct instance *i, const struct message_exited *m)
{
    /* What init and the worker said with their last breath may still stand in the sockets. */
    enum instance_state before = i->state;
    bool failed_start = i->ready_ns == 0 && i->doom != INSTANCE_RETIRED;
    if (before != INSTANCE_STOPPING)
        set_state(i, INSTANCE_STOPPING);
    exec_channel_drain(&i->channel);
    line_reader_drain(&i->log);
    if (failed_start) {
        char how[ERR_TEXT_MAX];
        char tail[LINE_READER_TAIL];
        describe_end(i, m, how);
        struct str said = line_reader_tail(&i->log, tail);
        if (m->oom_kills)
            snprintf(i->doom_text, sizeof(i->doom_text), "out of memory while starting: raise the limit 'memory'");
        else if (said.n)
            snprintf(i->doom_text, sizeof(i->doom_text), "%.120s: %.*s", how, said.n < 120 ? (int)said.n : 120, said.p);
        else
            snprintf(i->doom_text, sizeof(i->doom_text), "%s", how);
    }
    answer_invocation(i, m);
    struct err why;
    err_say(&why, ECHILD, "%s", i->doom_text[0] ? i->doom_text : "it ended before it was ready");
    go(i, failed_start, &why);
}

static void on_failed(struct instance *i, const struct message_failed *m)
{
    if (i->state != INSTANCE_STOPPING)
        set_state(i, INSTANCE_STOPPING);
    doom(i, INSTANCE_START_FAILED, m->error.text);
    if (i->invocation) {
        struct invocation *inv = i->invocation;
        i->invocation = NULL;
        invocation_fail(inv, INVOCATION_CRASHED, 502, "FunctionCrashed", "%s", m->error.text);
    }
    go(i, true, &m->error);
}

static void on_spawned(struct instance *i, const struct message_spawned *m, const int *fds, unsigned fd_count)
{
    bool native = i->driver == &driver_native;
    if (i->state != INSTANCE_SPAWNING || fd_count != (native ? 3u : 2u)) {
        for (unsigned k = 0; k < fd_count; k++)
            close(fds[k]);
        if (i->state == INSTANCE_SPAWNING)
            instance_stop(i, INSTANCE_START_FAILED,
                          "its descriptors could not be taken over: the gateway has too many open files");
        return;
    }
    i->pid = m->pid;
    set_state(i, INSTANCE_STARTING); /* the timer goes on: init_timeout is for both */
    line_reader_attach(&i->log, fds[1]);
    exec_channel_attach(&i->channel, fds[0]);
    int r = i->driver->start(i, native ? fds[2] : -1);
    if (r < 0)
        instance_stop(i, INSTANCE_START_FAILED, "start command: %s", strerrorname_np(-r));
}

static void on_message(struct link_waiter *w, const struct message_header *m, const int *fds, unsigned fd_count)
{
    struct instance *i = (struct instance *)(void *)w;
    switch (m->type) {
    case MESSAGE_SPAWNED:
        on_spawned(i, (const void *)m, fds, fd_count);
        return;
    case MESSAGE_SPAWN_FAILED:
        on_failed(i, (const void *)m);
        return;
    case MESSAGE_USAGE_IS:
        on_usage(i, (const void *)m);
        return;
    case MESSAGE_EXITED:
        on_exited(i, (const void *)m);
        return;
    default:
        log_error("unexpected message type=%u inst=%lu", m->type, (unsigned long)w->id);
    }
}

static_assert(offsetof(struct instance, waiter) == 0, "on_message recovers the instance from its waiter");

struct instance *instance_start(struct gateway *g, const struct instance_options *o)
{
    struct instance *i = calloc(1, sizeof(*i));
    if (!i)
        return NULL;
    i->gateway = g;
    i->function = function_get(o->function);
    i->pool = o->function->pool;
    i->version = version_get(o->version);
    i->on_trial = o->on_trial;
    i->trial_owner = o->trial_owner;
    i->driver = o->version->settings.runtime == SETTINGS_RUNTIME_NATIVE ? &driver_native : &driver_exec;
    i->state = INSTANCE_SPAWNING;
    i->spawned_ns = clock_mono_ns();
    list_init(&i->link);
    list_init(&i->host_idle_link);
    ev_timer_init(&i->timer, on_timer, 0., 0.);
    i->timer.data = i;
    i->waiter.on_message = on_message;
    link_register(g->link, &i->waiter);
    line_reader_init(&i->log, g, o->function->name, i->waiter.id);
    line_reader_init(&i->channel.log, g, o->function->name, i->waiter.id);
    i->driver->init(i);
    arm(i, g->config->init_timeout_ms);

    struct message_spawn m;
    spawn_message_fill(&m, o->function, o->version);
    link_send(g->link, &i->waiter, &m.header, sizeof(m));
    return i;
}

void instance_free(struct instance *i)
{
    assert(i->state == INSTANCE_GONE && !i->invocation);
    i->driver->fini(i);
    exec_channel_fini(&i->channel);
    line_reader_fini(&i->log);
    version_put(i->version);
    function_put(i->function); /* may free the pool */
    free(i);
}
