/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes in and out of one connection; what they mean is said by runtime_api_answer.c. */
#include "gateway/runtime_api_conn.h"

#include "base/fdio.h"
#include "base/watch.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* Where a read lands first, for every runtime: most requests come whole and never touch a buffer of their own. */
static char scratch[RUNTIME_API_INPUT];

static const struct http1_limits LIMITS = {.head_bytes = RUNTIME_API_HEAD_MAX, .fields = HTTP1_FIELDS_MAX};

/* ---- life ---- */

static void hold(struct runtime_api_conn *c)
{
    c->holds++;
}

static void release(struct runtime_api_conn *c)
{
    if (--c->holds > 0 || c->state != RUNTIME_API_CONN_CLOSED)
        return;
    buf_fini(&c->in);
    buf_fini(&c->out);
    buf_fini(&c->request.body);
    buf_fini(&c->request.trailers);
    free(c);
}

void runtime_api_conn_close(struct runtime_api_conn *c)
{
    struct runtime_api *a = c->api;
    struct ev_loop *loop = a->gateway->loop;
    if (c->state == RUNTIME_API_CONN_CLOSED)
        return;
    hold(c);
    ev_io_stop(loop, &c->reader);
    ev_io_stop(loop, &c->writer);
    ev_timer_stop(loop, &c->timer);
    fd_close(&c->fd);
    a->unsent -= c->out.len - c->out_sent;
    a->conn_count--;
    if (a->paused == c)
        a->paused = NULL;
    list_remove(&c->link);
    list_remove(&c->wait_link);
    c->state = RUNTIME_API_CONN_CLOSED;
    release(c);
}

static void set_state(struct runtime_api_conn *c, enum runtime_api_conn_state next)
{
    if (c->state == RUNTIME_API_CONN_CLOSED || c->state == next)
        return;
    c->state = next;
    list_remove(&c->wait_link);
    if (next == RUNTIME_API_CONN_WAITING)
        list_push_back(&c->api->waiting, &c->wait_link);
    if (next == RUNTIME_API_CONN_IDLE) {
        list_remove(&c->link);
        list_push_front(&c->api->conns, &c->link);
    }
}

/* Once a call is through, not at every step: a request that came whole touches no timer. `progress`: bytes of a body or reply moved, or a request was completed; a
 * head's bytes are none, its time counts from the first. */
static void arm(struct runtime_api_conn *c, bool progress)
{
    struct ev_loop *loop = c->api->gateway->loop;
    unsigned ms = 0;
    if (c->state == RUNTIME_API_CONN_CLOSED)
        return;
    if (c->state == RUNTIME_API_CONN_HEAD)
        ms = RUNTIME_API_HEAD_MS;
    else if (c->state == RUNTIME_API_CONN_FLUSHING || (c->state == RUNTIME_API_CONN_BODY && !c->request.claimed))
        ms = RUNTIME_API_STALL_MS;
    else if (c->state == RUNTIME_API_CONN_LINGERING)
        ms = RUNTIME_API_LINGER_MS;
    if (ms == 0) {
        ev_timer_stop(loop, &c->timer);
        return;
    }
    double repeat = (double)ms / 1e3;
    if (ev_is_active(&c->timer) && !progress && c->timer.repeat == repeat)
        return;
    c->timer.repeat = repeat;
    ev_timer_again(loop, &c->timer);
}

/* ---- out ---- */

static void start_linger(struct runtime_api_conn *c)
{
    if (shutdown(c->fd, SHUT_WR) < 0) {
        runtime_api_conn_close(c);
        return;
    }
    set_state(c, RUNTIME_API_CONN_LINGERING);
    ev_io_start(c->api->gateway->loop, &c->reader);
}

static void reply_is_out(struct runtime_api_conn *c)
{
    buf_fini(&c->out);
    c->out_sent = 0;
    if (c->close_after)
        start_linger(c);
    else
        set_state(c, RUNTIME_API_CONN_IDLE);
}

/* Keeps what the socket did not take. */
static bool keep_unsent(struct runtime_api_conn *c, const struct iovec *parts, int count, size_t sent)
{
    struct runtime_api *a = c->api;
    size_t max = a->gateway->config->request_bytes_max + RUNTIME_API_UNSENT_EXTRA;
    for (int i = 0; i < count; i++) {
        size_t skip = sent < parts[i].iov_len ? sent : parts[i].iov_len;
        size_t rest = parts[i].iov_len - skip;
        sent -= skip;
        if (a->unsent + rest > max || buf_add(&c->out, (const char *)parts[i].iov_base + skip, rest) < 0)
            return false;
        a->unsent += rest;
    }
    return true;
}

