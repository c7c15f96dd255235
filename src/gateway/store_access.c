/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/store_access.h"

#include "base/fdio.h"
#include "base/fmt.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    BATCH_BYTES = 16 * 1024,
    STDERR_WAIT_MS = 1000,
};

void store_access_init(struct store_access *a, int dirfd)
{
    *a = (struct store_access){.dirfd = dirfd, .fd = -1};
    buf_init(&a->batch, 0);
}

void store_access_fini(struct store_access *a)
{
    store_access_flush(a);
    fd_close(&a->fd);
    buf_fini(&a->batch);
}

static void drop(struct store_access *a, int error)
{
    if (!a->troubled)
        log_warn("the access log '%s' cannot be written, lines are dropped until it works again: %s", a->name,
                 strerrorname_np(error));
    a->troubled = true;
    fd_close(&a->fd);
}

static int open_file(struct store_access *a)
{
    struct stat st;
    scoped_fd fd = openat(a->dirfd, a->name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 || fstat(fd, &st) < 0)
        return -errno;
    a->size = (uint64_t)st.st_size;
    a->fd = fd_take(&fd);
    return 0;
}

static void rotate(struct store_access *a)
{
    char old[CONFIG_ACCESS_LOG_MAX + 4];
    fmt_to(old, sizeof(old), "%s.1", a->name);
    if (renameat(a->dirfd, a->name, a->dirfd, old) < 0)
        unlinkat(a->dirfd, a->name, 0); /* the limit holds in any case */
    fd_close(&a->fd);
}

static int write_file(struct store_access *a)
{
    if (a->fd >= 0 && a->size && a->size + a->batch.len > a->size_max / 2)
        rotate(a);
    int r = a->fd >= 0 ? 0 : open_file(a);
    if (r == 0)
        r = fd_write_full(a->fd, a->batch.data, a->batch.len);
    a->size += a->batch.len;
    return r;
}

/* As many lines as a pipe takes whole or not at all (pipe(7)). */
static size_t whole_lines(const char *text, size_t n)
{
    const char *end = n > PIPE_BUF ? memrchr(text, '\n', PIPE_BUF) : NULL;
    return end ? (size_t)(end - text) + 1 : n;
}

/* It does not block (supervisor/hygiene.c). A reader that is behind is given a moment, once: this is the store's thread, and others wait for it. */
static int write_stderr(const struct store_access *a)
{
    const char *text = a->batch.data;
    size_t left = a->batch.len;
    while (left > 0) {
        ssize_t n = write(STDERR_FILENO, text, whole_lines(text, left));
        if (n >= 0) {
            text += n;
            left -= (size_t)n;
            continue;
        }
        struct pollfd room = {.fd = STDERR_FILENO, .events = POLLOUT};
        if (errno != EINTR && (errno != EAGAIN || a->troubled || poll(&room, 1, STDERR_WAIT_MS) <= 0))
            return -errno;
    }
    return 0;
}

void store_access_flush(struct store_access *a)
{
    if (a->batch.len == 0)
        return;
    int r = str_is(str_from(a->name), "stderr") ? write_stderr(a) : write_file(a);
    if (r < 0)
        drop(a, -r);
    else
        a->troubled = false;
    buf_fini(&a->batch);
}

void store_access_append(struct store_access *a, struct str name, struct str line)
{
    if (!str_is(name, a->name)) {
        store_access_flush(a);
        fd_close(&a->fd);
        if (!str_copy(name, a->name, sizeof(a->name)))
            return;
    }
    size_t before = a->batch.len;
    if (buf_add_str(&a->batch, line) < 0 || buf_add(&a->batch, "\n", 1) < 0)
        a->batch.len = before;
    if (a->batch.len >= BATCH_BYTES)
        store_access_flush(a);
}
