/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fdio.h"

#include <fcntl.h>
#include <string.h>
#include <sys/file.h>

ssize_t fd_read_full(int fd, void *out, size_t n)
{
    size_t done = 0;
    while (done < n) {
        ssize_t r = read(fd, (char *)out + done, n - done);
        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            return -errno;
        if (r == 0)
            break;
        done += (size_t)r;
    }
    return (ssize_t)done;
}

ssize_t fd_pread_lines(int fd, char *out, size_t n)
{
    size_t done = 0;
    ssize_t r;
    do {
        r = pread(fd, out + done, n - done, (off_t)done);
        done += r > 0 ? (size_t)r : 0;
    } while (r < 0 ? errno == EINTR : r > 0 && (done > (size_t)r || out[done - 1] != '\n'));
    return r < 0 ? -errno : (ssize_t)done;
}

enum { IN_SEQUENCE = -1 };

static int write_full(int fd, const char *bytes, size_t n, off_t at)
{
    size_t done = 0;
    while (done < n) {
        ssize_t r = at == IN_SEQUENCE ? write(fd, bytes + done, n - done)
                                      : pwrite(fd, bytes + done, n - done, at + (off_t)done);
        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            return -errno;
        done += (size_t)r;
    }
    return 0;
}

int fd_write_full(int fd, const void *bytes, size_t n)
{
    return write_full(fd, bytes, n, IN_SEQUENCE);
}

int fd_pwrite_full(int fd, const void *bytes, size_t n, off_t at)
{
    return write_full(fd, bytes, n, at);
}

ssize_t fd_read_file_at(int dirfd, const char *path, char *out, size_t cap, struct err *e)
{
    out[0] = '\0';
    scoped_fd fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_set(e, errno, "open '%s'", path);
    ssize_t n = fd_read_full(fd, out, cap);
    if (n < 0)
        return err_set(e, (int)-n, "read '%s'", path);
    if ((size_t)n == cap) {
        out[0] = '\0';
        return err_set(e, EFBIG, "read '%s'", path);
    }
    out[n] = '\0';
    return n;
}

int fd_write_file_at(int dirfd, const char *path, const char *text, struct err *e)
{
    scoped_fd fd = openat(dirfd, path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return err_set(e, errno, "open '%s'", path);
    ssize_t r;
    do
        r = write(fd, text, strlen(text));
    while (r < 0 && errno == EINTR);
    if (r < 0)
        return err_set(e, errno, "write '%s' to '%s'", text, path);
    return 0;
}

int fd_set_nonblock(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
        return -errno;
    return 0;
}

int fd_truncate(int fd, off_t n)
{
    int r;
    do
        r = ftruncate(fd, n);
    while (r < 0 && errno == EINTR);
    return r < 0 ? -errno : 0;
}

int fd_lock(int fd)
{
    int r;
    do
        r = flock(fd, LOCK_EX | LOCK_NB);
    while (r < 0 && errno == EINTR);
    return r < 0 ? -errno : 0;
}
