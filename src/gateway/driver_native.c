/* SPDX-License-Identifier: Apache-2.0 */
/* native, python and node: a worker that answers frames on its own socket, request after request; or a template, which is sent FORK alone. */
#include "gateway/instance.h"

#include "base/clock.h"
#include "base/fdio.h"
#include "base/log.h"
#include "base/units.h"
#include "codec/json_check.h"
#include "gateway/cgi.h"
#include "gateway/event.h"
#include "gateway/native_event.h"
#include "gateway/pool_events.h"
#include "gateway/reply_stream.h"
#include "gateway/runtime.h"

#include <errno.h>
#include <sys/socket.h>

enum { FIELDS_OUT_MAX = 65536 /* header lines of a reply */ };

/* ---- ready ---- */

/* The whole of it, or as much as fits without cutting a UTF-8 character. */
static void keep_words(struct str words, char *out, size_t cap)
{
    while (words.n >= cap || (words.n && (words.p[words.n - 1] & 0x80) && words.n + 4 > cap))
        words.n--;
    str_copy(words, out, cap);
}

static const char UNSAID[] = "its worker does not say that it can be: link it with this release's libfaasd.a";

/* It was started to be a template. True: it is one from now on; false: it serves by itself. */
static bool try_template(struct instance *i, const struct native_ready *r)
{
    struct version *v = i->version;
    if (!str_is(r->template, "yes")) {
        keep_words(r->template.n ? r->template : str_from(UNSAID), v->no_template, sizeof(v->no_template));
        log_info("instances are not forked fn=%s: %s", i->function->name, v->no_template);
        return false;
    }
    v->no_template[0] = '\0';
    return pool_may_open_template(i->pool, i);
}

static void attach_log(struct instance *i, int fd)
{
    if (instance_is_single_use(i))
        line_reader_attach_later(&i->log, fd);
    else
        line_reader_attach_shared(&i->log, fd);
}

static void on_ready(void *owner, const struct native_ready *r)
{
    struct instance *i = owner;
    if (i->state != INSTANCE_STARTING)
        return;
    if (r->runtime.n)
        keep_words(r->runtime, i->version->runtime_used, sizeof(i->version->runtime_used));
    version_learn_imports(i->version, r->imports);
    if (instance_is_child(i)) {
        attach_log(i, native_channel_take_log(&i->native));
        template_child_ready(i, i->native.peer_pid);
    }
    if (i->template && try_template(i, r)) {
        instance_become_template(i);
        return;
    }
    pool_drop_template(i->pool, i);
    instance_ready(i);
}

static bool is_plain_word(struct str s)
{
    for (size_t k = 0; k < s.n; k++)
        if ((unsigned char)s.p[k] <= 0x20 || (unsigned char)s.p[k] >= 0x7f)
            return false;
    return s.n > 0 && s.n < INSTANCE_FAULT_TYPE_MAX;
}

/* NULL, or why an ERROR is refused. */
static const char *check_error(struct str type, struct str trace)
{
    if (!is_plain_word(type))
        return "the type of an ERROR is not a word of at most 128 characters";
    if (trace.n && (trace.p[0] != '[' || !json_check(trace, NULL)))
        return "the trace of an ERROR is not a JSON array";
    return NULL;
}

static void on_init_error(void *owner, struct str type, struct str message, struct str trace)
{
    struct instance *i = owner;
    const char *fault = check_error(type, trace);
    int log_fd = native_channel_take_log(&i->native);
    if (log_fd >= 0)
        line_reader_attach_shared(&i->log, log_fd);
    if (fault)
        instance_stop(i, INSTANCE_START_FAILED, "%s", fault);
    else
        instance_init_failed(i, &(struct instance_fault){.type = type, .message = message, .trace = trace});
}

/* ---- replies ---- */