void runtime_api_conn_send(struct runtime_api_conn *c, const struct iovec *parts, int count)
{
    size_t total = 0;
    if (c->state == RUNTIME_API_CONN_CLOSED)
        return;
    for (int i = 0; i < count; i++)
        total += parts[i].iov_len;
    struct msghdr m = {.msg_iov = (struct iovec *)parts, .msg_iovlen = (size_t)count};
    ssize_t n = sendmsg(c->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n == (ssize_t)total) {
        reply_is_out(c);
        return;
    }
    bool broken = n < 0 && errno != EAGAIN && errno != EINTR;
    if (broken || !keep_unsent(c, parts, count, n < 0 ? 0 : (size_t)n)) {
        runtime_api_conn_close(c);
        return;
    }
    set_state(c, RUNTIME_API_CONN_FLUSHING);
    ev_io_stop(c->api->gateway->loop,
               &c->reader); /* one thing after another: what it sends meanwhile waits in the socket */
    ev_io_start(c->api->gateway->loop, &c->writer);
}

/* ---- in ---- */

/* The next run of the body; *ret_used bytes of `in` are looked at. */
static enum http1_outcome next_run(struct runtime_api_request *q, struct str in, size_t *ret_used, struct str *ret_run,
                                   struct http1_refusal *ret_refusal)
{
    if (q->framing == HTTP1_BODY_CHUNKED) {
        struct str trailers;
        enum http1_outcome o =
            http1_decode_chunked_trailers(&q->chunked, in, ret_used, ret_run, &trailers, ret_refusal);
        if (o == HTTP1_BAD || trailers.n == 0 || !q->keep_body || buf_add_str(&q->trailers, trailers) == 0)
            return o;
        *ret_refusal = (struct http1_refusal){.status = 503, .reason = "out of memory"};
        return HTTP1_BAD;
    }
    *ret_used = in.n < q->left ? in.n : (size_t)q->left;
    *ret_run = (struct str){in.p, *ret_used};
    q->left -= *ret_used;
    return q->left ? HTTP1_NEED_MORE : HTTP1_DONE;
}

void runtime_api_resume(struct runtime_api *a)
{
    if (a->paused)
        ev_io_start(a->gateway->loop, &a->paused->reader);
    a->paused = NULL;
}

/* What stands in this read goes on in any case: the pause is for the next one. */
static void pass_on(struct runtime_api_conn *c, struct str run)
{
    struct runtime_api *a = c->api;
    switch (a->events->on_data(a->owner, str_from(c->request.content_type), run)) {
    case REPLY_STREAM_GO:
        return;
    case REPLY_STREAM_WAIT:
        a->paused = c;
        ev_io_stop(a->gateway->loop, &c->reader);
        return;
    case REPLY_STREAM_TOO_LONG:
        runtime_api_fault_request(c, RUNTIME_API_TOO_LARGE);
        return;
    case REPLY_STREAM_NO_MEMORY:
        runtime_api_refuse(c, &(struct http1_refusal){.status = 503, .reason = "out of memory"});
        return;
    }
}

/* `last`: the body ends with this run. A body in one piece is not copied. */
static void take_run(struct runtime_api_conn *c, struct str run, bool last)
{
    struct runtime_api_request *q = &c->request;
    q->body_seen += run.n;
    if (!q->keep_body || run.n == 0)
        return;
    if (q->streamed) {
        pass_on(c, run);
        return;
    }
    if (q->body_seen > runtime_api_body_max(c->api)) {
        runtime_api_fault_request(c, RUNTIME_API_TOO_LARGE);
        return;
    }
    if (last && q->body.len == 0)
        q->whole = run;
    else if (buf_add_str(&q->body, run) < 0)
        runtime_api_refuse(c, &(struct http1_refusal){.status = 503, .reason = "out of memory"});
}

/* Returns how many bytes were looked at; 0: more must come. */
static size_t pump_body(struct runtime_api_conn *c, struct str in)
{
    struct runtime_api_request *q = &c->request;
    struct http1_refusal refusal = {0};
    struct str run = {0};
    size_t used = 0;
    enum http1_outcome o = next_run(q, in, &used, &run, &refusal);
    if (o == HTTP1_BAD) {
        runtime_api_refuse(c, &refusal);
        return 0;
    }
    take_run(c, run, o == HTTP1_DONE);
    if (c->state != RUNTIME_API_CONN_BODY)
        return used;
    if (o == HTTP1_DONE)
        runtime_api_finish_request(c);
    else if (!q->keep_body && q->body_seen > runtime_api_conn_body_max(c) + RUNTIME_API_DISCARD_MAX)
        runtime_api_refuse(c, &(struct http1_refusal){.status = 413, .reason = "the body does not end"});
    return used;
}

