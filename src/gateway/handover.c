/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/handover.h"

#include "base/fdio.h"
#include "base/watch.h"

#include <string.h>
#include <sys/socket.h>

/* -1: none came. *ret_n as recvmsg(2) returned it. */
static int receive_descriptor(int from_fd, ssize_t *ret_n)
{
    char byte;
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec iov = {.iov_base = &byte, .iov_len = 1};
    struct msghdr m = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.space, .msg_controllen = sizeof(control.space)};
    int fd = -1;
    *ret_n = recvmsg(from_fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (*ret_n < 0)
        return -1;
    struct cmsghdr *h = CMSG_FIRSTHDR(&m);
    if (h && h->cmsg_level == SOL_SOCKET && h->cmsg_type == SCM_RIGHTS)
        memcpy(&fd, CMSG_DATA(h), sizeof(fd));
    return fd;
}

static void on_readable(struct ev_loop *loop, ev_io *w, int events)
{
    watch_again(loop, w, events);
    struct handover *h = w->data;
    ssize_t n;
    int fd = receive_descriptor(h->fd, &n);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    handover_fini(h);
    if (n > 0)
        h->on_arrived(h->owner, fd);
}

void handover_init(struct handover *h, struct gateway *g, void (*on_arrived)(void *owner, int fd), void *owner)
{
    *h = (struct handover){.gateway = g, .on_arrived = on_arrived, .owner = owner, .fd = -1};
    ev_init(&h->reader, on_readable);
    h->reader.data = h;
}

void handover_attach(struct handover *h, int fd)
{
    h->fd = fd;
    ev_io_set(&h->reader, fd, EV_READ);
    ev_io_start(h->gateway->loop, &h->reader);
}

void handover_fini(struct handover *h)
{
    if (h->fd >= 0)
        ev_io_stop(h->gateway->loop, &h->reader);
    fd_close(&h->fd);
}