/* Turns name\0value\0 pairs into header lines. `faasd-imports` is for us. NULL, or why the reply is refused. */
static const char *build_fields(struct version *v, struct str pairs, char out[FIELDS_OUT_MAX], size_t *ret_len,
                                bool *ret_has_type)
{
    *ret_len = 0;
    *ret_has_type = false;
    while (pairs.n) {
        bool has_name;
        bool has_value;
        struct str name = str_cut(pairs, '\0', &pairs, &has_name);
        struct str value = str_cut(pairs, '\0', &pairs, &has_value);
        if (!has_name || !has_value)
            return "the reply's fields are not pairs of NUL-terminated strings";
        if (str_is(name, "faasd-imports")) {
            version_learn_imports(v, value);
            continue;
        }
        if (!cgi_add_field(name, value, out, FIELDS_OUT_MAX, ret_len))
            return "a header of the reply is invalid, or they are longer than 64 KiB";
        *ret_has_type = *ret_has_type || str_is_nocase(name, "content-type");
    }
    return NULL;
}

/* It answered and ended, and its end is known already: no other request may be given to it. */
static bool has_ended(const struct instance *i)
{
    return i->failed.head.type == INIT_WORKER_EXITED || i->doom != INSTANCE_NOT_DOOMED;
}

/* What it said before its end, heard after that was seen: init's socket, or the supervisor, can be faster. */
static bool answers_late(const struct instance *i)
{
    return i->state == INSTANCE_STOPPING && i->invocation && i->doom == INSTANCE_CRASHED;
}

static struct invocation *take_invocation(struct instance *i)
{
    struct invocation *inv = i->invocation;
    i->invocation = NULL;
    line_reader_end(&i->log);
    return inv;
}

static void refuse_long_reply(struct instance *i, size_t size)
{
    char limit[UNITS_TEXT_MAX];
    units_format_size(i->gateway->config->reply_bytes_max, limit);
    instance_give_up(i, INSTANCE_BAD_REPLY, "the reply has %zu bytes, longer than the limit 'reply_bytes' (%s)", size,
                     limit);
}

/* False: it was refused. *ret_reply points into `fields` and `body`. */
static bool read_reply(struct instance *i, const struct faasd_reply_head *head, struct str pairs,
                       char fields[FIELDS_OUT_MAX], struct invocation_reply *ret_reply)
{
    size_t len;
    bool has_type;
    const char *fault = build_fields(i->version, pairs, fields, &len, &has_type);
    if (!fault && (head->status < 200 || head->status > 599))
        fault = "the reply's status is not a number from 200 to 599";
    if (fault) {
        instance_give_up(i, INSTANCE_BAD_REPLY, "%s", fault);
        return false;
    }
    if (head->body_length > i->gateway->config->reply_bytes_max) {
        refuse_long_reply(i, head->body_length);
        return false;
    }
    *ret_reply = (struct invocation_reply){
        .status = (int)head->status,
        .content_type = has_type ? NULL : "application/octet-stream",
        .fields = {fields, len},
        .is_http = head->flags & FAASD_REPLY_HTTP,
    };
    return true;
}

static void on_reply(void *owner, const struct faasd_reply_head *head, struct str pairs, struct str body)
{
    static char fields[FIELDS_OUT_MAX];
    struct instance *i = owner;
    struct invocation_reply reply;
    if ((i->state != INSTANCE_BUSY && !answers_late(i)) || !read_reply(i, head, pairs, fields, &reply))
        return;
    reply.body = body;
    if (body.n == 0)
        reply.content_type = NULL;
    if (i->state != INSTANCE_BUSY) {
        invocation_end_reply(take_invocation(i), &reply);
        return;
    }
    struct invocation *inv = i->invocation;
    if (instance_is_single_use(i)) { /* nothing is gained by killing it first */
        usage_end_request(i, NULL);
        invocation_end_reply(inv, &reply);
        instance_replied(i, true);
        return;
    }
    /* The worker gets its next request first: it works while this reply is written. Nothing the reply borrows is touched by that. */
    instance_replied(i, !has_ended(i));
    invocation_end_reply(inv, &reply);
}

static void on_room(void *owner)
{
    struct instance *i = owner;
    native_channel_resume(&i->native);
}

static void write_piece(struct instance *i, struct str piece)
{
    char limit[REPLY_STREAM_TEXT_MAX];
    switch (reply_stream_write(i->invocation, piece)) {
    case REPLY_STREAM_GO:
        return;
    case REPLY_STREAM_WAIT:
        native_channel_pause(&i->native);
        return;
    case REPLY_STREAM_TOO_LONG:
        reply_stream_print_limit(i->invocation, limit);
        instance_give_up(i, INSTANCE_BAD_REPLY, "%s", limit);
        return;
    case REPLY_STREAM_NO_MEMORY:
        instance_give_up(i, INSTANCE_BAD_REPLY, "out of memory for its reply");
        return;
    }
}

