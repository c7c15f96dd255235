/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/conn.h"

#include "base/clock.h"
#include "base/fdio.h"
#include "base/units.h"
#include "base/watch.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

static void on_readable(struct ev_loop *loop, ev_io *w, int events);

void conn_restart_window(struct conn *c)
{
    uint64_t now = turn_now_ns(c->table->gateway);
    c->window_bytes = 0;
    c->window_end_ns = now + c->table->gateway->config->body_deadline_ms * 1000000;
    conn_queue_put_at(c, CONN_QUEUE_MOVING, now);
}

void conn_set_state(struct conn *c, enum conn_state state)
{
#define TO(s) (1u << CONN_##s)
    static const unsigned legal[] = {
        [CONN_IDLE] = TO(HEAD) | TO(CLOSED),
        [CONN_HEAD] = TO(BODY) | TO(RUNNING) | TO(CLOSED),
        [CONN_BODY] = TO(RUNNING) | TO(FLUSHING) | TO(SETTLING) | TO(LINGERING) | TO(CLOSED),
        [CONN_RUNNING] = TO(FLUSHING) | TO(SETTLING) | TO(LINGERING) | TO(CLOSED),
        [CONN_FLUSHING] = TO(SETTLING) | TO(LINGERING) | TO(CLOSED),
        [CONN_SETTLING] = TO(IDLE) | TO(HEAD) | TO(CLOSED),
        [CONN_LINGERING] = TO(CLOSED),
        [CONN_CLOSED] = 0,
    };
#undef TO
    struct conn_table *t = c->table;
    assert(legal[c->state] & 1u << state);
    if (c->state == CONN_FLUSHING) {
        t->flushing--;
        t->something_ended = true;
    }
    c->state = state;
    switch (state) {
    case CONN_IDLE:
        conn_queue_put(c, CONN_QUEUE_IDLE);
        break;
    case CONN_HEAD:
        conn_queue_put_at(c, CONN_QUEUE_HEAD, c->head_started_ns);
        break;
    case CONN_FLUSHING:
        t->flushing++;
        conn_restart_window(c);
        break;
    case CONN_BODY:
        conn_restart_window(c);
        break;
    case CONN_LINGERING:
        conn_queue_put(c, CONN_QUEUE_LINGER);
        break;
    case CONN_SETTLING:
        list_remove(&c->link);
        list_push_back(&t->settling, &c->link);
        conn_queue_leave(c);
        break;
    default:
        conn_queue_leave(c);
        break;
    }
}

int conn_open(struct conn_table *t, int fd, enum gateway_listener_kind listener, const char *peer)
{
    struct conn *c = conn_table_take_conn(t);
    if (!c)
        return -ENOMEM;
    c->table = t;
    c->listener = listener;
    c->fd = fd;
    snprintf(c->peer, sizeof(c->peer), "%s", peer);
    list_init(&c->queue_link);
    list_init(&c->link);
    list_push_back(&t->all, &c->all_link);
    ev_io_init(&c->reader, on_readable, fd, EV_READ);
    ev_io_init(&c->writer, conn_on_writable, fd, EV_WRITE);
    c->reader.data = c;
    c->writer.data = c;
    ev_io_start(t->gateway->loop, &c->reader);
    t->conn_count++;
    c->state = CONN_IDLE;
    conn_queue_put(c, CONN_QUEUE_IDLE);
    return 0;
}

/* --- the end --- */

static void give_input(struct conn *c)
{
    conn_table_give_buffer(c->table, c->in, c->in_cap);
    c->in = NULL;
    c->in_cap = c->in_start = c->in_end = 0;
}

/* The exchange goes on without its client. What its request points into goes with it. */
void conn_detach(struct conn *c)
{
    struct exchange_slot *s = c->slot;
    if (!s)
        return;
    c->slot = NULL;
    s->input = c->in;
    s->input_cap = c->in_cap;
    c->in = NULL;
    c->in_cap = c->in_start = c->in_end = 0;
    s->x.conn = NULL;
    if (s->x.ended)
        slot_bury(s);
    else if (s->streaming && s->x.on_stream_gone)
        s->x.on_stream_gone(&s->x);
    else if (s->x.sink && !s->body_done)
        s->x.sink->on_gone(&s->x);
    else if (!s->handed)
        exchange_finish(&s->x);
}