/* 25 bytes into an empty socket; one that does not take them is a peer that reads nothing. */
static void invite_body(struct runtime_api_conn *c)
{
    static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
    if (send(c->fd, text, sizeof(text) - 1, MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)sizeof(text) - 1)
        runtime_api_conn_close(c);
}

static size_t pump_head(struct runtime_api_conn *c, struct str in)
{
    static struct http1_request r; /* 4 KiB; looked at within this call alone */
    struct http1_refusal refusal;
    size_t head_len;
    switch (http1_parse_request(&r, &c->progress, in.p, in.n, &LIMITS, &head_len, &refusal)) {
    case HTTP1_NEED_MORE:
        set_state(c, RUNTIME_API_CONN_HEAD);
        return 0;
    case HTTP1_BAD:
        runtime_api_refuse(c, &refusal);
        return 0;
    default:
        break;
    }
    bool has_body = r.body != HTTP1_BODY_NONE;
    bool invite = r.expect_continue && in.n == head_len;
    c->progress = (struct http1_progress){0};
    set_state(c, RUNTIME_API_CONN_BODY);
    runtime_api_take_request(c, &r, invite); /* `r` may be another connection's afterwards */
    if (c->state != RUNTIME_API_CONN_BODY)
        return head_len;
    if (!has_body)
        runtime_api_finish_request(c);
    else if (invite)
        invite_body(c);
    return head_len;
}

static bool is_reading_requests(const struct runtime_api_conn *c)
{
    return c->state <= RUNTIME_API_CONN_BODY;
}

static unsigned count_long_heads(const struct runtime_api *a)
{
    unsigned n = 0;
    LIST_EACH (&a->conns, link)
        n += LIST_ENTRY(link, struct runtime_api_conn, link)->long_head;
    return n;
}

static bool may_grow(struct runtime_api_conn *c)
{
    if (c->in.len < RUNTIME_API_INPUT || c->long_head)
        return true;
    c->long_head = count_long_heads(c->api) < RUNTIME_API_LONG_HEADS_MAX;
    return c->long_head;
}

/* What was not looked at waits in the connection's own buffer. */
static void keep_input(struct runtime_api_conn *c, struct str in, size_t used)
{
    if (in.p == c->in.data) {
        buf_drop_front(&c->in, used);
    } else if (buf_add_str(&c->in, str_skip(in, used)) < 0) {
        runtime_api_conn_close(c);
        return;
    }
    if (c->in.len == 0 && c->in.cap) {
        buf_fini(&c->in);
        c->long_head = false;
    }
}

/* All that has come, from the first byte that nobody has looked at. */
static void pump(struct runtime_api_conn *c, struct str in)
{
    size_t at = 0;
    c->pumping = true;
    while (at < in.n && is_reading_requests(c)) {
        struct str rest = str_skip(in, at);
        size_t used = c->state == RUNTIME_API_CONN_BODY ? pump_body(c, rest) : pump_head(c, rest);
        at += used;
        if (used == 0)
            break;
    }
    c->pumping = false;
    if (c->state == RUNTIME_API_CONN_CLOSED)
        return;
    keep_input(c, in, at);
    arm(c, at > 0);
}

static void on_end(struct runtime_api_conn *c)
{
    if (c->state == RUNTIME_API_CONN_BODY)
        runtime_api_truncate_request(c);
    runtime_api_conn_close(c);
}

/* Where the next read goes; n = 0: there is room for no more. */
static struct iovec reading_room(struct runtime_api_conn *c)
{
    if (c->in.len == 0 || c->state == RUNTIME_API_CONN_LINGERING)
        return (struct iovec){.iov_base = scratch, .iov_len = sizeof(scratch)};
    if (!may_grow(c) || buf_reserve(&c->in, RUNTIME_API_INPUT) < 0)
        return (struct iovec){0};
    return (struct iovec){.iov_base = c->in.data + c->in.len, .iov_len = RUNTIME_API_INPUT};
}

