/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POST /v1/exec: a command in a sandbox of its own, which is gone when the answer is sent (docs/EXEC.md). The sandbox is a function's of runtime exec without code.
 *
 *   STARTING  SPAWN was sent, init is not READY   timer: init_timeout
 *   RUNNING   the command runs                    timer: the setting timeout; none where a grant allows that
 *   ENDING    KILL was sent; EXITED tells the end timer: EXEC_ENDING_MS, then KILL again
 */
#include "gateway/api.h"

#include "base/clock.h"
#include "base/fdio.h"
#include "base/log.h"
#include "base/units.h"
#include "codec/json.h"
#include "gateway/access.h"
#include "gateway/environment.h"
#include "gateway/exec_channel.h"
#include "gateway/exec_request.h"
#include "gateway/pool.h"
#include "gateway/records.h"
#include "gateway/spawn_message.h"
#include "gateway/verdict.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

enum { EXEC_ENDING_MS = 2000, EXEC_STDERR_MAX = 256 << 10 };

enum exec_state { EXEC_STARTING, EXEC_RUNNING, EXEC_ENDING };

struct exec {
    struct link_waiter waiter; /* first */
    struct exchange *x;
    struct gateway *gateway;
    struct exec_request request;
    struct function named; /* only its name is read */
    enum exec_state state;
    ev_timer timer;
    struct exec_channel channel;
    struct line_reader log;                 /* init's own words: discarded */
    struct buf errors;                      /* stderr */
    uint64_t accepted_ms, began_ns, ran_ns; /* real; monotonic */
    struct err failure;                     /* code != 0: the command was not run */
    struct init_done done;
    bool finished, timed_out, output_cut, cut_off;
    struct list link; /* of those that run */
};

static unsigned running;
static struct list all = {&all, &all};

static void exec_free(struct exec *r)
{
    ev_timer_stop(r->gateway->loop, &r->timer);
    link_unregister(r->gateway->link, &r->waiter);
    exec_channel_fini(&r->channel);
    line_reader_fini(&r->log);
    buf_fini(&r->errors);
    pools_take_back(r->gateway->pools, r->request.version->settings.memory_bytes);
    exec_request_free(&r->request);
    list_remove(&r->link);
    running--;
    free(r);
}

static void arm(struct exec *r, uint64_t ms)
{
    r->timer.repeat = (double)ms / 1e3; /* 0 stops it */
    ev_timer_again(r->gateway->loop, &r->timer);
}

static void kill_it(struct exec *r)
{
    if (r->state == EXEC_RUNNING && !r->ran_ns)
        r->ran_ns = clock_mono_ns() - r->began_ns;
    r->state = EXEC_ENDING;
    link_send_plain(r->gateway->link, &r->waiter, MESSAGE_KILL);
    arm(r, EXEC_ENDING_MS);
}

/* ---- the answer ---- */

struct ending {
    const char *outcome, *type; /* type: "" when it exited with 0 */
    enum invocation_outcome counted;
    char message[256];
};

static void judge(const struct exec *r, const struct message_exited *m, struct ending *ret)
{
    char limit[UNITS_TEXT_MAX];
    const struct settings *s = &r->request.version->settings;
    *ret = (struct ending){.outcome = "exited", .type = "", .counted = INVOCATION_SUCCEEDED};
    if (m->oom_kills) {
        const struct verdict_facts facts = {
            .version = r->request.version, .memory_peak_bytes = m->memory_peak_bytes, .shmem_bytes = m->shmem_bytes};
        ret->outcome = "out_of_memory";
        ret->type = "OutOfMemory";
        ret->counted = INVOCATION_OUT_OF_MEMORY;
        verdict_print_memory(&facts, "the command ran out of memory", ret->message, sizeof(ret->message));
    } else if (r->timed_out) {
        units_format_time(s->timeout_ms, limit);
        ret->outcome = "timed_out";
        ret->type = "Timeout";
        ret->counted = INVOCATION_TIMED_OUT;
        snprintf(ret->message, sizeof(ret->message), "the command ran for longer than the limit 'timeout' (%s)", limit);
    } else if (r->done.status != 0) {
        ret->outcome = WIFSIGNALED(r->done.status) ? "signalled" : "exited";
        ret->type = "FunctionError";
        ret->counted = INVOCATION_FUNCTION_ERROR;
        snprintf(ret->message, sizeof(ret->message), "the command ");
        verdict_print_status(r->done.status, ret->message + strlen(ret->message));
    }
}