/* Everything but the descriptor. */
static void retire(struct conn *c)
{
    struct ev_loop *loop = c->table->gateway->loop;
    ev_io_stop(loop, &c->reader);
    ev_io_stop(loop, &c->writer);
    conn_drop_unsent(c);
    conn_set_state(c, CONN_CLOSED);
    list_remove(&c->all_link);
    c->table->conn_count--;
    conn_detach(c);
    give_input(c);
    conn_bury(c);
}

void conn_close(struct conn *c)
{
    if (c->state == CONN_CLOSED)
        return;
    /* The watchers go first: epoll must not hear of a descriptor number that may be another connection's by then. */
    ev_io_stop(c->table->gateway->loop, &c->reader);
    ev_io_stop(c->table->gateway->loop, &c->writer);
    fd_close(&c->fd);
    retire(c);
}

int conn_release_socket(struct conn *c)
{
    int fd = fd_take(&c->fd);
    retire(c);
    return fd;
}

void conn_break(struct conn *c)
{
    c->broken = true;
    list_remove(&c->link);
    list_push_back(&c->table->settling, &c->link);
}

static void start_linger(struct conn *c)
{
    if (c->input_eof || shutdown(c->fd, SHUT_WR) < 0) {
        conn_close(c);
        return;
    }
    slot_bury(c->slot);
    c->slot = NULL;
    give_input(c);
    conn_set_state(c, CONN_LINGERING);
    conn_resume_reading(c);
}

static void read_lingering(struct conn *c)
{
    char dropped[CONN_BUFFER];
    ssize_t n = recv(c->fd, dropped, sizeof(dropped), MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n > 0)
        c->lingered += (uint64_t)n;
    if (n <= 0 || c->lingered > CONN_LINGER_BYTES)
        conn_close(c);
}

void conn_finish_reply(struct conn *c)
{
    if (conn_has_unsent(c))
        conn_set_state(c, CONN_FLUSHING);
    else if (c->slot->close)
        start_linger(c);
    else
        conn_set_state(c, CONN_SETTLING);
}

void conn_exchange_ended(struct conn *c)
{
    struct exchange_slot *s = c->slot;
    if (c->broken)
        return;
    if (c->state == CONN_BODY && !s->close) {
        s->discard = true;
        s->pending = (struct str){0};
        if (s->sink_paused)
            exchange_body_resume(&s->x);
        return;
    }
    conn_finish_reply(c);
}

/* --- input --- */

static bool take_input(struct conn *c)
{
    if (c->in)
        return true;
    c->in = conn_table_take_buffer(c->table);
    c->in_cap = c->in ? CONN_BUFFER : 0;
    return c->in != NULL;
}

/* Where to read to; n = 0: there is no room until the request at hand is over. */
static struct iovec reading_room(struct conn *c)
{
    if (c->state == CONN_BODY) {
        struct iovec room = conn_body_room(c);
        if (room.iov_len)
            return room;
    }
    bool between = c->state == CONN_IDLE || c->state == CONN_HEAD;
    if (!take_input(c) || (c->in_end == c->in_cap && between && !conn_make_room(c, CONN_BUFFER)))
        return (struct iovec){0};
    return (struct iovec){.iov_base = c->in + c->in_end, .iov_len = c->in_cap - c->in_end};
}

static void pump(struct conn *c)
{
    if (c->state == CONN_IDLE) {
        c->head_started_ns = turn_now_ns(c->table->gateway);
        conn_set_state(c, CONN_HEAD);
    }
    if (c->state == CONN_HEAD)
        conn_pump_head(c);
    else if (c->state == CONN_BODY && !c->slot->sink_paused)
        conn_body_pump(c);
}

