/* SPDX-License-Identifier: Apache-2.0 */
/* Lexical ownership of descriptors and memory, and whole reads and writes. EINTR is handled inside. */
#ifndef FAASD_BASE_FDIO_H
#define FAASD_BASE_FDIO_H

#include "base/err.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

static inline void fd_close(int *fd) /* closes when open and leaves -1; errno is kept */
{
    int saved = errno;
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
    errno = saved;
}

static inline void fdio_free(void *pointer_to_pointer)
{
    free(*(void **)pointer_to_pointer);
}

#define scoped_fd   __attribute__((cleanup(fd_close))) int
#define scoped_free __attribute__((cleanup(fdio_free)))

static inline int fd_take(int *fd) /* hands a scoped descriptor over to the caller */
{
    int taken = *fd;
    *fd = -1;
    return taken;
}

/* Bytes read before end of file (at most n), or -errno. */
ssize_t fd_read_full(int fd, void *out, size_t n);
/* What fits of a file that the kernel makes up, from its beginning, wherever fd stands; bytes or -errno. Such a file comes in one read, whole lines as long as there is
 * room (fs/seq_file.c); what does not end with a line's end is read on. */
ssize_t fd_pread_lines(int fd, char *out, size_t n);
/* 0 when all was written, or -errno. */
int fd_write_full(int fd, const void *bytes, size_t n);
int fd_pwrite_full(int fd, const void *bytes, size_t n, off_t at);

/* A whole small file, NUL-terminated; -EFBIG when it is longer than cap - 1. Returns its length. */
ssize_t fd_read_file_at(int dirfd, const char *path, char *out, size_t cap, struct err *e);
/* One write(2) of the whole text to an existing file (a cgroup or proc attribute). */
int fd_write_file_at(int dirfd, const char *path, const char *text, struct err *e);

int fd_set_nonblock(int fd);
int fd_truncate(int fd, off_t n);                                                                     /* 0 or -errno */
int fd_lock(int fd); /* flock(2) for itself alone, at once: -EWOULDBLOCK when somebody else has it */ /* 0 or -errno */

#endif