static void read_once(struct runtime_api_conn *c)
{
    if (c->state == RUNTIME_API_CONN_WAITING && c->in.len >= RUNTIME_API_INPUT) {
        ev_io_stop(c->api->gateway->loop, &c->reader); /* until the request that waits has been answered */
        return;
    }
    struct iovec room = reading_room(c);
    if (room.iov_len == 0) {
        runtime_api_refuse(c, &(struct http1_refusal){.status = 431, .reason = "too many long heads at once"});
        return;
    }
    ssize_t n = recv(c->fd, room.iov_base, room.iov_len, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        on_end(c);
        return;
    }
    if (c->state == RUNTIME_API_CONN_LINGERING)
        return;
    if (room.iov_base == scratch) {
        pump(c, (struct str){scratch, (size_t)n});
        return;
    }
    c->in.len += (size_t)n;
    pump(c, buf_str(&c->in));
}

static void on_readable(struct ev_loop *loop, ev_io *w, int events)
{
    watch_again(loop, w, events);
    struct runtime_api_conn *c = w->data;
    turn_begin(c->api->gateway);
    hold(c);
    read_once(c);
    arm(c, false);
    release(c);
}

/* The reply before is out: on with what the buffer holds, then with the socket. Not from inside the pump, which goes on by itself. */
static void resume(struct runtime_api_conn *c)
{
    if (c->pumping || !is_reading_requests(c))
        return;
    ev_io_start(c->api->gateway->loop, &c->reader);
    if (c->in.len)
        pump(c, buf_str(&c->in));
    else
        arm(c, false);
}

static void on_writable(struct ev_loop *loop, ev_io *w, int events)
{
    watch_again(loop, w, events);
    struct runtime_api_conn *c = w->data;
    ssize_t n = send(c->fd, c->out.data + c->out_sent, c->out.len - c->out_sent, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    hold(c);
    if (n < 0) {
        runtime_api_conn_close(c);
    } else {
        c->out_sent += (size_t)n;
        c->api->unsent -= (size_t)n;
        if (c->out_sent == c->out.len) {
            ev_io_stop(loop, &c->writer);
            reply_is_out(c);
            resume(c);
        }
        arm(c, true);
    }
    release(c);
}

static void on_timer(struct ev_loop *loop, ev_timer *w, int events)
{
    struct runtime_api_conn *c = w->data;
    (void)loop;
    (void)events;
    hold(c);
    if (c->state == RUNTIME_API_CONN_HEAD || c->state == RUNTIME_API_CONN_BODY)
        runtime_api_refuse(c, &(struct http1_refusal){.status = 408, .reason = "the request came too slowly"});
    else
        runtime_api_conn_close(c);
    arm(c, false);
    release(c);
}

void runtime_api_conn_wait(struct runtime_api_conn *c)
{
    set_state(c, RUNTIME_API_CONN_WAITING);
}

void runtime_api_conn_serve(struct runtime_api_conn *c)
{
    struct runtime_api *a = c->api;
    const char *connection = "";
    if (!a->events->may_serve(a->owner)) {
        runtime_api_conn_close(c);
        return;
    }
    if (c->request.http10 || !c->request.keep_alive)
        connection = c->request.keep_alive ? "Connection: keep-alive\r\n" : "Connection: close\r\n";
    const struct iovec parts[] = {
        {.iov_base = a->event_head.data, .iov_len = a->event_head.len},
        {.iov_base = (char *)connection, .iov_len = strlen(connection)},
        {.iov_base = "\r\n", .iov_len = 2},
        {.iov_base = (char *)a->event_body.p, .iov_len = a->event_body.n},
    };
    hold(c);
    c->close_after = !c->request.keep_alive;
    set_state(c, RUNTIME_API_CONN_BODY); /* it waits no longer */
    runtime_api_conn_send(c, parts, a->event_body.n ? 4 : 3);
    resume(c);
    arm(c, false);
    release(c);
}

void runtime_api_conn_open(struct runtime_api *a, int fd)
{
    struct runtime_api_conn *c = calloc(1, sizeof(*c));
    if (!c) {
        close(fd);
        return;
    }
    c->api = a;
    c->fd = fd;
    buf_init(&c->in, RUNTIME_API_HEAD_MAX + 2 * RUNTIME_API_INPUT);
    buf_init(&c->out, 0); /* keep_unsent limits all of them together */
    buf_init(&c->request.body, runtime_api_body_max(a));
    buf_init(&c->request.trailers, RUNTIME_API_TRAILER_MAX);
    list_init(&c->wait_link);
    list_push_front(&a->conns, &c->link);
    a->conn_count++;
    ev_io_init(&c->reader, on_readable, fd, EV_READ);
    ev_io_init(&c->writer, on_writable, fd, EV_WRITE);
    ev_timer_init(&c->timer, on_timer, 0., 0.);
    c->reader.data = c->writer.data = c->timer.data = c;
    ev_io_start(a->gateway->loop, &c->reader);
}