static void on_eof(struct conn *c)
{
    struct exchange_slot *s = c->slot;
    c->input_eof = true;
    ev_io_stop(c->table->gateway->loop, &c->reader);
    switch (c->state) {
    case CONN_BODY:
        /* A paused sink has not seen all that came: whether the body is complete shows when it goes on. */
        if (s->sink_paused)
            return;
        if (!s->discard) {
            conn_close(c);
            return;
        }
        s->close = true;
        conn_finish_reply(c);
        return;
    case CONN_RUNNING:
        /* The reply is still wanted (RFC 9112 section 9.6), but an endless one has no other sign of its end. */
        if (s->streaming && !s->paced && s->x.on_stream_gone)
            s->x.on_stream_gone(&s->x);
        return;
    case CONN_FLUSHING:
    case CONN_SETTLING:
        return;
    default:
        conn_close(c);
        return;
    }
}

static void on_readable(struct ev_loop *loop, ev_io *w, int events)
{
    watch_again(loop, w, events);
    struct conn *c = w->data;
    if (c->broken)
        return;
    turn_begin(c->table->gateway);
    if (c->state == CONN_LINGERING) {
        read_lingering(c);
        return;
    }
    /* Fed by exchange_body_resume. libev merges it with a read event of the same turn: what is in the buffer goes first, the socket says
     * again that it is readable. */
    if (events & EV_CUSTOM) {
        pump(c);
        return;
    }
    struct iovec room = reading_room(c);
    if (room.iov_len == 0) {
        ev_io_stop(loop, w);
        return;
    }
    ssize_t n = recv(c->fd, room.iov_base, room.iov_len, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n == 0)
        on_eof(c);
    else if (n < 0)
        conn_close(c);
    else if (c->state == CONN_BODY && !c->slot->sink_paused && !conn_progress(c, (size_t)n))
        conn_expire(c);
    else if (room.iov_base != c->in + c->in_end)
        conn_body_arrived(c, (size_t)n);
    else {
        c->in_end += (size_t)n;
        pump(c);
    }
}

void conn_resume_reading(struct conn *c)
{
    if (!c->input_eof)
        ev_io_start(c->table->gateway->loop, &c->reader);
}

/* A buffer that grew for one long head is not kept for the next. */
static void shrink_input(struct conn *c)
{
    size_t held = c->in_end - c->in_start;
    if (c->in_cap == CONN_BUFFER || held > CONN_BUFFER / 2)
        return;
    char *buffer = conn_table_take_buffer(c->table);
    if (!buffer)
        return;
    memcpy(buffer, c->in + c->in_start, held);
    give_input(c);
    c->in = buffer;
    c->in_cap = CONN_BUFFER;
    c->in_end = held;
}

void conn_settle(struct conn *c)
{
    if (c->broken) {
        conn_close(c);
        return;
    }
    if (c->state != CONN_SETTLING)
        return;
    c->in_start = c->slot->raw_at;
    slot_bury(c->slot);
    c->slot = NULL;
    if (c->in_start == c->in_end) {
        give_input(c);
        if (c->input_eof || c->table->gateway->draining) {
            conn_close(c);
            return;
        }
        conn_set_state(c, CONN_IDLE);
        conn_resume_reading(c);
        return;
    }
    shrink_input(c);
    c->head_started_ns = turn_begin(c->table->gateway);
    conn_set_state(c, CONN_HEAD);
    conn_resume_reading(c);
    conn_pump_head(c);
    if (c->state == CONN_HEAD && c->input_eof)
        conn_close(c);
}

void conn_expire(struct conn *c)
{
    const struct config *config = c->table->gateway->config;
    char limit[UNITS_TEXT_MAX];
    /* The socket failed under the reply in this very turn of the loop: the exchange has ended, and settling closes the connection. */
    if (c->broken)
        return;
    if (c->state == CONN_HEAD) {
        units_format_time(config->header_deadline_ms, limit);
        conn_refuse(c, 408, "no complete request head within 'header_deadline' (%s)", limit);
    } else if (c->state == CONN_BODY && !c->slot->discard) {
        units_format_time(config->body_deadline_ms, limit);
        conn_refuse(c, 408, "the body came too slowly: a pause of 'body_deadline' (%s), or under %d bytes a second",
                    limit, CONN_RATE_MIN);
    } else {
        conn_close(c);
    }
}
