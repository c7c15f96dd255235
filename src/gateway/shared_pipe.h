/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading a pipe that came from a stranger. Whoever sent a descriptor still holds the same open file description and can clear its O_NONBLOCK at any
 * time (fcntl(2), F_SETFL); a plain read(2) would then stop the whole loop. splice(2) with SPLICE_F_NONBLOCK asks the call, not the description.
 */
#ifndef FAASD_GATEWAY_SHARED_PIPE_H
#define FAASD_GATEWAY_SHARED_PIPE_H

#include <stddef.h>
#include <sys/types.h>

/* As read(2) from a non-blocking pipe: bytes (at most 64 KiB), 0 at its end, or -1 with errno. One thread only. */
ssize_t shared_pipe_read(int fd, void *out, size_t n);

#endif
