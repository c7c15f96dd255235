/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/archive_pipe.h"

#include "base/fdio.h"
#include "base/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static void on_writable(struct ev_loop *loop, ev_io *w, int events)
{
    watch_again(loop, w, events);
    struct archive_pipe *p = w->data;
    ev_io_stop(loop, &p->watcher);
    p->on_room(p->owner);
}

void archive_pipe_init(struct archive_pipe *p)
{
    p->fd = -1;
}

bool archive_pipe_is_open(const struct archive_pipe *p)
{
    return p->fd >= 0;
}

/* Only our end is non-blocking: the unpacker simply reads. */
int archive_pipe_open(struct archive_pipe *p, struct ev_loop *loop, int *ret_stdin)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    int r = fd_set_nonblock(ends[1]);
    if (r < 0) {
        close(ends[0]);
        close(ends[1]);
        return r;
    }
    *ret_stdin = ends[0];
    p->loop = loop;
    p->fd = ends[1];
    ev_io_init(&p->watcher, on_writable, p->fd, EV_WRITE);
    p->watcher.data = p;
    return 0;
}

void archive_pipe_close(struct archive_pipe *p)
{
    if (p->fd < 0)
        return;
    ev_io_stop(p->loop, &p->watcher);
    fd_close(&p->fd);
}

size_t archive_pipe_write(struct archive_pipe *p, struct str piece)
{
    ssize_t n;
    if (p->fd < 0)
        return piece.n; /* the unpacker has had enough: it has refused the archive, or will say why */
    do
        n = write(p->fd, piece.p, piece.n);
    while (n < 0 && errno == EINTR);
    if (n < 0 && errno != EAGAIN) {
        archive_pipe_close(p);
        return piece.n;
    }
    size_t taken = n < 0 ? 0 : (size_t)n;
    if (taken < piece.n)
        ev_io_start(p->loop, &p->watcher);
    return taken;
}
