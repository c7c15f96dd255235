/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/native_first.h"

#include "base/fdio.h"
#include "os/sock.h"

#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static void pass_credentials(int fd, int on)
{
    setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on));
}

void native_first_expect(int fd)
{
    pass_credentials(fd, 1);
}

/* Keeps a child's first descriptor and closes the others; how many there were. */
static unsigned take_fds(const struct cmsghdr *h, bool forked, struct native_first *f)
{
    unsigned count = 0;
    for (; CMSG_LEN((count + 1) * sizeof(int)) <= h->cmsg_len; count++) {
        int fd;
        memcpy(&fd, CMSG_DATA(h) + count * sizeof(int), sizeof(fd));
        if (forked && f->log_fd < 0)
            f->log_fd = fd;
        else
            close(fd);
    }
    return count;
}

/* Was it said by whom, with a pipe or with nothing? */
static bool take_control(struct msghdr *m, bool forked, struct native_first *f)
{
    unsigned count = 0;
    /* A Unix socket's are all of the level SOL_SOCKET (unix(7)), one of each type at most. */
    for (struct cmsghdr *h = CMSG_FIRSTHDR(m); h; h = CMSG_NXTHDR(m, h)) {
        if (h->cmsg_type == SCM_CREDENTIALS) {
            struct ucred from;
            memcpy(&from, CMSG_DATA(h), sizeof(from));
            f->pid = from.pid;
        } else if (h->cmsg_type == SCM_RIGHTS) {
            count += take_fds(h, forked, f);
        }
    }
    struct stat st;
    if (f->log_fd >= 0 && (fstat(f->log_fd, &st) < 0 || !S_ISFIFO(st.st_mode)))
        fd_close(&f->log_fd);
    return !(m->msg_flags & MSG_CTRUNC) && f->pid > 0 && count <= 1 && (count == 1) == (f->log_fd >= 0);
}

ssize_t native_first_receive(int fd, bool forked, void *room, size_t size, struct native_first *ret)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(2 * sizeof(int))];
    } control;
    struct iovec part = {.iov_base = room, .iov_len = size};
    struct msghdr m = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof(control)};
    ssize_t n = recvmsg(fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n > 0) {
        *ret = (struct native_first){.log_fd = -1};
        bool good = take_control(&m, forked, ret);
        ret->good = good || !forked;
        pass_credentials(fd, 0);
        sock_take_no_fds(fd); /* its log's pipe was the only one */
    }
    return n;
}