static void keep_record(struct exec *r, const struct ending *end, const struct message_exited *m)
{
    const struct records_note note = {
        .id = r->x->id,
        .function = str_from(r->request.name),
        .started_ms = r->accepted_ms,
        .queue_us = r->began_ns ? (r->began_ns - r->x->started_ns) / 1000 : 0,
        .status = end->counted == INVOCATION_SUCCEEDED ? RECORD_SUCCEEDED : RECORD_FAILED,
        .outcome = end->counted,
        .type = end->type,
        .http_status = r->cut_off                           ? 503
                       : end->counted == INVOCATION_CRASHED ? 502
                                                            : 200,
        .delivered = r->began_ns != 0,
        .run_us = r->ran_ns / 1000,
        .cpu_us = m ? m->cpu_ns / 1000 : 0,
        .peak_bytes = m ? m->memory_peak_bytes : 0,
        .memory_bytes = r->request.version->settings.memory_bytes,
    };
    records_note(r->gateway->records, &note);
}

static void put_result(struct json_writer *w, struct exec *r, const struct ending *end, const struct message_exited *m)
{
    json_put_text(w, "id", r->x->id);
    json_put_text(w, "name", r->request.name);
    json_put_text(w, "outcome", end->outcome);
    if (r->finished && WIFEXITED(r->done.status))
        json_put_u64(w, "exitCode", (uint64_t)WEXITSTATUS(r->done.status));
    if (r->finished && WIFSIGNALED(r->done.status))
        json_put_u64(w, "signal", (uint64_t)WTERMSIG(r->done.status));
    if (end->message[0])
        json_put_text(w, "message", end->message);
    json_put_str(w, "stdout", buf_str(&r->channel.out));
    json_put_bool(w, "stdoutTruncated", r->output_cut);
    json_put_str(w, "stderr", buf_str(&r->errors));
    json_put_bool(w, "stderrTruncated", r->channel.log.copy_cut);
    json_put_milli(w, "durationMs", r->ran_ns / 1000);
    json_put_milli(w, "cpuMs", m->cpu_ns / 1000);
    json_put_u64(w, "memoryPeakBytes", m->memory_peak_bytes);
}

/* Of a command that faasd did not wait for: timed out rather than refused, as a function's request is. */
static void tell_cut_off(struct exec *r, const struct message_exited *m)
{
    const struct ending end = {.type = "NoCapacity", .counted = INVOCATION_TIMED_OUT};
    char limit[UNITS_TEXT_MAX];
    keep_record(r, &end, m);
    units_format_time(r->gateway->config->drain_ms, limit);
    exchange_error(r->x, 503, end.type, "cut off: faasd is shutting down, and the limit 'drain' is %s", limit);
    exec_free(r);
}

/* The sandbox is dead, or never was: m is NULL then. */
static void conclude(struct exec *r, const struct message_exited *m)
{
    struct ending end = {.type = "FunctionCrashed", .counted = INVOCATION_CRASHED};
    struct json_writer w;
    struct buf body;
    exec_channel_drain(&r->channel);
    if (r->cut_off) {
        tell_cut_off(r, m);
        return;
    }
    bool ran = m && r->began_ns && (r->finished || r->timed_out || m->oom_kills);
    if (ran && !(r->done.flags & INIT_DONE_EXEC_FAILED)) {
        judge(r, m, &end);
        keep_record(r, &end, m);
        buf_init(&body, 0);
        json_writer_init(&w, &body);
        json_put_object(&w, NULL);
        put_result(&w, r, &end, m);
        json_put_object_end(&w);
        api_reply_json(r->x, &body, json_writer_end(&w));
    } else {
        keep_record(r, &end, m);
        if (!r->failure.code)
            err_say(&r->failure, ECHILD, "its sandbox ended before it");
        exchange_error(r->x, r->failure.code == EAGAIN || r->failure.code == ENOMEM ? 503 : 502,
                       r->failure.code == EAGAIN || r->failure.code == ENOMEM ? "NoCapacity" : "FunctionCrashed",
                       "the command was not run: %s", r->failure.text);
    }
    exec_free(r);
}

