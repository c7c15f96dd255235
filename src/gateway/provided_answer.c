/* SPDX-License-Identifier: Apache-2.0 */
/* What the runtime says by its API: ready, a response, at once or as it comes, an error; and what its request is told then. */
#include "gateway/provided_internal.h"

#include "gateway/runtime_reply.h"

#include <stdio.h>

enum { PROVIDED_EXIT_MS = 500 /* after init/error: what the runtime still has to say before it ends by itself */ };

static void on_ready(void *owner)
{
    struct instance *i = owner;
    struct provided *p = provided_of(i);
    if (p->awaits == AWAITS_CRASH)
        provided_on_timer(i->gateway->loop, &p->timer, 0);
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
    provided_note(i, "RequestId: %s Error: %s\n%s", i->invocation->exchange->id, text, type);
    fail(i, &(struct invocation_failure){
                .outcome = INVOCATION_CRASHED, .status = 502, .type = type, .message = str_from(text)});
}

static void fail_in_its_words(struct instance *i, const struct runtime_reply_error *e)
{
    fail(i, &(struct invocation_failure){.outcome = INVOCATION_FUNCTION_ERROR,
                                         .status = 500,
                                         .type = e->type,
                                         .message = e->message,
                                         .trace = buf_str(&e->trace),
                                         .document = e->document});
}

static void report_error(struct instance *i, const struct runtime_api_post *post, const char *family)
{
    struct runtime_reply_error e;
    runtime_reply_read_error(post, family, &e);
    fail_in_its_words(i, &e);
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
        provided_await(provided_of(i), AWAITS_CRASH, INSTANCE_EOF_GRACE_MS);
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
    provided_note(i, "INIT_REPORT Status: error Error Type: %s: %.*s", e.type, (int)e.message.n,
                  e.message.p ? e.message.p : "");
    if (i->state == INSTANCE_STARTING && i->on_trial)
        instance_init_failed(
            i, &(struct instance_fault){.type = str_from(e.type), .message = e.message, .trace = buf_str(&e.trace)});
    else
        provided_await(p, AWAITS_EXIT, PROVIDED_EXIT_MS);
    if (i->state == INSTANCE_BUSY)
        fail_in_its_words(i, &e);
    runtime_reply_error_fini(&e);
}

void provided_on_timer(struct ev_loop *loop, ev_timer *w, int events)
{
    struct provided *p = w->data;
    struct instance *i = p->instance;
    enum awaited awaited = p->awaits;
    (void)loop;
    (void)events;
    provided_await(p, AWAITS_NOTHING, 0);
    if (awaited == AWAITS_CRASH && i->state == INSTANCE_BUSY)
        fail_text(i, "Runtime.TruncatedResponse", "the runtime's connection ended before its response was complete");
    else if (awaited == AWAITS_EXIT)
        exec_channel_stop_worker(&i->channel); /* on_worker_exited follows, as if it had ended by itself */
}

const struct runtime_api_events PROVIDED_API_EVENTS = {
    .on_ready = on_ready,
    .may_serve = may_serve,
    .wants_stream = wants_stream,
    .on_data = on_data,
    .on_response = on_response,
    .on_error = on_error,
    .on_fault = on_fault,
    .on_init_error = on_init_error,
};
