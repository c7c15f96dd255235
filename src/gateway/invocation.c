/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/invocation.h"

#include "base/put.h"
#include "base/units.h"
#include "gateway/face.h"
#include "gateway/log_tail.h"
#include "gateway/notices.h"
#include "gateway/payload.h"
#include "gateway/records.h"
#include "gateway/reply_stream.h"
#include "gateway/role.h"
#include "gateway/store.h"
#include "gateway/trace.h"
#include "gateway/verdict.h"
#include "gateway/version_pool.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* Ended invocations wait here for the next request, so that the hot path does not allocate. Bounded by the most that were ever in flight, which
 * connections_max bounds. */
static struct invocation *free_list;
static unsigned in_flight;

enum { FIELDS_TEXT_MAX = 320 + TRACE_LINES_MAX, INVOCATION_LOG_MAX = 1024 };
enum { DENIED_MESSAGE_MAX = 65536 + NOTICES_TEXT_MAX + 2 };

static struct invocation *invocation_new(void)
{
    struct invocation *inv = free_list;
    if (inv)
        free_list = inv->next_free;
    else
        inv = malloc(sizeof(*inv));
    if (inv) {
        *inv = (struct invocation){0};
        in_flight++;
    }
    return inv;
}

void invocation_start(struct exchange *x, struct function *f, struct str path)
{
    invocation_start_version(x, f, VERSIONS_LATEST_NUMBER, path);
}

void invocation_start_version(struct exchange *x, struct function *f, uint64_t number, struct str path)
{
    struct invocation *inv = invocation_new();
    if (!inv) {
        exchange_error(x, 503, "NoCapacity", "out of memory");
        return;
    }
    inv->exchange = x;
    inv->function = function_get(f);
    inv->wanted = number;
    inv->path = path;
    inv->background = x->on_reply != NULL;
    inv->queued_ns = turn_now_ns(x->gateway);
    list_init(&inv->queue_link);
    list_init(&inv->live_link);
    records_begin(x->gateway->records, inv);
    trace_begin(inv);
    version_pool_submit(inv);
}

static void count_outcome(struct function_counters *c, enum invocation_outcome outcome)
{
    uint64_t *const counters[] = {
        [INVOCATION_SUCCEEDED] = &c->succeeded, [INVOCATION_FUNCTION_ERROR] = &c->function_errors,
        [INVOCATION_CRASHED] = &c->crashed,     [INVOCATION_OUT_OF_MEMORY] = &c->out_of_memory,
        [INVOCATION_TIMED_OUT] = &c->timed_out, [INVOCATION_THROTTLED] = &c->throttled,
        [INVOCATION_REFUSED] = &c->refused,
    };
    (*counters[outcome])++;
}

/* The header lines of the trace, and those that tell how a delivered request went: X-Faasd-Start, X-Faasd-Version, X-Duration-Seconds, Server-Timing (durations in ms,
 * https://www.w3.org/TR/server-timing/). */
static size_t print_timing(const struct invocation *inv, uint64_t now, char out[FIELDS_TEXT_MAX])
{
    static const char *const STARTS[] = {
        [INVOCATION_WARM] = "warm", [INVOCATION_COLD] = "cold", [INVOCATION_FORKED] = "fork"};
    char *to = trace_put_lines(inv, out);
    if (!inv->delivered_ns)
        return (size_t)(to - out);
    uint64_t run_us = (now - inv->delivered_ns) / 1000;
    to = PUT_LITERAL(to, "X-Faasd-Start: ");
    to = put_text(to, STARTS[inv->start]);
    to = PUT_LITERAL(to, "\r\nX-Faasd-Version: ");
    to = put_number(to, inv->served);
    to = PUT_LITERAL(to, "\r\nX-Duration-Seconds: ");
    to = put_decimal(to, run_us, 6);
    to = PUT_LITERAL(to, "\r\nServer-Timing: queue;dur=");
    to = put_decimal(to, (inv->delivered_ns - inv->queued_ns) / 1000, 3);
    to = PUT_LITERAL(to, ", init;dur=");
    to = put_decimal(to, inv->init_ns / 1000, 3);
    to = PUT_LITERAL(to, ", run;dur=");
    to = put_decimal(to, run_us, 3);
    to = PUT_LITERAL(to, "\r\n");
    assert(to - out < FIELDS_TEXT_MAX);
    return (size_t)(to - out);
}

