/* SPDX-License-Identifier: Apache-2.0 */
/* The exec runtime: init starts one process per request; its stdout (contract files: a file that it leaves, INIT_COMMAND_FILES) is the reply, its exit
 * code the outcome. */
#include "gateway/instance.h"

#include "base/clock.h"
#include "base/fdio.h"
#include "base/units.h"
#include "gateway/cgi.h"
#include "gateway/environment.h"
#include "gateway/event.h"
#include "gateway/reply_stream.h"
#include "gateway/verdict.h"

#include <string.h>

enum {
    FIELDS_MAX = 65536,            /* of a CGI reply's head */
    CGI_HEAD_MAX = 2 * FIELDS_MAX, /* as the program wrote it, where the reply is passed on as it comes */
    OUT_KEEP = 65536,              /* an output buffer above this is given back after the reply */
};

static void on_ready(void *owner)
{
    instance_ready(owner);
}

static void on_worker_exited(void *owner, const struct init_done *done)
{
    (void)done;
    instance_worker_closed(owner, "init spoke of a worker"); /* no exec init does */
}

static void on_lost(void *owner, const char *why)
{
    struct instance *i = owner;
    if (i->channel.unread)
        instance_hand_back(i);
    instance_worker_closed(i, why);
}

static void on_flood(void *owner)
{
    struct instance *i = owner;
    char limit[UNITS_TEXT_MAX];
    if (i->channel.out.len < i->channel.out.limit) {
        instance_stop(i, INSTANCE_BAD_REPLY, "out of memory for its reply");
        return;
    }
    units_format_size(i->gateway->config->reply_bytes_max, limit);
    bool files = i->version->settings.contract == SETTINGS_CONTRACT_FILES;
    instance_stop(i, INSTANCE_BAD_REPLY, "the %s is longer than the limit 'reply_bytes' (%s)",
                  files ? "file named by $res" : "output", limit);
}

/* The reply of a program that exited 0. NULL, or why it is none. `fields` is borrowed from the caller. */
static const char *build_reply(const struct instance *i, char fields[FIELDS_MAX], struct invocation_reply *ret_reply)
{
    const struct settings *s = &i->version->settings;
    struct str out = buf_str(&i->channel.out);
    if (s->contract != SETTINGS_CONTRACT_CGI) {
        *ret_reply = (struct invocation_reply){.status = 200, .content_type = s->content_type, .body = out};
        return NULL;
    }
    struct cgi_reply cgi;
    const char *fault = cgi_parse_reply(out, fields, FIELDS_MAX, &cgi);
    if (!fault)
        *ret_reply = (struct invocation_reply){.status = cgi.status, .fields = cgi.fields, .body = cgi.body};
    return fault;
}

/* ---- stdout as it comes ---- */

static void on_room(void *owner)
{
    struct instance *i = owner;
    exec_channel_resume(&i->channel);
}

static void give_up(struct instance *i, const char *fault)
{
    i->channel.out.len = 0;
    instance_stop(i, INSTANCE_BAD_REPLY, "%s", fault);
}

/* False: nothing can go out yet, or ever. */
static bool begin_stream(struct instance *i)
{
    static char fields[FIELDS_MAX];
    struct invocation_reply reply;
    struct buf *out = &i->channel.out;
    if (i->version->settings.contract == SETTINGS_CONTRACT_CGI && !cgi_head_is_complete(buf_str(out))) {
        if (out->len > CGI_HEAD_MAX)
            give_up(i, "no empty line ends the CGI header within its first 128 KiB");
        return false;
    }
    const char *fault = build_reply(i, fields, &reply);
    if (!fault && reply_stream_begin(i->invocation, &reply, &(struct reply_source){.on_room = on_room, .owner = i}) < 0)
        fault = "out of memory for its reply";
    if (fault)
        give_up(i, fault);
    else
        buf_drop_front(out, out->len - reply.body.n);
    return !fault;
}

static bool on_output(void *owner)
{
    struct instance *i = owner;
    struct buf *out = &i->channel.out;
    char limit[REPLY_STREAM_TEXT_MAX];
    if (i->state != INSTANCE_BUSY) {
        out->len = 0;
        return true;
    }
    if (!i->invocation->stream && !begin_stream(i))
        return true;
    enum reply_stream_go go = reply_stream_write(i->invocation, buf_str(out));
    out->len = 0;
    if (go == REPLY_STREAM_TOO_LONG) {
        reply_stream_print_limit(i->invocation, limit);
        give_up(i, limit);
    } else if (go == REPLY_STREAM_NO_MEMORY) {
        give_up(i, "out of memory for its reply");
    }
    return go != REPLY_STREAM_WAIT;
}

