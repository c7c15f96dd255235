/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The runtime `provided`: a program that asks for its events by the Lambda Runtime API (runtime_api.h).
 *
 * Initialising ends with the first GET next. When it takes longer than init_timeout, or fails in an instance that has nobody to tell (it is no trial of a deploy), it is
 * repeated within the next request, under that request's timeout: the instance is IDLE then and no process runs. A request is answered when its response is complete; the
 * instance is CLOSING until the runtime asks for more. After a timeout or crash the process is started again in the same sandbox, /tmp stays.
 */
#include "gateway/instance.h"

#include "base/fdio.h"
#include "gateway/handover.h"
#include "gateway/log_tail.h"
#include "gateway/provided_event.h"
#include "gateway/runtime.h"
#include "gateway/runtime_reply.h"
#include "gateway/store.h"
#include "gateway/verdict_runtime.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

enum { PROVIDED_EXIT_MS = 500 /* after init/error: what the runtime still has to say before it ends by itself */ };

enum awaited { AWAITS_NOTHING, AWAITS_EXIT, AWAITS_CRASH };

struct provided {
    struct instance *instance;
    struct runtime_api api;
    struct handover handover; /* brings the listening socket */
    ev_timer timer;           /* what stands in `awaits` */
    enum awaited awaits;
    struct buf prelude; /* of a response that is passed on as it comes, while it is not complete */
    bool init_failed;   /* the last initialisation: the next one runs within a request */
    bool stopping;      /* the process is being killed on our own account, not the instance's: its end is no crash */
};

static struct provided *provided_of(struct instance *i)
{
    return i->driver_state;
}

/* A line of the platform's in the function's log, as Lambda writes them. */
static void note(struct instance *i, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void note(struct instance *i, const char *format, ...)
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

static void await(struct provided *p, enum awaited what, unsigned ms)
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
    await(p, AWAITS_NOTHING, 0);
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
    await(p, AWAITS_NOTHING, 0);
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
    note(i,
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
    note(i, "INIT_REPORT Status: error Error Type: %s: %s", type, how);
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
    await(p, AWAITS_NOTHING, 0);
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
            note(i, "Task timed out after %.2f seconds", (double)i->version->settings.timeout_ms / 1e3);
        } else if (i->doom == INSTANCE_NOT_DOOMED) {
            const char *type = verdict_describe_runtime(done, how);
            note(i, "RequestId: %s Error: %s\n%s", i->invocation->exchange->id, how, type);
        }
    }
    instance_worker_ended(i, done);
}

static void on_timer(struct ev_loop *loop, ev_timer *w, int events);

/* ---- what the runtime says ---- */

static void on_ready(void *owner)
{
    struct instance *i = owner;
    struct provided *p = provided_of(i);
    if (p->awaits == AWAITS_CRASH)
        on_timer(i->gateway->loop, &p->timer, 0);
    p->init_failed = false;
    instance_ready(i);
}

static bool may_serve(void *owner)
{
    struct instance *i = owner;
    return i->state == INSTANCE_BUSY && i->invocation;
}

/* The request at hand failed and the runtime lives on. */
static void fail(struct instance *i, const struct invocation_failure *f)
{
    struct invocation *inv = i->invocation;
    instance_replied(i, false);
    invocation_end_failure(inv, f);
}

static void fail_text(struct instance *i, const char *type, const char *text)
{
    note(i, "RequestId: %s Error: %s\n%s", i->invocation->exchange->id, text, type);
    fail(i, &(struct invocation_failure){
                .outcome = INVOCATION_CRASHED, .status = 502, .type = type, .message = str_from(text)});
}

static void report_error(struct instance *i, const struct runtime_api_post *post, const char *family)
{
    struct runtime_reply_error e;
    runtime_reply_read_error(post, family, &e);
    fail(i, &(struct invocation_failure){.outcome = INVOCATION_FUNCTION_ERROR,
                                         .status = 500,
                                         .type = e.type,
                                         .message = e.message,
                                         .trace = buf_str(&e.trace),
                                         .document = e.document});
    runtime_reply_error_fini(&e);
}

