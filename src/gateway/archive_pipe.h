/* SPDX-License-Identifier: Apache-2.0 */
/* An archive on its way from the loop into an unpacker's stdin. What the unpacker does not take at once waits with whoever brings it; once it has had enough, the rest goes nowhere. */
#ifndef FAASD_GATEWAY_ARCHIVE_PIPE_H
#define FAASD_GATEWAY_ARCHIVE_PIPE_H

#include "base/str.h"

#include <ev.h>
#include <stdbool.h>

struct archive_pipe {
    struct ev_loop *loop; /* borrowed */
    int fd;               /* owned: our end; -1: closed */
    ev_io watcher;
    void (*on_room)(void *owner); /* after a short archive_pipe_write() */
    void *owner;
};

/* Closed. */
void archive_pipe_init(struct archive_pipe *p);
/* *ret_stdin is the unpacker's end, the caller's from now on. 0 or -errno of pipe2(2). */
int archive_pipe_open(struct archive_pipe *p, struct ev_loop *loop, int *ret_stdin);
/* The unpacker's end of file. Of a closed one, too. */
void archive_pipe_close(struct archive_pipe *p);
bool archive_pipe_is_open(const struct archive_pipe *p);
/* How much was taken: all of it where the pipe is closed, or its reader has gone, which closes it. */
size_t archive_pipe_write(struct archive_pipe *p, struct str piece);

#endif
