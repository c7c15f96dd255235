/* SPDX-License-Identifier: Apache-2.0 */
#include "files.h"

#include "sandbox/init_protocol.h"
#include "syscall.h"

enum { PIECE = 1 << 20, MODE_TYPE = 0170000, MODE_REGULAR = 0100000 };

/* From the beginning to the end of `from`, whose own position stays: the event is the program's stdin too. */
static long copy(int to, int from)
{
    long at = 0, n;
    do
        n = sys_send_file(to, from, &at, PIECE);
    while (n > 0 || n == -EINTR);
    return n;
}

long files_offer(int event_fd)
{
    long fd = sys_create_at(AT_FDCWD, INIT_FILE_REQ, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
    if (fd < 0)
        return fd;
    long r = event_fd < 0 ? 0 : copy((int)fd, event_fd);
    sys_close((int)fd);
    return r;
}

/* A link would make init read, with what it alone may see, where the program points; a FIFO would hold it for ever. */
static long open_regular(const char *path)
{
    struct stat st = {0};
    long fd = sys_open_at(AT_FDCWD, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return fd == -ELOOP || fd == -ENXIO ? -EINVAL : fd; /* ENXIO: a socket */
    long r = sys_stat_fd((int)fd, &st);
    if (r == 0 && (st.st_mode & MODE_TYPE) != MODE_REGULAR)
        r = -EINVAL;
    if (r == 0)
        return fd;
    sys_close((int)fd);
    return r;
}

long files_collect(int out_fd)
{
    long fd = open_regular(INIT_FILE_RES);
    if (fd == -EACCES && sys_chmod_at(AT_FDCWD, INIT_FILE_RES, 0600) == 0)
        fd = open_regular(INIT_FILE_RES);
    if (fd == -ENOENT)
        return 0;
    if (fd < 0)
        return fd;
    long r = copy(out_fd, (int)fd);
    sys_close((int)fd);
    /* The other side has seen enough of it: it will say so itself. */
    return r == -EPIPE ? 0 : r;
}

void files_remove(void)
{
    sys_unlink_at(AT_FDCWD, INIT_FILE_REQ, 0);
    sys_unlink_at(AT_FDCWD, INIT_FILE_RES, 0);
}