/* ---- init's side ---- */

static void on_timer(struct ev_loop *loop, ev_timer *w, int events)
{
    struct exec *r = w->data;
    (void)loop;
    (void)events;
    if (r->state == EXEC_STARTING)
        err_say(&r->failure, ETIMEDOUT, "the sandbox was not ready within 'init_timeout'");
    else if (r->state == EXEC_RUNNING)
        r->timed_out = true;
    kill_it(r);
}

/* `env` finds the program as a shell would, and says what it did not find. */
static int build_command(const struct exec *r)
{
    int result = exec_command_begin();
    if (result == 0)
        result = exec_command_add_argument("/usr/bin/env");
    if (result == 0)
        result = exec_command_add_argument("--");
    JSON_EACH(r->request.command, v)
    if (result == 0)
        result = exec_command_add_argument(json_text(v));
    return result < 0 ? result : environment_add_common(&r->named, r->request.version);
}

static void on_ready(void *owner)
{
    struct exec *r = owner;
    if (r->state != EXEC_STARTING)
        return; /* READY for a next program: there is none */
    scoped_fd input = -1;
    int result = build_command(r);
    if (result < 0) {
        err_say(&r->failure, E2BIG, "command and environment together are too long (160K)");
        kill_it(r);
        return;
    }
    result = exec_command_make_stdin(r->request.input, &input);
    const struct exec_options o = {.request_id = r->x->id,
                                   .stdin_fd = input,
                                   .out_max = r->gateway->config->reply_bytes_max,
                                   .flags = INIT_COMMAND_KEEP_TMP};
    result = result < 0 ? result : exec_channel_exec(&r->channel, &o);
    if (result < 0) {
        err_set(&r->failure, -result, "start it");
        kill_it(r);
        return;
    }
    r->state = EXEC_RUNNING;
    r->began_ns = clock_mono_ns();
    arm(r, r->request.version->settings.timeout_ms);
}

static void on_finished(void *owner, const struct init_done *done)
{
    struct exec *r = owner;
    if (r->state != EXEC_RUNNING)
        return;
    r->done = *done;
    r->finished = true;
    if (done->flags & INIT_DONE_EXEC_FAILED)
        err_set(&r->failure, done->error, "execute /usr/bin/env");
    kill_it(r);
}

/* Read no further: the command goes on and finds its stdout closed. */
static void on_flood(void *owner)
{
    struct exec *r = owner;
    r->output_cut = true;
    if (r->channel.state == EXEC_CHANNEL_FINISHING)
        on_finished(r, &r->channel.done);
}

static void on_worker_exited(void *owner, const struct init_done *done)
{
    (void)done;
    kill_it(owner);
}

static void on_lost(void *owner, const char *why)
{
    struct exec *r = owner;
    if (!r->failure.code)
        err_say(&r->failure, ECHILD, "%s", why);
    kill_it(r);
}

static const struct exec_channel_events EVENTS = {
    .on_ready = on_ready,
    .on_finished = on_finished,
    .on_flood = on_flood,
    .on_worker_exited = on_worker_exited,
    .on_lost = on_lost,
};

/* ---- the supervisor's side ---- */

static void on_spawned(struct exec *r, const int *fds, unsigned fd_count)
{
    if (r->state == EXEC_STARTING && r->channel.state == EXEC_CHANNEL_CLOSED && fd_count == 2) {
        line_reader_attach(&r->log, fds[1]);
        exec_channel_attach(&r->channel, fds[0]);
        return;
    }
    for (unsigned i = 0; i < fd_count; i++)
        close(fds[i]);
    if (r->state != EXEC_STARTING)
        return;
    err_set(&r->failure, EMFILE, "take the descriptors of its sandbox over");
    kill_it(r);
}

