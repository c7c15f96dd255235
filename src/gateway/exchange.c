/* SPDX-License-Identifier: Apache-2.0 */
/* The handler's side of a request: how it replies. What the connection makes of that stands in conn.c. */
#include "gateway/exchange.h"

#include "codec/json.h"
#include "gateway/access_log.h"
#include "gateway/conn.h"
#include "gateway/cors.h"
#include "gateway/face.h"
#include "gateway/reply_head.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

enum { ERROR_TEXT_MAX = 2048, ERROR_FIELDS_MAX = 1024 };

static struct exchange_slot *slot_of(struct exchange *x)
{
    return (struct exchange_slot *)x;
}

void exchange_finish(struct exchange *x)
{
    struct exchange_slot *s = slot_of(x);
    assert(!x->ended);
    access_log_exchange(x);
    x->ended = true;
    s->table->open_exchanges--;
    s->table->something_ended = true;
    if (s->streaming)
        list_remove(&s->link);
    s->streaming = false;
    if (x->conn)
        conn_exchange_ended(x->conn);
    else
        slot_bury(s);
}

/* Whether the connection stays is decided when the head is written, because the head says so. */
static bool decide_close(struct exchange *x, bool wanted)
{
    struct exchange_slot *s = slot_of(x);
    struct conn *c = x->conn;
    if (wanted || x->gateway->draining || (c->state == CONN_BODY && !conn_body_may_discard(c)))
        s->close = true;
    return s->close;
}

static const char *connection_line(const struct exchange *x, bool close)
{
    if (close)
        return "close";
    return x->request->minor == 0 ? "keep-alive" : NULL;
}

static bool status_has_body(int status)
{
    return status >= 200 && status != 204 && status != 304;
}

bool exchange_reserve(struct exchange *x, size_t n)
{
    size_t head = REPLY_HEAD_MAX + (x->cors_origin.n ? CORS_FIELDS_MAX : 0);
    return !x->conn || slot_of(x)->head_only || conn_reserve(x->conn, head + n);
}

void exchange_reply(struct exchange *x, const struct reply *r)
{
    x->status = r->status;
    x->sent_bytes = status_has_body(r->status) && !slot_of(x)->head_only ? r->body.n : 0;
    x->error_type = r->error_type;
    if (x->conn) {
        char head[REPLY_HEAD_MAX];
        static char cors[CORS_FIELDS_MAX];
        bool body = status_has_body(r->status);
        const struct reply_head h = {
            .status = r->status,
            .content_type = r->content_type,
            .request_id = x->id,
            .id_field = x->face ? x->face->id_field : NULL,
            .framing = body ? REPLY_LENGTH : REPLY_NO_LENGTH,
            .content_length = r->body.n,
            .connection = connection_line(x, decide_close(x, r->close)),
        };
        const struct iovec parts[] = {
            {.iov_base = head, .iov_len = reply_head_print(&h, head)},
            {.iov_base = (char *)r->fields.p, .iov_len = r->fields.n},
            {.iov_base = cors, .iov_len = x->cors_origin.n ? cors_print(x, r->fields, cors) : 0},
            {.iov_base = "\r\n", .iov_len = 2},
            {.iov_base = (char *)r->body.p, .iov_len = r->body.n},
        };
        conn_write(x->conn, parts, body && !slot_of(x)->head_only && r->body.n ? 5 : 4);
    } else if (x->on_reply) {
        x->on_reply(x, r);
    }
    exchange_finish(x);
}

/* --- errors --- */

bool exchange_errors_are_brief(const struct exchange *x)
{
    /* Whoever reaches the control socket deploys: a reason held back would only be asked for again. */
    if (x->listener == GATEWAY_LISTENER_CONTROL || x->explain)
        return false;
    if (x->gateway->config->errors == CONFIG_ERRORS_AUTO)
        return x->is_remote || x->listener == GATEWAY_LISTENER_METRICS;
    return x->gateway->config->errors == CONFIG_ERRORS_BRIEF;
}

static bool says_when(const char *fields)
{
    return fields && strstr(fields, "Retry-After: ");
}