static void on_error(void *owner, const struct runtime_api_post *post)
{
    struct instance *i = owner;
    if (i->state != INSTANCE_BUSY)
        return;
    provided_of(i)->init_failed = false;
    report_error(i, post, "Function");
}

/* ---- a response that is passed on as it comes ---- */

static void on_room(void *owner)
{
    struct instance *i = owner;
    runtime_api_resume(&provided_of(i)->api);
}

static bool wants_stream(void *owner)
{
    struct instance *i = owner;
    return may_serve(i) && reply_stream_is_wanted(i->invocation);
}

/* The stream has begun, *ret_rest is what has come of its body. False: more must come, or the request has failed. */
static bool begin_stream(struct instance *i, const struct runtime_api_post *post, struct str *ret_rest)
{
    static char fields[RUNTIME_REPLY_FIELDS_MAX];
    struct invocation_reply head;
    const char *fault;
    enum runtime_reply_head found = runtime_reply_build_head(post, fields, &head, &fault);
    if (found == RUNTIME_REPLY_MORE)
        return false;
    if (found == RUNTIME_REPLY_HEAD &&
        reply_stream_begin(i->invocation, &head, &(struct reply_source){.on_room = on_room, .owner = i}) < 0)
        fault = "out of memory for the response";
    if (fault)
        fail_text(i, "BadReply", fault);
    else
        *ret_rest = head.body;
    return !fault;
}

/* Until its prelude is complete, what has come of it is kept; what the stream begins with may point into that. */
static bool take_head(struct instance *i, struct str content_type, struct str *piece)
{
    struct provided *p = provided_of(i);
    if (!runtime_reply_has_prelude(content_type))
        return begin_stream(i, &(struct runtime_api_post){.content_type = content_type, .body = *piece}, piece);
    if (buf_add_str(&p->prelude, *piece) < 0) {
        fail_text(i, "BadReply", "out of memory for the response");
        return false;
    }
    const struct runtime_api_post whole = {.content_type = content_type, .body = buf_str(&p->prelude)};
    return begin_stream(i, &whole, piece);
}

static enum reply_stream_go on_data(void *owner, struct str content_type, struct str piece)
{
    struct instance *i = owner;
    struct provided *p = provided_of(i);
    if (i->state != INSTANCE_BUSY)
        return REPLY_STREAM_GO; /* it was answered already: the rest of what its runtime has to say */
    p->init_failed = false;
    bool begins = !i->invocation->stream;
    if (begins && !take_head(i, content_type, &piece)) {
        if (i->state != INSTANCE_BUSY)
            buf_fini(&p->prelude);
        return REPLY_STREAM_GO;
    }
    enum reply_stream_go go = reply_stream_write(i->invocation, piece);
    if (begins)
        buf_fini(&p->prelude);
    return go;
}

/* False: nothing of it was passed on. */
static bool end_stream(struct instance *i)
{
    struct invocation *inv = i->invocation;
    if (!inv->stream)
        return false;
    instance_replied(i, false);
    reply_stream_end(inv);
    return true;
}

static void on_response(void *owner, const struct runtime_api_post *post)
{
    static char fields[RUNTIME_REPLY_FIELDS_MAX];
    struct instance *i = owner;
    struct invocation_reply reply;
    if (i->state != INSTANCE_BUSY)
        return;
    provided_of(i)->init_failed = false;
    if (runtime_reply_is_failed(post)) {
        report_error(i, post, "Function");
        return;
    }
    if (end_stream(i))
        return;
    if (provided_of(i)->prelude.len) {
        buf_fini(&provided_of(i)->prelude);
        fail_text(i, "BadReply", "the response ended within its prelude: JSON and eight NUL bytes");
        return;
    }
    const char *fault = runtime_reply_build(post, fields, &reply);
    if (fault) {
        fail_text(i, "BadReply", fault);
        return;
    }
    struct invocation *inv = i->invocation;
    instance_replied(i, false);
    invocation_end_reply(inv, &reply);
}