/* The file that contract `files` leaves is there when the program has ended: it goes out whole. */
static bool may_stream(const struct instance *i)
{
    return i->version->settings.contract != SETTINGS_CONTRACT_FILES && reply_stream_is_wanted(i->invocation);
}

/* ---- the end ---- */

/* Contract files: init could not read what the program left. */
static const char *describe_no_reply(const struct init_done *done)
{
    return done->error == EINVAL ? "what the program left at the path in $res is not a regular file"
                                 : "the file that the program left at the path in $res could not be read";
}

static void on_finished(void *owner, const struct init_done *done)
{
    static char fields[FIELDS_MAX];
    struct instance *i = owner;
    if (i->state != INSTANCE_BUSY)
        return;
    if (done->status != 0 || done->flags & (INIT_DONE_EXEC_FAILED | INIT_DONE_NO_EVENT)) {
        instance_judge(i, done);
        return;
    }
    struct invocation *inv = i->invocation;
    if (inv->stream) {
        usage_end_request(i, done);
        reply_stream_end(inv);
        buf_fini(&i->channel.out);
        instance_replied(i, false);
        return;
    }
    struct invocation_reply reply;
    const char *fault = done->flags & INIT_DONE_NO_REPLY ? describe_no_reply(done) : build_reply(i, fields, &reply);
    usage_end_request(i, done);
    if (fault)
        verdict_bad_reply(inv, fault);
    else
        invocation_end_reply(inv, &reply);
    if (i->channel.out.cap > OUT_KEEP)
        buf_fini(&i->channel.out);
    instance_replied(i, false);
}

static const struct exec_channel_events EVENTS = {
    .on_ready = on_ready,
    .on_finished = on_finished,
    .on_flood = on_flood,
    .on_output = on_output,
    .on_worker_exited = on_worker_exited,
    .on_lost = on_lost,
};

static int build_command(const struct instance *i, const struct invocation *inv, uint64_t deadline_ms)
{
    int r = environment_begin_handler(i->function, i->version);
    return r < 0 ? r : environment_add_request(inv, deadline_ms);
}

static void refuse(struct instance *i, int status, const char *type, const char *text)
{
    usage_end_request(i, &(struct init_done){.status = 0}); /* nothing was started */
    invocation_fail(i->invocation, INVOCATION_REFUSED, status, type, "%s", text);
    instance_replied(i, true);
}

static void deliver(struct instance *i, struct invocation *inv)
{
    uint64_t timeout_ms = i->version->settings.timeout_ms;
    i->failed.head.type = 0; /* how an earlier program failed is not this one's */
    if (build_command(i, inv, timeout_ms ? clock_real_ms() + timeout_ms : 0) < 0) {
        refuse(i, 431, "RequestTooLarge",
               "environment and request headers together are too long for a program's environment (160K)");
        return;
    }
    int stdin_fd;
    int r = exec_command_make_stdin(event_bytes(inv, &i->version->settings), &stdin_fd);
    if (r < 0) {
        refuse(i, 503, "NoCapacity",
               r == -EMFILE ? "no descriptor for the event: the gateway has too many open files"
                            : "no memory for the event");
        return;
    }
    struct exec_options o = {
        .request_id = inv->exchange->id,
        .log_tail = inv->exchange->log_tail,
        .stdin_fd = stdin_fd,
        .out_max = i->gateway->config->reply_bytes_max,
        .flags = i->version->settings.contract == SETTINGS_CONTRACT_FILES ? INIT_COMMAND_FILES : 0,
        .streams = may_stream(i),
    };
    r = exec_channel_exec(&i->channel, &o);
    fd_close(&stdin_fd);
    if (r == -ENOBUFS || r == -ENOMEM || r == -ETOOMANYREFS) { /* the kernel's, for a moment: unix(7) */
        refuse(i, 503, "NoCapacity", "no memory for a message to the function's sandbox");
        return;
    }
    if (r == -EPIPE || r == -ECONNRESET)
        instance_hand_back(i);
    if (r < 0)
        instance_stop(i, INSTANCE_CRASHED, "init does not take requests");
}

static int start(struct instance *i, int worker_fd)
{
    (void)i;
    (void)worker_fd;
    return 0; /* init says READY by itself */
}

static void init(struct instance *i)
{
    exec_channel_init(&i->channel, i->gateway, &EVENTS, i);
}

static void fini(struct instance *i)
{
    (void)i;
}

const struct driver driver_exec = {.init = init, .start = start, .deliver = deliver, .fini = fini};