void exchange_error_full(struct exchange *x, int status, const char *type, struct str message, struct str trace,
                         const char *fields)
{
    if (x->face) {
        const struct face_error own = {.status = status, .type = type, .message = message, .fields = fields};
        x->face->answer_error(x, &own);
        return;
    }
    /* One buffer for all errors: an error is printed and sent in one go. */
    static struct buf body;
    char lines[ERROR_FIELDS_MAX];
    struct json_writer w;
    body.len = 0;
    json_writer_init(&w, &body);
    json_put_object(&w, NULL);
    json_put_text(&w, "errorType", type);
    if (!exchange_errors_are_brief(x)) {
        json_put_str(&w, "errorMessage", message);
        if (trace.n)
            json_put_raw(&w, "trace", trace);
    }
    json_put_text(&w, "requestId", x->id);
    json_put_object_end(&w);
    if (json_writer_end(&w) < 0 || buf_add(&body, "\n", 1) < 0)
        body.len = 0; /* out of memory: the status and X-Faasd-Error still say it */
    int n = snprintf(lines, sizeof(lines), "X-Faasd-Error: %s\r\n%s%s", type, fields ? fields : "",
                     status == 503 && !says_when(fields) ? "Retry-After: 1\r\n" : "");
    assert(n > 0 && (size_t)n < sizeof(lines));
    struct reply r = {.status = status,
                      .content_type = "application/json",
                      .fields = {lines, (size_t)n},
                      .body = buf_str(&body),
                      .error_type = type,
                      .error_message = message};
    exchange_reply(x, &r);
    if (body.cap > CONN_BODY_FIRST)
        buf_fini(&body);
}

void exchange_error(struct exchange *x, int status, const char *type, const char *format, ...)
{
    char text[ERROR_TEXT_MAX];
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof(text), format, ap);
    va_end(ap);
    exchange_error_full(x, status, type, str_from(text), (struct str){0}, NULL);
}

/* --- streams --- */

