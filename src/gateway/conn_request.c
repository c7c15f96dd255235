/* SPDX-License-Identifier: Apache-2.0 */
/* One request: from the first byte of its head to the handler, or to its refusal. */
#include "gateway/conn.h"

#include "base/units.h"
#include "gateway/credential.h"
#include "gateway/forwarded.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* From here on the exchange is open: it will end once. */
static void begin_exchange(struct conn *c, struct exchange_slot *s)
{
    struct exchange *x = &s->x;
    c->slot = s;
    x->gateway = c->table->gateway;
    x->conn = c;
    x->request = &s->request;
    x->listener = c->listener;
    x->started_ns = c->head_started_ns;
    memcpy(s->peer, c->peer, sizeof(s->peer));
    x->peer = s->peer;
    id_uuid_make(x->id_bytes);
    id_uuid_print(x->id_bytes, x->id);
    c->table->open_exchanges++;
}

static const char *error_type(int status)
{
    switch (status) {
    case 401:
        return "Unauthorized";
    case 403:
        return "Forbidden";
    case 404:
        return "ResourceNotFound";
    case 405:
        return "MethodNotAllowed";
    case 408:
        return "RequestTimeout";
    case 413:
        return "RequestTooLarge";
    case 414:
        return "UriTooLong";
    case 417:
        return "ExpectationFailed";
    case 421:
        return "MisdirectedRequest";
    case 431:
        return "HeadersTooLarge";
    case 501:
        return "NotImplemented";
    case 503:
        return "NoCapacity";
    case 505:
        return "VersionNotSupported";
    default:
        return "BadRequest";
    }
}

void conn_refuse(struct conn *c, int status, const char *format, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof(text), format, ap);
    va_end(ap);
    if (c->slot && c->slot->x.sink)
        conn_detach(c);
    if (!c->slot) {
        struct exchange_slot *s = conn_table_take_slot(c->table);
        if (!s) {
            conn_close(c);
            return;
        }
        begin_exchange(c, s);
    }
    if (c->state == CONN_HEAD)
        conn_set_state(c, CONN_RUNNING);
    c->slot->close = true;
    exchange_error_full(&c->slot->x, status, error_type(status), str_from(text), (struct str){0},
                        status == 401 ? CREDENTIAL_CHALLENGE : NULL);
}

static bool has_body(const struct http1_request *r)
{
    return r->body == HTTP1_BODY_CHUNKED || (r->body == HTTP1_BODY_LENGTH && r->content_length > 0);
}

static void refuse_length(struct conn *c)
{
    const struct exchange_slot *s = c->slot;
    char limit[UNITS_TEXT_MAX];
    units_format_size(s->body_max, limit);
    conn_refuse(c, 413, "a body of %llu bytes is over the limit '%s' (%s)",
                (unsigned long long)s->request.content_length, route_body_key(s->x.route), limit);
}

static void send_continue(struct conn *c)
{
    static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
    struct iovec part = {.iov_base = (char *)text, .iov_len = sizeof(text) - 1};
    conn_write(c, &part, 1);
}

static void run_accepted(struct conn *c)
{
    struct exchange_slot *s = c->slot;
    bool body = has_body(&s->request);
    if (!body)
        s->raw_done = s->body_done = true;
    if (!body || route_streams_body(s->x.route)) {
        s->handed = true;
        route_run(s->x.route, &s->x);
    }
    if (s->x.ended || c->broken)
        return;
    if (!body) {
        if (s->x.sink)
            s->x.sink->on_end(&s->x);
        return;
    }
    if (s->continue_due && c->in_end == s->raw_at)
        send_continue(c);
    s->continue_due = false;
    conn_body_pump(c);
}

static void accept_head(struct conn *c, struct exchange_slot *s, size_t head_len)
{
    const struct http1_request *r = &s->request;
    const struct config *config = c->table->gateway->config;
    begin_exchange(c, s);
    const struct http1_field *caller_id = http1_find_field(r->fields, r->field_count, "x-request-id");
    if (caller_id)
        s->x.caller_id = caller_id->value;
    forwarded_apply(&s->x, s->peer);
    s->close = !r->keep_alive;
    s->head_only = str_equal(r->method, STR_LITERAL("HEAD"));
    s->continue_due = r->expect_continue && r->minor >= 1;
    conn_body_begin(c, c->in_start + head_len);
    conn_set_state(c, has_body(r) ? CONN_BODY : CONN_RUNNING);
    if (c->table->gateway->draining) {
        conn_refuse(c, 503, "faasd is shutting down");
        return;
    }
    s->x.has_request = true;
    s->x.route = route_find(&s->x);
    if (s->x.route) {
        s->body_max = route_body_max(s->x.route, config);
        if (r->body == HTTP1_BODY_LENGTH && r->content_length > s->body_max)
            refuse_length(c);
        else
            run_accepted(c);
    }
    s->x.found = NULL; /* other events may come before the rest of the body */
    /* Answered before its body was looked at: what of it stands in the buffer is dropped now, no further input may come. */
    if (c->state == CONN_BODY && s->discard && !s->raw_done)
        conn_body_pump(c);
}

/* Room for n more bytes behind what stands there. Only between requests: nothing points into the buffer then. */
bool conn_make_room(struct conn *c, size_t n)
{
    size_t held = c->in_end - c->in_start;
    if (c->in_start > 0) {
        memmove(c->in, c->in + c->in_start, held);
        c->in_start = 0;
        c->in_end = held;
    }
    if (c->in_cap - held >= n)
        return true;
    char *larger = malloc(held + n);
    if (!larger)
        return false;
    memcpy(larger, c->in, held);
    conn_table_give_buffer(c->table, c->in, c->in_cap);
    c->in = larger;
    c->in_cap = held + n;
    return true;
}

static enum http1_outcome parse_head(struct conn *c, struct exchange_slot *s, size_t *ret_len,
                                     struct http1_refusal *ret_refusal)
{
    const struct config *config = c->table->gateway->config;
    struct http1_limits limits = {.head_bytes = config->head_bytes_max, .fields = config->head_fields_max};
    return http1_parse_request(&s->request, &c->progress, c->in + c->in_start, c->in_end - c->in_start, &limits,
                               ret_len, ret_refusal);
}

void conn_pump_head(struct conn *c)
{
    struct exchange_slot *s = conn_table_take_slot(c->table);
    struct http1_refusal refusal = {0};
    size_t head_len = 0;
    if (!s) {
        conn_close(c);
        return;
    }
    enum http1_outcome outcome = parse_head(c, s, &head_len, &refusal);
    if (outcome == HTTP1_DONE && has_body(&s->request) && c->in_cap - c->in_start - head_len < CONN_BODY_ROOM) {
        /* The head fills the buffer. It is read again where its body has room. */
        c->progress = (struct http1_progress){0};
        if (!conn_make_room(c, CONN_BUFFER)) {
            slot_bury(s);
            conn_close(c);
            return;
        }
        outcome = parse_head(c, s, &head_len, &refusal);
    }
    if (outcome == HTTP1_DONE) {
        c->progress = (struct http1_progress){0};
        accept_head(c, s, head_len);
        return;
    }
    slot_bury(s);
    if (outcome == HTTP1_BAD)
        conn_refuse(c, refusal.status, "%s", refusal.reason);
}