static void on_begin(void *owner, const struct faasd_reply_head *head, struct str pairs, struct str body)
{
    static char fields[FIELDS_OUT_MAX];
    struct instance *i = owner;
    struct invocation_reply reply;
    if ((i->state != INSTANCE_BUSY && !answers_late(i)) || !read_reply(i, head, pairs, fields, &reply))
        return;
    if (reply_stream_begin(i->invocation, &reply, &(struct reply_source){.on_room = on_room, .owner = i}) < 0)
        instance_give_up(i, INSTANCE_BAD_REPLY, "out of memory for its reply");
    else if (body.n)
        write_piece(i, body);
}

/* Once it was given up nothing of it counts; its end is on the way. */
static bool is_streaming(const struct instance *i)
{
    return (i->state == INSTANCE_BUSY || answers_late(i)) && i->invocation->stream;
}

static void on_chunk(void *owner, struct str bytes)
{
    if (is_streaming(owner))
        write_piece(owner, bytes);
}

static void on_end(void *owner)
{
    struct instance *i = owner;
    if (!is_streaming(i))
        return;
    if (i->state != INSTANCE_BUSY) {
        reply_stream_end(take_invocation(i));
        return;
    }
    struct invocation *inv = i->invocation;
    if (instance_is_single_use(i)) {
        usage_end_request(i, NULL);
        reply_stream_end(inv);
        instance_replied(i, true);
        return;
    }
    instance_replied(i, !has_ended(i));
    reply_stream_end(inv);
}

static void on_error(void *owner, struct str type, struct str message, struct str trace, bool leaving)
{
    struct instance *i = owner;
    if (i->state != INSTANCE_BUSY && !answers_late(i))
        return;
    const char *fault = check_error(type, trace);
    if (fault) {
        instance_give_up(i, INSTANCE_BAD_REPLY, "%s", fault);
        return;
    }
    char name[INSTANCE_FAULT_TYPE_MAX];
    str_copy(type, name, sizeof(name));
    struct invocation_failure f = {
        .outcome = INVOCATION_FUNCTION_ERROR, .status = 500, .type = name, .message = message, .trace = trace};
    if (i->state != INSTANCE_BUSY) {
        invocation_end_failure(take_invocation(i), &f);
        return;
    }
    struct invocation *inv = i->invocation;
    instance_replied(i, !leaving && !has_ended(i));
    invocation_end_failure(inv, &f);
}

/* ---- ends ---- */

static void on_violation(void *owner, const char *what)
{
    struct instance *i = owner;
    if (i->state == INSTANCE_TEMPLATE) {
        template_kill(i->template, what);
        return;
    }
    if (i->state == INSTANCE_IDLE)
        log_warn("the worker sent %s, it is replaced fn=%s inst=%lu", what, i->function->name,
                 (unsigned long)i->waiter.id);
    if (i->state == INSTANCE_STARTING)
        instance_stop(i, INSTANCE_START_FAILED, "the worker sent %s", what);
    else
        instance_give_up(i, INSTANCE_BAD_REPLY, "the worker sent %s", what);
}

static const char CLOSED[] = "the worker closed its socket";

/* Its process may be started again in the same sandbox: node, where nothing can be forked. */
static bool is_repeatable(const struct instance *i)
{
    const struct settings *s = &i->version->settings;
    return s->runtime == SETTINGS_RUNTIME_NODE && s->isolation == SETTINGS_ISOLATION_FORK;
}

static void on_closed(void *owner)
{
    struct instance *i = owner;
    if (i->native.unread)
        instance_hand_back(i);
    bool ends = i->state == INSTANCE_ENDING || i->state == INSTANCE_JUDGING;
    if (is_repeatable(i) && i->state == INSTANCE_BUSY)
        instance_give_up(i, INSTANCE_CRASHED, CLOSED); /* whether it ended or only closed its socket: init tells */
    else if (!is_repeatable(i) || !ends)
        instance_worker_closed(i, CLOSED);
}