/* A client that vanished without a word is found by the kernel's probes: a stream may be silent for hours. */
static void watch_for_absence(const struct conn *c)
{
    int on = 1;
    if (c->listener == GATEWAY_LISTENER_LOOPBACK || c->listener == GATEWAY_LISTENER_REMOTE)
        setsockopt(c->fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
}

static void start_stream(struct exchange *x, const struct reply *r)
{
    struct exchange_slot *s = slot_of(x);
    assert(!x->ended && !s->streaming);
    s->streaming = true;
    x->status = r->status;
    list_push_back(&s->table->streams, &s->link);
    if (!x->conn)
        return;
    char head[REPLY_HEAD_MAX];
    static char cors[CORS_FIELDS_MAX];
    bool body = status_has_body(r->status);
    s->stream_chunked = body && x->request->minor >= 1;
    s->head_only = s->head_only || !body;
    const struct reply_head h = {
        .status = r->status,
        .content_type = r->content_type,
        .request_id = x->id,
        .id_field = x->face ? x->face->id_field : NULL,
        .framing = s->stream_chunked ? REPLY_CHUNKED : REPLY_NO_LENGTH,
        .connection = connection_line(x, decide_close(x, body && !s->stream_chunked)),
    };
    const struct iovec parts[] = {
        {.iov_base = head, .iov_len = reply_head_print(&h, head)},
        {.iov_base = (char *)r->fields.p, .iov_len = r->fields.n},
        {.iov_base = cors, .iov_len = x->cors_origin.n ? cors_print(x, r->fields, cors) : 0},
        {.iov_base = "\r\n", .iov_len = 2},
    };
    watch_for_absence(x->conn);
    conn_write(x->conn, parts, 4);
}

void exchange_stream_start(struct exchange *x, int status, const char *content_type)
{
    start_stream(x, &(struct reply){.status = status, .content_type = content_type});
}

void exchange_stream_reply(struct exchange *x, const struct reply *head)
{
    slot_of(x)->paced = true;
    start_stream(x, head);
}

static size_t unsent(const struct conn *c)
{
    return c->out.len - c->out_at;
}

bool exchange_stream_is_full(const struct exchange *x)
{
    return x->conn && !x->conn->broken && unsent(x->conn) > EXCHANGE_STREAM_HIGH;
}

int exchange_stream_write(struct exchange *x, struct str data)
{
    struct exchange_slot *s = slot_of(x);
    struct conn *c = x->conn;
    assert(s->streaming);
    if (!c || c->broken)
        return -EPIPE;
    if (s->head_only || data.n == 0)
        return 0;
    if (!s->paced && unsent(c) + data.n > CONN_STREAM_UNSENT)
        return -EMSGSIZE;
    bool was_idle = !conn_has_unsent(c);
    char size[20];
    int n = s->stream_chunked ? snprintf(size, sizeof(size), "%zx\r\n", data.n) : 0;
    const struct iovec parts[] = {
        {.iov_base = size, .iov_len = (size_t)n},
        {.iov_base = (char *)data.p, .iov_len = data.n},
        {.iov_base = "\r\n", .iov_len = s->stream_chunked ? 2 : 0},
    };
    conn_write(c, parts, 3);
    if (s->paced && was_idle && conn_has_unsent(c))
        conn_restart_window(c); /* from here on the client has to read */
    x->sent_bytes += data.n;
    return c->broken ? -EPIPE : 0;
}

void exchange_stream_end(struct exchange *x)
{
    struct exchange_slot *s = slot_of(x);
    assert(s->streaming);
    if (x->conn && s->stream_chunked && !s->head_only) {
        const struct iovec last = {.iov_base = "0\r\n\r\n", .iov_len = 5};
        conn_write(x->conn, &last, 1);
    }
    exchange_finish(x);
}

/* What ends with the connection would look complete when that closes as usual. */
static void reset_connection(struct conn *c)
{
    const struct linger now = {.l_onoff = 1, .l_linger = 0};
    setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    conn_break(c);
}

void exchange_stream_cut(struct exchange *x, const char *error_type)
{
    struct exchange_slot *s = slot_of(x);
    assert(s->streaming);
    x->error_type = error_type;
    s->close = true;
    if (x->conn && !s->stream_chunked && !s->head_only && !x->conn->broken)
        reset_connection(x->conn);
    exchange_finish(x);
}

bool exchange_client_is_done(const struct exchange *x)
{
    return !x->conn || x->conn->broken || x->conn->input_eof;
}

/* --- the body, and leaving HTTP --- */

void exchange_body_resume(struct exchange *x)
{
    struct exchange_slot *s = slot_of(x);
    struct conn *c = x->conn;
    if (x->on_body_room) {
        x->on_body_room(x);
        return;
    }
    if (!c || !s->sink_paused)
        return;
    s->sink_paused = false;
    conn_restart_window(c);
    conn_resume_reading(c);
    /* What the buffer holds is looked at in this turn of the loop, but not inside the handler's call. */
    ev_feed_event(x->gateway->loop, &c->reader, EV_CUSTOM);
}

int exchange_take_socket(struct exchange *x, const char *protocol, struct str *early)
{
    struct exchange_slot *s = slot_of(x);
    struct conn *c = x->conn;
    char head[REPLY_HEAD_MAX];
    x->status = 101;
    *early = (struct str){0};
    if (c && !c->broken) {
        const struct reply_head h = {
            .status = 101, .request_id = x->id, .framing = REPLY_NO_LENGTH, .connection = "Upgrade"};
        const struct iovec parts[] = {
            {.iov_base = head, .iov_len = reply_head_print(&h, head)},
            {.iov_base = "Upgrade: ", .iov_len = 9},
            {.iov_base = (char *)protocol, .iov_len = strlen(protocol)},
            {.iov_base = "\r\n\r\n", .iov_len = 4},
        };
        conn_write(c, parts, 4);
    }
    s->close = true;
    if (!c || c->broken || conn_has_unsent(c)) {
        exchange_finish(x);
        return -1;
    }
    *early = (struct str){c->in + s->raw_at, c->in_end - s->raw_at};
    /* The exchange ends without its connection, which ends without its socket. */
    int fd = conn_release_socket(c);
    exchange_finish(x);
    return fd;
}