static_assert(offsetof(struct exec, waiter) == 0, "on_message recovers the command from its waiter");

static void on_message(struct link_waiter *w, const struct message_header *m, const int *fds, unsigned fd_count)
{
    struct exec *r = (struct exec *)(void *)w;
    if (m->type == MESSAGE_SPAWNED) {
        on_spawned(r, fds, fd_count);
    } else if (m->type == MESSAGE_SPAWN_FAILED) {
        r->failure = ((const struct message_failed *)(const void *)m)->error;
        conclude(r, NULL);
    } else if (m->type == MESSAGE_EXITED) {
        conclude(r, (const struct message_exited *)(const void *)m);
    }
}

/* ---- the drain's deadline ---- */

unsigned api_exec_cut_off(void)
{
    LIST_EACH (&all, at) {
        struct exec *r = LIST_ENTRY(at, struct exec, link);
        if (r->state == EXEC_ENDING) /* it answers by itself */
            continue;
        r->cut_off = true;
        kill_it(r);
    }
    return running;
}

/* ---- the request ---- */

static void start(struct exchange *x, struct exec_request *request)
{
    struct exec *r = calloc(1, sizeof(*r));
    struct message_spawn m;
    if (!r) {
        pools_take_back(x->gateway->pools, request->version->settings.memory_bytes);
        exec_request_free(request);
        exchange_error(x, 503, "NoCapacity", "out of memory");
        return;
    }
    running++;
    list_push_back(&all, &r->link);
    r->waiter.on_message = on_message;
    r->gateway = x->gateway;
    r->x = x;
    r->request = *request;
    r->accepted_ms = clock_real_ms();
    memcpy(r->named.name, request->name, sizeof(request->name));
    ev_init(&r->timer, on_timer);
    r->timer.data = r;
    link_register(r->gateway->link, &r->waiter);
    line_reader_init(&r->log, r->gateway, "", r->waiter.id);
    line_reader_init(&r->channel.log, r->gateway, "", r->waiter.id);
    buf_init(&r->errors, EXEC_STDERR_MAX);
    r->channel.log.copy = &r->errors;
    exec_channel_init(&r->channel, r->gateway, &EVENTS, r);
    spawn_message_fill(&m, r->gateway->config, &r->named, r->request.version);
    spawn_message_send(r->gateway, &r->waiter, &m, r->request.version);
    arm(r, r->gateway->config->init_timeout_ms);
}

void api_exec(struct exchange *x, struct str none)
{
    char caller[ACCESS_CALLER_MAX];
    struct exec_request request;
    struct err e = {0};
    unsigned most = x->gateway->config->exec_max;
    (void)none;
    if (running >= most) {
        exchange_error_full(x, 429, "TooManyRequests",
                            most ? STR_LITERAL("as many commands run as the limit 'exec' allows")
                                 : STR_LITERAL("the configuration's limit 'exec' is 0: no command is run here"),
                            (struct str){0}, "Retry-After: 1\r\n");
        return;
    }
    int r = exec_request_read(x->gateway, x->body, &request, &e);
    if (r < 0) {
        bool forbidden = r == -EPERM;
        exec_request_free(&request);
        exchange_error(x,
                       forbidden      ? 403
                       : r == -ENOMEM ? 503
                                      : 400,
                       forbidden      ? "Forbidden"
                       : r == -ENOMEM ? "NoCapacity"
                                      : "BadRequest",
                       "%s", e.text);
        return;
    }
    if (!pools_lend(x->gateway->pools, request.version->settings.memory_bytes)) {
        exec_request_free(&request);
        exchange_error_full(
            x, 503, "NoCapacity",
            STR_LITERAL("the host's memory_budget is used up: give the command less 'memory', or try again"),
            (struct str){0}, "Retry-After: 1\r\n");
        return;
    }
    access_print_caller(x, caller);
    log_info("a command is run fn=%s by=%s req=%s", request.name, caller, x->id);
    start(x, &request);
}