static const struct native_channel_events NATIVE_EVENTS = {
    .on_ready = on_ready,
    .on_init_error = on_init_error,
    .on_reply = on_reply,
    .on_begin = on_begin,
    .on_chunk = on_chunk,
    .on_end = on_end,
    .on_error = on_error,
    .on_violation = on_violation,
    .on_closed = on_closed,
};

static void on_init_ready(void *owner)
{
    instance_stop(owner, INSTANCE_START_FAILED, "init said READY for a native worker");
}

static void on_program(void *owner, const struct init_done *done)
{
    (void)done;
    instance_stop(owner, INSTANCE_START_FAILED, "init said DONE for a native worker");
}

static void on_worker_exited(void *owner, const struct init_done *done)
{
    struct instance *i = owner;
    if (is_repeatable(i)) {
        if (i->state == INSTANCE_BUSY)
            native_channel_drain(&i->native);
        instance_worker_ended(i, done);
        return;
    }
    i->failed = *done;
    native_channel_drain(&i->native); /* the reply or the error that it sent last says more than its end */
    instance_worker_closed(i, CLOSED);
}

/* Init is gone and its pid namespace with it; what the worker sent last is heard at EXITED, when its socket is closed for certain. */
static void on_lost(void *owner, const char *why)
{
    instance_worker_closed(owner, why);
}

static const struct exec_channel_events CONTROL_EVENTS = {
    .on_ready = on_init_ready,
    .on_finished = on_program,
    .on_flood = on_init_ready,
    .on_worker_exited = on_worker_exited,
    .on_lost = on_lost,
};

/* ---- starts ---- */

static int send_start(struct instance *i, int socket_fd)
{
    struct err e;
    uint32_t flags = i->template ? INIT_COMMAND_TEMPLATE : is_repeatable(i) ? INIT_COMMAND_AGAIN : 0;
    int r = runtime_begin_worker(i->gateway->config, i->function, i->version, &e);
    if (r < 0) {
        instance_stop(i, INSTANCE_START_FAILED, "%s", e.text);
        return r;
    }
    return exec_channel_start_worker(&i->channel, flags, socket_fd);
}

static int start(struct instance *i, int worker_fd)
{
    native_channel_attach(&i->native, worker_fd);
    return send_start(i, -1);
}

static void begin_native(struct instance *i)
{
    native_channel_init(&i->native, i->gateway, &NATIVE_EVENTS, i);
}

static int start_again(struct instance *i)
{
    int pair[2];
    native_channel_fini(&i->native);
    begin_native(i);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
        return -errno;
    scoped_fd theirs = pair[1];
    native_channel_attach(&i->native, pair[0]);
    return send_start(i, theirs);
}

static bool stop_worker(struct instance *i)
{
    return exec_channel_stop_worker(&i->channel) == 0;
}

/* The supervisor counts when it gets to it, and init kills at once: the question has to be answered first, or taking the process down is counted too. */
static bool end_worker(struct instance *i)
{
    return is_repeatable(i) && (i->usage.is_before_end || stop_worker(i));
}

/* ---- requests ---- */

static void deliver(struct instance *i, struct invocation *inv)
{
    uint64_t timeout_ms = i->version->settings.timeout_ms;
    struct native_request request = {
        .deadline_ms = timeout_ms ? inv->started_ms + (inv->delivered_ns - inv->queued_ns) / 1000000 + timeout_ms : 0,
        .fields = native_event_build(inv, i->arn),
        .event = event_bytes(inv, &i->version->settings),
        .reply_max = sizeof(struct faasd_reply_head) + FIELDS_OUT_MAX + i->gateway->config->reply_bytes_max,
    };
    if (native_channel_invoke(&i->native, &request) < 0) {
        instance_hand_back(i);
        on_closed(i);
    }
}

static void init(struct instance *i)
{
    exec_channel_init(&i->channel, i->gateway, &CONTROL_EVENTS, i);
    begin_native(i);
}

static void fini(struct instance *i)
{
    native_channel_fini(&i->native);
}

const struct driver driver_native = {
    .init = init,
    .start = start,
    .deliver = deliver,
    .fini = fini,
    .end_worker = end_worker,
    .on_counted = stop_worker,
    .start_again = start_again,
};