static void count(struct invocation *inv, const struct invocation_end *e)
{
    struct function_counters *c = &inv->function->counters;
    count_outcome(c, e->outcome);
    if (inv->delivered_ns) {
        c->duration_ns += e->now_ns - inv->delivered_ns;
        c->cold_starts += inv->start == INVOCATION_COLD;
    }
    records_end(inv->exchange->gateway->records, inv, e);
}

/* It was counted, and its exchange has ended. */
static void end(struct invocation *inv)
{
    struct function *f = inv->function;
    struct gateway *g = inv->exchange->gateway;
    payload_release(inv);
    notices_put(inv->notices);
    version_put(inv->version);
    list_remove(&inv->queue_link);
    if (inv->stream)
        reply_stream_free(inv->stream);
    inv->exchange = NULL;
    inv->function = NULL;
    inv->next_free = free_list;
    free_list = inv;
    in_flight--;
    function_put(f);
    if (g->draining)
        gateway_check_drained(g);
}

/* What the record tells of a face's reply is how faasd itself would have answered: the same wherever it was called from. */
static void end_in_face(struct invocation *inv, const struct invocation_end *e, const struct invocation_reply *r)
{
    const struct face *face = inv->exchange->face;
    bool first =
        e->failure || inv->exchange->log_tail; /* the event goes with the exchange; a report looks at the record */
    if (inv->exchange->log_tail)
        log_tail_close(inv->exchange->log_tail);
    if (first)
        count(inv, e);
    face->answer_invocation(inv, e, r);
    if (!first)
        count(inv, e); /* the caller waits for nothing of this */
    end(inv);
}

static void end_reply(struct invocation *inv, const struct invocation_reply *r)
{
    uint64_t now = turn_now_ns(inv->exchange->gateway);
    if (inv->exchange->face) {
        end_in_face(inv, &(struct invocation_end){now, INVOCATION_SUCCEEDED, r->status, NULL}, r);
        return;
    }
    /* Our lines stand behind the function's in one run of bytes, which exchange_reply sends as it is. */
    static char fields[65536 + FIELDS_TEXT_MAX];
    assert(r->fields.n <= sizeof(fields) - FIELDS_TEXT_MAX);
    size_t n = print_timing(inv, now, fields);
    if (r->fields.n) {
        __builtin_memcpy(fields + n, r->fields.p, r->fields.n);
        n += r->fields.n;
    }
    struct reply reply = {.status = r->status, .content_type = r->content_type, .fields = {fields, n}, .body = r->body};
    const struct invocation_end e = {.now_ns = now, .outcome = INVOCATION_SUCCEEDED, .status = r->status};
    exchange_reply(inv->exchange, &reply);
    count(inv, &e); /* afterwards: the caller waits for nothing of this */
    end(inv);
}

/* Once a status is out, a reply that can't be kept for its client can only be cut: whether there is room is known before. */
static void end_whole(struct invocation *inv, const struct invocation_reply *r)
{
    char fault[256], limit[UNITS_TEXT_MAX];
    size_t n = r->fields.n + FIELDS_TEXT_MAX + r->body.n;
    if (exchange_reserve(inv->exchange, n)) {
        end_reply(inv, r);
        return;
    }
    units_format_size(inv->exchange->gateway->config->body_memory_bytes, limit);
    snprintf(
        fault, sizeof(fault),
        "out of memory for its reply of %zu bytes: all bodies in flight together reach the limit 'body_memory' (%s), "
        "or the host has no more",
        r->body.n, limit);
    verdict_bad_reply(inv, fault);
}

void invocation_end_reply(struct invocation *inv, const struct invocation_reply *r)
{
    struct invocation_reply meant;
    struct buf body;
    if (r->is_http || !payload_translates(inv, &inv->version->settings)) {
        end_whole(inv, r);
        return;
    }
    const char *fault = payload_translate(r, inv->exchange->gateway->config->reply_bytes_max, &body, &meant);
    if (fault)
        verdict_bad_reply(inv, fault);
    else
        end_whole(inv, &meant);
    buf_fini(&body);
}

void invocation_begin_stream(struct invocation *inv, const struct invocation_reply *h)
{
    if (inv->exchange->face) {
        inv->exchange->face->begin_stream(inv, h);
        return;
    }
    static char fields[65536 + FIELDS_TEXT_MAX];
    size_t n = print_timing(inv, inv->stream->first_ns, fields);
    assert(h->fields.n <= sizeof(fields) - n);
    if (h->fields.n)
        __builtin_memcpy(fields + n, h->fields.p, h->fields.n);
    const struct reply head = {
        .status = h->status, .content_type = h->content_type, .fields = {fields, n + h->fields.n}};
    exchange_stream_reply(inv->exchange, &head);
}

