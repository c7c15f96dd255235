/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/relay.h"

#include "base/watch.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

static bool end(struct relay *r)
{
    relay_stop(r);
    r->on_end(r);
    return false;
}

/* 1: all is written. 0: the far side is full, the writer goes on. -1: it takes no more. */
static int write_held(struct relay *r)
{
    while (r->at < r->len) {
        ssize_t n = write(r->to, r->held + r->at, r->len - r->at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno != EAGAIN)
            return -1;
        if (n < 0) {
            ev_io_stop(r->loop, &r->reader);
            ev_io_start(r->loop, &r->writer);
            return 0;
        }
        r->at += (size_t)n;
    }
    r->at = r->len = 0;
    ev_io_stop(r->loop, &r->writer);
    return 1;
}

/* Once nothing new is waited for: what still stands in `from`. */
static bool take_last(struct relay *r)
{
    ssize_t n = read(r->from, r->held, sizeof(r->held));
    r->len = n > 0 ? (size_t)n : 0;
    return n > 0;
}

/* Writes what is held. False when the relay is over (and may be gone). */
static bool flush(struct relay *r)
{
    do {
        int written = write_held(r);
        if (written == 0)
            return true;
        if (written < 0)
            return end(r);
    } while (r->ended && take_last(r));
    if (r->ended)
        return end(r);
    ev_io_start(r->loop, &r->reader);
    return true;
}

static void on_readable(struct ev_loop *loop, ev_io *w, int events)
{
    watch_again(loop, w, events);
    struct relay *r = w->data;
    ssize_t n = read(r->from, r->held, sizeof(r->held));
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    /* EIO: no process has the other side of the terminal open any more (pty(7)). */
    if (n <= 0)
        r->ended = true;
    else
        r->len = (size_t)n;
    flush(r);
}

static void on_writable(struct ev_loop *loop, ev_io *w, int events)
{
    watch_again(loop, w, events);
    flush(w->data);
}

void relay_start(struct relay *r, int from, int to, struct str early)
{
    assert(early.n <= sizeof(r->held));
    r->from = from;
    r->to = to;
    r->at = 0;
    r->len = early.n;
    r->ended = false;
    if (early.n)
        memcpy(r->held, early.p, early.n);
    ev_io_init(&r->reader, on_readable, from, EV_READ);
    ev_io_init(&r->writer, on_writable, to, EV_WRITE);
    r->reader.data = r;
    r->writer.data = r;
    if (early.n)
        ev_io_start(r->loop, &r->writer);
    else
        ev_io_start(r->loop, &r->reader);
}

void relay_finish(struct relay *r)
{
    r->ended = true;
    ev_io_stop(r->loop, &r->reader);
    flush(r);
}

void relay_stop(struct relay *r)
{
    if (!r->loop)
        return;
    ev_io_stop(r->loop, &r->reader);
    ev_io_stop(r->loop, &r->writer);
}
