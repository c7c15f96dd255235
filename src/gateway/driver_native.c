/* SPDX-License-Identifier: Apache-2.0 */
/* The native runtime: a worker that answers frames on its own socket, request after request. */
#include "gateway/instance.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/units.h"
#include "gateway/cgi.h"
#include "gateway/environment.h"

#include <errno.h>
#include <string.h>

enum {
    FIELDS_OUT_MAX = 65536, /* header lines of a reply */
    /* Request fields: the head is at most 64 KiB, plus "http." and two NULs for each of 128, plus our own. */
    FIELDS_IN_MAX = 65536 + 128 * 8 + 512,
};

static void on_ready(void *owner)
{
    instance_ready(owner);
}

/* Turns name\0value\0 pairs into header lines. NULL, or why the reply is refused. */
static const char *build_fields(struct str pairs, char out[FIELDS_OUT_MAX], size_t *ret_len, bool *ret_has_type)
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
        if (!cgi_add_field(name, value, out, FIELDS_OUT_MAX, ret_len))
            return "a header of the reply is invalid, or they are longer than 64 KiB";
        *ret_has_type = *ret_has_type || str_is_nocase(name, "content-type");
    }
    return NULL;
}

static void on_reply(void *owner, const struct faasd_reply_head *head, struct str pairs, struct str body)
{
    static char fields[FIELDS_OUT_MAX];
    struct instance *i = owner;
    if (i->state != INSTANCE_BUSY)
        return;
    size_t len;
    bool has_type;
    const char *fault = build_fields(pairs, fields, &len, &has_type);
    if (!fault && (head->status < 200 || head->status > 599 || head->reserved))
        fault = "the reply's status is not a number from 200 to 599";
    if (!fault && body.n > i->gateway->config->reply_bytes_max)
        fault = "the reply is longer than the limit 'reply_bytes'";
    if (fault) {
        instance_stop(i, INSTANCE_BAD_REPLY, "%s", fault);
        return;
    }
    struct invocation_reply reply = {
        .status = (int)head->status,
        .content_type = has_type || body.n == 0 ? NULL : "application/octet-stream",
        .fields = {fields, len},
        .body = body,
    };
    /* The worker gets its next request first: it works while this reply is written. Nothing the reply borrows is touched by that. */
    struct invocation *inv = i->invocation;
    instance_replied(i, true);
    invocation_end_reply(inv, &reply);
}

static bool is_plain_word(struct str s)
{
    for (size_t k = 0; k < s.n; k++)
        if ((unsigned char)s.p[k] <= 0x20 || (unsigned char)s.p[k] >= 0x7f)
            return false;
    return s.n > 0 && s.n <= 128;
}

static void on_error(void *owner, struct str type, struct str message, struct str trace)
{
    struct instance *i = owner;
    if (i->state != INSTANCE_BUSY)
        return;
    if (!is_plain_word(type)) {
        instance_stop(i, INSTANCE_BAD_REPLY, "the type of an ERROR is not a word of at most 128 characters");
        return;
    }
    char name[129];
    str_copy(type, name, sizeof(name));
    struct invocation_failure f = {
        .outcome = INVOCATION_FUNCTION_ERROR, .status = 500, .type = name, .message = message, .trace = trace};
    struct invocation *inv = i->invocation;
    instance_replied(i, true);
    invocation_end_failure(inv, &f);
}

static void on_violation(void *owner, const char *what)
{
    struct instance *i = owner;
    enum instance_doom why = i->state == INSTANCE_STARTING ? INSTANCE_START_FAILED : INSTANCE_BAD_REPLY;
    if (i->state == INSTANCE_IDLE)
        log_warn("the worker sent %s, it is replaced fn=%s inst=%lu", what, i->function->name,
                 (unsigned long)i->waiter.id);
    instance_stop(i, why, "the worker sent %s", what);
}

static const char CLOSED[] = "the worker closed its socket";

static void on_closed(void *owner)
{
    instance_worker_closed(owner, CLOSED);
}

static const struct native_channel_events NATIVE_EVENTS = {
    .on_ready = on_ready,
    .on_reply = on_reply,
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
    i->failed = *done;
    instance_worker_closed(i, CLOSED);
}

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

static int start(struct instance *i, int worker_fd)
{
    native_channel_attach(&i->native, worker_fd);
    int r = environment_begin_handler(i->function, i->version);
    return r < 0 ? r : exec_channel_start_worker(&i->channel);
}

struct pairs {
    char *bytes;
    size_t len;
};

static void add_pair(struct pairs *p, const char *prefix, struct str name, struct str value)
{
    size_t prefix_len = strlen(prefix);
    if (prefix_len + name.n + value.n + 2 > FIELDS_IN_MAX - p->len)
        return; /* a peer address or id beyond the arithmetic of FIELDS_IN_MAX: there is none */
    char *at = p->bytes + p->len;
    memcpy(at, prefix, prefix_len);
    at += prefix_len;
    for (size_t k = 0; k < name.n; k++)
        *at++ = name.p[k] >= 'A' && name.p[k] <= 'Z' ? (char)(name.p[k] | 0x20) : name.p[k];
    *at++ = '\0';
    if (value.n)
        memcpy(at, value.p, value.n);
    at += value.n;
    *at++ = '\0';
    p->len = (size_t)(at - p->bytes);
}

static void deliver(struct instance *i, struct invocation *inv)
{
    static char bytes[FIELDS_IN_MAX];
    const struct exchange *x = inv->exchange;
    const struct http1_request *q = x->request;
    struct pairs p = {.bytes = bytes, .len = 0};
    add_pair(&p, "", STR_LITERAL("request_id"), str_from(x->id));
    add_pair(&p, "", STR_LITERAL("method"), q->method);
    add_pair(&p, "", STR_LITERAL("path"), inv->path);
    add_pair(&p, "", STR_LITERAL("query"), q->query);
    for (unsigned k = 0; k < q->field_count; k++)
        add_pair(&p, "http.", q->fields[k].name, q->fields[k].value);

    uint64_t timeout_ms = i->version->settings.timeout_ms;
    struct native_request request = {
        .deadline_ms = timeout_ms ? clock_real_ms() + timeout_ms : 0,
        .fields = {bytes, p.len},
        .event = x->body,
        .reply_max = sizeof(struct faasd_reply_head) + FIELDS_OUT_MAX + i->gateway->config->reply_bytes_max,
    };
    if (native_channel_invoke(&i->native, &request) < 0)
        instance_worker_closed(i, CLOSED);
}

static void init(struct instance *i)
{
    exec_channel_init(&i->channel, i->gateway, &CONTROL_EVENTS, i);
    native_channel_init(&i->native, i->gateway, &NATIVE_EVENTS, i);
}

static void fini(struct instance *i)
{
    native_channel_fini(&i->native);
}

const struct driver driver_native = {.init = init, .start = start, .deliver = deliver, .fini = fini};