static void on_fault(void *owner, enum runtime_api_fault fault)
{
    struct instance *i = owner;
    char text[128];
    if (i->state != INSTANCE_BUSY)
        return;
    buf_fini(&provided_of(i)->prelude);
    switch (fault) {
    case RUNTIME_API_TOO_LARGE:
        if (i->invocation->stream) {
            reply_stream_print_limit(i->invocation, text);
            fail_text(i, "Function.ResponseSizeTooLarge", text);
            return;
        }
        snprintf(text, sizeof(text), "Response payload size exceeded maximum allowed payload size (%lu bytes).",
                 (unsigned long)runtime_api_body_max(&provided_of(i)->api));
        fail_text(i, "Function.ResponseSizeTooLarge", text);
        return;
    case RUNTIME_API_BAD_MODE:
        fail_text(i, "Runtime.InvalidResponseModeHeader",
                  "the response has a Lambda-Runtime-Function-Response-Mode other than 'streaming'");
        return;
    case RUNTIME_API_TRUNCATED:
        /* A runtime that was killed in the middle of its response looks the same: its end follows in a moment, and says more. */
        await(provided_of(i), AWAITS_CRASH, INSTANCE_EOF_GRACE_MS);
        return;
    }
}

static void on_init_error(void *owner, const struct runtime_api_post *post)
{
    struct instance *i = owner;
    struct provided *p = provided_of(i);
    struct runtime_reply_error e;
    p->init_failed = true;
    runtime_reply_read_error(post, "Runtime", &e);
    note(i, "INIT_REPORT Status: error Error Type: %s: %.*s", e.type, (int)e.message.n, e.message.p ? e.message.p : "");
    if (i->state == INSTANCE_STARTING && i->on_trial)
        instance_init_failed(
            i, &(struct instance_fault){.type = str_from(e.type), .message = e.message, .trace = buf_str(&e.trace)});
    else
        await(p, AWAITS_EXIT, PROVIDED_EXIT_MS);
    if (i->state == INSTANCE_BUSY)
        fail(i, &(struct invocation_failure){.outcome = INVOCATION_FUNCTION_ERROR,
                                             .status = 500,
                                             .type = e.type,
                                             .message = e.message,
                                             .trace = buf_str(&e.trace),
                                             .document = e.document});
    runtime_reply_error_fini(&e);
}

static void on_timer(struct ev_loop *loop, ev_timer *w, int events)
{
    struct provided *p = w->data;
    struct instance *i = p->instance;
    enum awaited awaited = p->awaits;
    (void)loop;
    (void)events;
    await(p, AWAITS_NOTHING, 0);
    if (awaited == AWAITS_CRASH && i->state == INSTANCE_BUSY)
        fail_text(i, "Runtime.TruncatedResponse", "the runtime's connection ended before its response was complete");
    else if (awaited == AWAITS_EXIT)
        exec_channel_stop_worker(&i->channel); /* on_worker_exited follows, as if it had ended by itself */
}

static const struct runtime_api_events API_EVENTS = {
    .on_ready = on_ready,
    .may_serve = may_serve,
    .wants_stream = wants_stream,
    .on_data = on_data,
    .on_response = on_response,
    .on_error = on_error,
    .on_fault = on_fault,
    .on_init_error = on_init_error,
};

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
    ev_init(&p->timer, on_timer);
    p->timer.data = p;
    runtime_api_init(&p->api, i->gateway, &API_EVENTS, i);
}

static void fini(struct instance *i)
{
    struct provided *p = provided_of(i);
    if (!p)
        return;
    await(p, AWAITS_NOTHING, 0);
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
