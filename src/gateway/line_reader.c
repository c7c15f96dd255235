/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/line_reader.h"

#include "base/fdio.h"
#include "base/watch.h"
#include "gateway/log_tail.h"
#include "gateway/shared_pipe.h"
#include "gateway/store.h"

#include <string.h>

static void hand_over(struct line_reader *r, struct str line)
{
    if (r->also)
        log_tail_add(r->also, line);
    if (r->function[0])
        store_log_line(r->gateway->store, r->function, r->instance, r->request_id, line);
}

void line_reader_flush(struct line_reader *r)
{
    if (r->partial.len)
        hand_over(r, buf_str(&r->partial));
    r->partial.len = 0;
}

static void keep_tail(struct line_reader *r, struct str data)
{
    r->tail_total += data.n;
    if (data.n > LINE_READER_TAIL)
        data = str_skip(data, data.n - LINE_READER_TAIL);
    size_t at = (r->tail_total - data.n) % LINE_READER_TAIL;
    size_t first = data.n < LINE_READER_TAIL - at ? data.n : LINE_READER_TAIL - at;
    memcpy(r->tail + at, data.p, first);
    memcpy(r->tail, data.p + first, data.n - first);
}

static void keep_copy(struct line_reader *r, struct str data)
{
    size_t room = r->copy->limit - r->copy->len;
    struct str part = {data.p, data.n < room ? data.n : room};
    if (buf_add_str(r->copy, part) < 0 || part.n < data.n)
        r->copy_cut = true;
}

static void take(struct line_reader *r, struct str data)
{
    keep_tail(r, data);
    if (r->copy)
        keep_copy(r, data);
    while (data.n) {
        struct str rest;
        bool found;
        struct str piece = str_cut(data, '\n', &rest, &found);
        if (found && r->partial.len == 0) {
            hand_over(r, piece);
        } else {
            /* -EMSGSIZE: the line is longer than we keep, so what stands there goes out as a line of its own. */
            if (buf_add_str(&r->partial, piece) < 0) {
                line_reader_flush(r);
                hand_over(r, piece);
            } else if (found) {
                line_reader_flush(r);
            }
        }
        data = rest;
    }
}

static void close_fd(struct line_reader *r)
{
    if (r->fd < 0)
        return;
    ev_io_stop(r->gateway->loop, &r->watcher);
    ev_timer_stop(r->gateway->loop, &r->later);
    fd_close(&r->fd);
}

static void on_readable(struct ev_loop *loop, ev_io *w, int events)
{
    watch_again(loop, w, events);
    line_reader_drain(w->data);
}

void line_reader_init(struct line_reader *r, struct gateway *g, const char *function, uint64_t instance)
{
    memset(r, 0, offsetof(struct line_reader, tail));
    r->gateway = g;
    r->fd = -1;
    r->instance = instance;
    r->tail_total = 0;
    r->copy = NULL;
    r->copy_cut = false;
    r->also = NULL;
    r->on_closed = NULL;
    r->owner = NULL;
    buf_init(&r->partial, LINE_READER_MAX);
    memcpy(r->function, function, strnlen(function, sizeof(r->function) - 1));
}

static void on_later(struct ev_loop *loop, ev_timer *t, int events)
{
    struct line_reader *r = t->data;
    (void)events;
    ev_io_start(loop, &r->watcher);
}

static void take_fd(struct line_reader *r, int fd, bool shared)
{
    close_fd(r);
    r->fd = fd;
    r->shared = shared;
    r->late = false;
    ev_init(&r->later, on_later);
    r->later.data = r;
    ev_io_init(&r->watcher, on_readable, fd, EV_READ);
    r->watcher.data = r;
    /* Ahead of the reply that was written after these lines: they are still the request's. */
    ev_set_priority(&r->watcher, EV_MAXPRI);
}

void line_reader_attach(struct line_reader *r, int fd)
{
    take_fd(r, fd, false);
    ev_io_start(r->gateway->loop, &r->watcher);
}

void line_reader_attach_shared(struct line_reader *r, int fd)
{
    take_fd(r, fd, true);
    ev_io_start(r->gateway->loop, &r->watcher);
}

void line_reader_attach_later(struct line_reader *r, int fd)
{
    take_fd(r, fd, true);
    r->late = true;
    ev_timer_set(&r->later, LINE_READER_LATER_MS / 1000., 0.);
    ev_timer_start(r->gateway->loop, &r->later);
}

void line_reader_begin(struct line_reader *r, const char *request_id)
{
    line_reader_flush(r);
    memcpy(r->request_id, request_id, ID_UUID_MAX);
    r->tail_total = 0;
}

void line_reader_begin_also(struct line_reader *r, const char *request_id, struct log_tail *also)
{
    line_reader_begin(r, request_id);
    r->also = also;
    also->reader = r;
}

void line_reader_drain(struct line_reader *r)
{
    char chunk[16384];
    for (size_t turn = 0; r->fd >= 0 && turn < LINE_READER_TURN;) {
        ssize_t n = r->shared ? shared_pipe_read(r->fd, chunk, sizeof(chunk)) : read(r->fd, chunk, sizeof(chunk));
        if (n > 0) {
            take(r, (struct str){chunk, (size_t)n});
            turn += (size_t)n;
            continue;
        }
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        line_reader_flush(r);
        close_fd(r);
        if (r->on_closed)
            r->on_closed(r);
        return;
    }
}

void line_reader_end(struct line_reader *r)
{
    if (r->late)
        line_reader_drain(r);
    if (r->also)
        log_tail_close(r->also);
    line_reader_flush(r);
    r->request_id[0] = '\0';
}

void line_reader_fini(struct line_reader *r)
{
    line_reader_end(r);
    close_fd(r);
    buf_fini(&r->partial);
}

struct str line_reader_tail(const struct line_reader *r, char out[LINE_READER_TAIL])
{
    size_t n = r->tail_total < LINE_READER_TAIL ? r->tail_total : LINE_READER_TAIL;
    size_t from = (r->tail_total - n) % LINE_READER_TAIL;
    for (size_t i = 0; i < n; i++)
        out[i] = r->tail[(from + i) % LINE_READER_TAIL];
    while (n && (out[n - 1] == '\n' || out[n - 1] == '\r'))
        n--;
    struct str tail = {out, n};
    if (r->tail_total <= LINE_READER_TAIL)
        return tail;
    struct str rest;
    bool found;
    str_cut(tail, '\n', &rest, &found);
    if (found)
        return rest;
    while (tail.n && ((unsigned char)tail.p[0] & 0xc0) == 0x80) /* the rest of a UTF-8 character */
        tail = str_skip(tail, 1);
    return tail;
}
