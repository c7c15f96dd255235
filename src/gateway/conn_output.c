/* SPDX-License-Identifier: Apache-2.0 */
/* What leaves a connection: at once where the socket takes it, the rest copied and sent as the client reads. */
#include "gateway/conn.h"

#include "base/watch.h"

#include "os/sock.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

bool conn_has_unsent(const struct conn *c)
{
    return c->out.len > 0;
}

void conn_drop_unsent(struct conn *c)
{
    conn_table_refund(c->table, c->out.cap);
    buf_fini(&c->out);
    c->out_at = 0;
}

/* False: what was kept before is gone, too. */
static bool make_room(struct conn *c, size_t n)
{
    size_t before = c->out.cap;
    int r = buf_reserve(&c->out, n);
    if (r == 0 && conn_table_charge(c->table, c->out.cap - before))
        return true;
    buf_fini(&c->out);
    conn_table_refund(c->table, before);
    c->out_at = 0;
    return false;
}

static bool keep(struct conn *c, const char *p, size_t n)
{
    /* What went out makes room before the buffer grows: a long stream never empties it. */
    if (c->out_at > c->out.len / 2) {
        buf_drop_front(&c->out, c->out_at);
        c->out_at = 0;
    }
    if (!make_room(c, n))
        return false;
    buf_add(&c->out, p, n);
    return true;
}

bool conn_reserve(struct conn *c, size_t n)
{
    if (n <= CONN_REPLY_AT_ONCE || c->broken || conn_has_unsent(c))
        return true;
    c->out.limit = n; /* not the next power of two: all of it is charged */
    bool done = make_room(c, n);
    c->out.limit = 0;
    return done;
}

/* The status has gone out: where the rest can't be kept, or the client is not there, all that is left is to close. */
void conn_write(struct conn *c, const struct iovec *parts, int count)
{
    if (c->broken)
        return;
    ssize_t n = 0;
    if (!conn_has_unsent(c)) {
        n = sock_send_parts(c->fd, parts, (unsigned)count);
        if (n < 0 && errno != EAGAIN && errno != EINTR) {
            conn_break(c);
            return;
        }
        if (n < 0)
            n = 0;
    }
    size_t sent = (size_t)n;
    for (int i = 0; i < count; i++) {
        size_t skip = sent < parts[i].iov_len ? sent : parts[i].iov_len;
        sent -= skip;
        if (skip < parts[i].iov_len && !keep(c, (const char *)parts[i].iov_base + skip, parts[i].iov_len - skip)) {
            conn_break(c);
            return;
        }
    }
    if (conn_has_unsent(c))
        ev_io_start(c->table->gateway->loop, &c->writer);
    else if (c->out.cap)
        conn_drop_unsent(c); /* what was reserved and not needed */
}

bool conn_progress(struct conn *c, size_t n)
{
    uint64_t now = turn_now_ns(c->table->gateway);
    uint64_t window_ms = c->table->gateway->config->body_deadline_ms;
    c->window_bytes += n;
    if (now > c->window_end_ns) {
        if (c->window_bytes < CONN_RATE_MIN * window_ms / 1000)
            return false;
        c->window_bytes = 0;
        c->window_end_ns = now + window_ms * 1000000;
    }
    conn_queue_put_at(c, CONN_QUEUE_MOVING, now);
    return true;
}

/* A function's stream that the client is still reading. */
static bool is_paced(const struct conn *c)
{
    return c->state == CONN_RUNNING && c->slot->streaming && c->slot->paced;
}

static void tell_room(struct conn *c)
{
    struct exchange *x = &c->slot->x;
    if (c->out.len - c->out_at <= EXCHANGE_STREAM_LOW && x->on_stream_room)
        x->on_stream_room(x);
}

void conn_on_writable(struct ev_loop *loop, ev_io *w, int events)
{
    watch_again(loop, w, events);
    struct conn *c = w->data;
    if (c->broken)
        return;
    ssize_t n = send(c->fd, c->out.data + c->out_at, c->out.len - c->out_at, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n < 0) {
        conn_close(c);
        return;
    }
    c->out_at += (size_t)n;
    if (c->out_at < c->out.len) {
        bool paced = is_paced(c);
        if ((c->state == CONN_FLUSHING || paced) && !conn_progress(c, (size_t)n))
            conn_expire(c);
        else if (paced)
            tell_room(c);
        return;
    }
    ev_io_stop(loop, w);
    conn_drop_unsent(c);
    if (c->state == CONN_FLUSHING) {
        conn_finish_reply(c);
    } else if (is_paced(c)) {
        conn_queue_leave(c);
        tell_room(c);
    }
}