void invocation_end_stream(struct invocation *inv)
{
    const struct invocation_end e = {.now_ns = turn_now_ns(inv->exchange->gateway),
                                     .outcome = INVOCATION_SUCCEEDED,
                                     .status = inv->exchange->status};
    if (inv->exchange->face) {
        end_in_face(inv, &e, NULL);
        return;
    }
    count(inv, &e); /* before: the event goes with the exchange */
    exchange_stream_end(inv->exchange);
    end(inv);
}

/* The client has the head, and perhaps half of the body: all that is left to tell is that it is not the whole. */
static void cut_stream(struct invocation *inv, const struct invocation_failure *f)
{
    const struct invocation_end e = {.now_ns = turn_now_ns(inv->exchange->gateway),
                                     .outcome = f->outcome,
                                     .status = inv->exchange->status,
                                     .failure = f};
    if (inv->exchange->face) {
        end_in_face(inv, &e, NULL);
        return;
    }
    count(inv, &e);
    exchange_stream_cut(inv->exchange, f->type);
    end(inv);
}

/* A function that met a denied call fails in its own words, which seldom say so. */
static const struct invocation_failure *name_denied(const struct invocation *inv, const struct invocation_failure *f,
                                                    struct invocation_failure *ret_told)
{
    static char denied[NOTICES_TEXT_MAX],
        message[DENIED_MESSAGE_MAX]; /* until the one invocation that ends has ended */
    int number = inv->notices ? notices_find_denied(inv->notices, inv->pid, inv->delivered_ns) : -1;
    if (number < 0)
        return f;
    notices_print_denied(&inv->version->settings, number, denied);
    int n = snprintf(message, sizeof(message), "%.*s; %s", (int)f->message.n, f->message.p ? f->message.p : "", denied);
    *ret_told = *f;
    ret_told->cause.denied = denied;
    if (n < (int)sizeof(message))
        ret_told->message = (struct str){message, (size_t)n};
    return ret_told;
}

void invocation_end_failure(struct invocation *inv, const struct invocation_failure *f)
{
    struct invocation_failure told;
    role_explain_network(inv, f);
    f = name_denied(inv, f, &told);
    if (inv->stream && inv->stream->passes) {
        cut_stream(inv, f);
        return;
    }
    uint64_t now = turn_now_ns(inv->exchange->gateway);
    if (inv->exchange->face) {
        end_in_face(inv, &(struct invocation_end){now, f->outcome, f->status, f}, NULL);
        return;
    }
    char fields[FIELDS_TEXT_MAX];
    size_t n = print_timing(inv, now, fields);
    if (f->status == 429 || f->status == 503)
        n += (size_t)snprintf(fields + n, sizeof(fields) - n, "Retry-After: 1\r\n");
    fields[n] = '\0';
    const struct invocation_end e = {.now_ns = now, .outcome = f->outcome, .status = f->status, .failure = f};
    count(inv, &e); /* before: the event goes with the exchange */
    const struct face *face = inv->exchange->gateway->face;
    if (inv->exchange->on_reply && face && face->print_failure)
        inv->exchange->failure = face->print_failure(inv, f);
    exchange_error_full(inv->exchange, f->status, f->type, f->message, f->trace, fields);
    end(inv);
}

void invocation_fail(struct invocation *inv, enum invocation_outcome outcome, int status, const char *type,
                     const char *format, ...)
{
    char text[1024];
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof(text), format, ap);
    va_end(ap);
    struct invocation_failure f = {.outcome = outcome, .status = status, .type = type, .message = str_from(text)};
    invocation_end_failure(inv, &f);
}

void invocation_log(const struct invocation *inv, const char *type, struct str message)
{
    char line[INVOCATION_LOG_MAX];
    int n = snprintf(line, sizeof(line), "%s: %.*s", type, (int)message.n, message.p);
    if (n >= (int)sizeof(line))
        n = (int)sizeof(line) - 1;
    if (inv->exchange->log_tail)
        log_tail_add(inv->exchange->log_tail, (struct str){line, (size_t)n});
    store_log_line(inv->exchange->gateway->store, inv->function->name, 0, inv->exchange->id,
                   (struct str){line, (size_t)n});
}

unsigned invocation_count(void)
{
    return in_flight;
}
