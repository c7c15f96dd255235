/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/shared_pipe.h"

#include "base/fdio.h"

#include <fcntl.h>

enum { OWN_BYTES = 65536 };

/* Between two calls it is empty: what goes in comes out in the same call. */
static int own[2] = {-1, -1};

ssize_t shared_pipe_read(int fd, void *out, size_t n)
{
    if (own[0] < 0 && pipe2(own, O_CLOEXEC | O_NONBLOCK) < 0)
        return -1;
    ssize_t moved = splice(fd, NULL, own[1], NULL, n < OWN_BYTES ? n : OWN_BYTES, SPLICE_F_NONBLOCK);
    if (moved <= 0)
        return moved;
    ssize_t got = fd_read_full(own[0], out, (size_t)moved);
    if (got == moved)
        return got;
    /* Never seen; a pipe that holds somebody's rest must not be used for another. */
    fd_close(&own[0]);
    fd_close(&own[1]);
    errno = got < 0 ? (int)-got : EIO;
    return -1;
}
