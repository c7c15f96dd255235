/* SPDX-License-Identifier: Apache-2.0 */
#include "channel.h"

#include "faasd/frame.h"
#include "faasd/function.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

void faasd_channel_print(const char *text)
{
    static const char prefix[] = "faasd function: ";
    struct iovec parts[] = {
        {(void *)prefix, sizeof(prefix) - 1},
        {(void *)text, strlen(text)},
        {(void *)"\n", 1},
    };
    ssize_t written = writev(STDERR_FILENO, parts, 3);
    (void)written; /* there is nobody else to tell */
}

void faasd_channel_wait(int fd, short events)
{
    struct pollfd p = {.fd = fd, .events = events};
    poll(&p, 1, -1); /* EINTR and errors show in the call that follows */
}

union fd_control {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(int))];
};

static void attach_fd(struct msghdr *m, union fd_control *control, int fd)
{
    memset(control, 0, sizeof(*control));
    m->msg_control = control->bytes;
    m->msg_controllen = sizeof(control->bytes);
    struct cmsghdr *c = CMSG_FIRSTHDR(m);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &fd, sizeof(fd));
}

int faasd_channel_send(int fd, struct iovec *parts, size_t count, int passed_fd)
{
    struct msghdr m = {.msg_iov = parts};
    union fd_control control;
    m.msg_iovlen = (__typeof__(m.msg_iovlen))count; /* size_t in glibc, int in musl */
    if (passed_fd >= 0)
        attach_fd(&m, &control, passed_fd);
    while (m.msg_iovlen > 0) {
        ssize_t sent = sendmsg(fd, &m, MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN && errno != EINTR)
            return -1;
        if (sent < 0 && errno == EAGAIN)
            faasd_channel_wait(fd, POLLOUT);
        size_t n = sent > 0 ? (size_t)sent : 0;
        if (n > 0) {
            m.msg_control = NULL;
            m.msg_controllen = 0;
        }
        while (m.msg_iovlen > 0 && n >= m.msg_iov->iov_len) {
            n -= m.msg_iov->iov_len;
            m.msg_iov++;
            m.msg_iovlen--;
        }
        if (n > 0) {
            m.msg_iov->iov_base = (char *)m.msg_iov->iov_base + n;
            m.msg_iov->iov_len -= n;
        }
    }
    return 0;
}

int faasd_channel_send_ready(int fd, const char *template)
{
    static const char runtime[] = "runtime\0libfaasd " FAASD_LIBRARY_VERSION;
    static const char name[] = "template";
    struct faasd_frame frame = {.type = FAASD_FRAME_READY};
    struct iovec parts[] = {
        {&frame, sizeof(frame)},
        {(void *)runtime, sizeof(runtime)},
        {(void *)name, sizeof(name)},
        {(void *)template, template ? strlen(template) + 1 : 0},
    };
    size_t count = template ? 4 : 2;
    for (size_t i = 1; i < count; i++)
        frame.length += (uint32_t)parts[i].iov_len;
    return faasd_channel_send(fd, parts, count, -1);
}

int faasd_channel_send_child_ready(int fd, int log_fd)
{
    struct faasd_frame frame = {.type = FAASD_FRAME_READY};
    struct iovec part = {&frame, sizeof(frame)};
    return faasd_channel_send(fd, &part, 1, log_fd);
}

int faasd_channel_send_error(int fd, uint64_t id, const char *type, const char *message, int log_fd)
{
    struct faasd_error_head head = {
        .type_length = (uint32_t)strlen(type),
        .message_length = (uint32_t)strlen(message),
    };
    struct faasd_frame frame = {
        .length = (uint32_t)sizeof(head) + head.type_length + head.message_length,
        .type = FAASD_FRAME_ERROR,
        .id = id,
    };
    struct iovec parts[] = {
        {&frame, sizeof(frame)},
        {&head, sizeof(head)},
        {(void *)type, head.type_length},
        {(void *)message, head.message_length},
    };
    return faasd_channel_send(fd, parts, 4, log_fd);
}
