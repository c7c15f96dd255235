/* SPDX-License-Identifier: Apache-2.0 */
#include "os/sock.h"

#include "base/fdio.h"
#include "base/fmt.h"
#include "base/str.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>

int sock_pair(int type, int ret_fds[2], struct err *e)
{
    if (socketpair(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ret_fds) < 0)
        return err_set(e, errno, "make a socket pair");
    return 0;
}

union control {
    char bytes[CMSG_SPACE(sizeof(int) * SOCK_FDS_MAX)];
    struct cmsghdr align;
};

int sock_send(int fd, const void *bytes, size_t n, const int *fds, unsigned fd_count)
{
    union control control = {0};
    struct iovec part = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = n};
    struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1};
    if (fd_count > SOCK_FDS_MAX)
        return -EINVAL;
    if (fd_count > 0) {
        m.msg_control = control.bytes;
        m.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
        memcpy(CMSG_DATA(c), fds, sizeof(int) * fd_count);
    }
    ssize_t sent;
    do
        sent = sendmsg(fd, &m, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (sent < 0)
        return -errno;
    return (size_t)sent == n ? 0 : -EMSGSIZE;
}

void sock_take_no_fds(int fd)
{
    enum { OPTION_PASSRIGHTS = 83 }; /* asm-generic/socket.h; headers before 6.16 lack it */
    const int off = 0;
    setsockopt(fd, SOL_SOCKET, OPTION_PASSRIGHTS, &off, sizeof(off));
}

void sock_record_close(struct sock_record *r)
{
    for (unsigned i = 0; i < r->fd_count; i++)
        fd_close(&r->fds[i]);
    r->fd_count = 0;
}

static void collect_fds(struct msghdr *m, struct sock_record *r)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
            if (r->fd_count < SOCK_FDS_MAX)
                r->fds[r->fd_count++] = fd;
            else
                close(fd);
        }
    }
}

enum { JOINED_MAX = 4096 };

ssize_t sock_send_parts(int fd, const struct iovec *parts, unsigned count)
{
    __attribute__((uninitialized)) char joined[JOINED_MAX]; /* zeroing it would cost what is saved */
    size_t n = 0;
    for (unsigned i = 0; i < count; i++) {
        if (parts[i].iov_len > sizeof(joined) - n) {
            struct msghdr m = {.msg_iov = (struct iovec *)parts, .msg_iovlen = count};
            return sendmsg(fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
        }
        if (parts[i].iov_len)
            memcpy(joined + n, parts[i].iov_base, parts[i].iov_len);
        n += parts[i].iov_len;
    }
    return send(fd, joined, n, MSG_DONTWAIT | MSG_NOSIGNAL);
}

int sock_receive(int fd, void *out, size_t cap, struct sock_record *ret_record)
{
    union control control = {0};
    struct iovec part = {.iov_base = out, .iov_len = cap};
    struct msghdr m = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof(control.bytes)};
    ssize_t n;
    do
        n = recvmsg(fd, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    struct sock_record record = {.size = (size_t)n};
    collect_fds(&m, &record);
    if (m.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
        sock_record_close(&record);
        return -EMSGSIZE;
    }
    *ret_record = record;
    return 0;
}

static int parse_port(struct str text, in_port_t *ret_port)
{
    uint64_t port;
    if (text.n > 5 || !str_to_u64(text, &port) || port > 65535)
        return -EINVAL;
    *ret_port = htons((uint16_t)port);
    return 0;
}

int sock_parse_tcp(const char *text, struct sock_address *ret_address, struct err *e)
{
    struct sock_address a = {0};
    char host[INET6_ADDRSTRLEN];
    struct str whole = str_from(text);
    const char *colon = strrchr(text, ':');
    if (!colon)
        return err_say(e, EINVAL, "'%s' is no address: write 127.0.0.1:8080 or [::1]:8080", text);
    struct str before = {.p = text, .n = (size_t)(colon - text)};
    struct str port = str_skip(whole, before.n + 1);
    bool is_v6 = before.n > 2 && before.p[0] == '[' && before.p[before.n - 1] == ']';
    if (is_v6)
        before = (struct str){.p = before.p + 1, .n = before.n - 2};
    bool ok = str_copy(before, host, sizeof(host));
    if (is_v6) {
        struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
        ok = ok && parse_port(port, &in6.sin6_port) == 0 && inet_pton(AF_INET6, host, &in6.sin6_addr) == 1;
        memcpy(&a.raw, &in6, sizeof(in6));
        a.length = sizeof(in6);
    } else {
        struct sockaddr_in in = {.sin_family = AF_INET};
        ok = ok && parse_port(port, &in.sin_port) == 0 && inet_pton(AF_INET, host, &in.sin_addr) == 1;
        memcpy(&a.raw, &in, sizeof(in));
        a.length = sizeof(in);
    }
    if (!ok)
        return err_say(e, EINVAL, "'%s' is no address: write 127.0.0.1:8080 or [::1]:8080", text);
    *ret_address = a;
    return 0;
}

bool sock_address_is_loopback(const struct sock_address *a)
{
    if (a->raw.ss_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, &a->raw, sizeof(in));
        return (ntohl(in.sin_addr.s_addr) >> 24) == 127;
    }
    struct sockaddr_in6 in6;
    memcpy(&in6, &a->raw, sizeof(in6));
    return a->raw.ss_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&in6.sin6_addr);
}

unsigned sock_address_port(const struct sock_address *a)
{
    /* the port stands at the same place in both families */
    struct sockaddr_in in;
    memcpy(&in, &a->raw, sizeof(in));
    return ntohs(in.sin_port);
}

int sock_print_bound(int fd, char out[SOCK_NAME_MAX])
{
    struct sock_address a = {.length = sizeof(a.raw)};
    if (getsockname(fd, (struct sockaddr *)&a.raw, &a.length) < 0)
        return -errno;
    char host[INET6_ADDRSTRLEN] = "?";
    if (a.raw.ss_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, &a.raw, sizeof(in));
        inet_ntop(AF_INET, &in.sin_addr, host, sizeof(host));
        fmt_to(out, SOCK_NAME_MAX, "%s:%u", host, sock_address_port(&a));
    } else {
        struct sockaddr_in6 in6;
        memcpy(&in6, &a.raw, sizeof(in6));
        inet_ntop(AF_INET6, &in6.sin6_addr, host, sizeof(host));
        fmt_to(out, SOCK_NAME_MAX, "[%s]:%u", host, sock_address_port(&a));
    }
    return 0;
}

int sock_listen_tcp(const struct sock_address *a, struct err *e)
{
    scoped_fd fd = socket(a->raw.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_set(e, errno, "make a TCP socket");
    int on = 1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
        return err_set(e, errno, "set SO_REUSEADDR");
    if (a->raw.ss_family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) < 0)
        return err_set(e, errno, "set IPV6_V6ONLY");
    if (bind(fd, (const struct sockaddr *)&a->raw, a->length) < 0)
        return err_set(e, errno, "bind");
    if (listen(fd, SOCK_BACKLOG) < 0)
        return err_set(e, errno, "listen");
    return fd_take(&fd);
}

int sock_listen_loopback(unsigned port, int backlog, struct err *e)
{
    const struct sockaddr_in in = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    const int on = 1;
    scoped_fd fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_set(e, errno, "make a TCP socket");
    if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0) /* accepted sockets take it over */
        return err_set(e, errno, "set TCP_NODELAY");
    if (bind(fd, (const struct sockaddr *)&in, sizeof(in)) < 0 || listen(fd, backlog) < 0)
        return err_set(e, errno, "listen on 127.0.0.1:%u", port);
    return fd_take(&fd);
}

static int fill_unix(const char *path, struct sockaddr_un *ret_address, struct err *e)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    size_t n = strlen(path);
    if (n == 0 || n >= sizeof(un.sun_path))
        return err_say(e, ENAMETOOLONG, "a Unix socket's path has 1 to %zu bytes, this one %zu: '%s'",
                       sizeof(un.sun_path) - 1, n, path);
    memcpy(un.sun_path, path, n + 1);
    *ret_address = un;
    return 0;
}

int sock_listen_unix(const struct sock_unix *u, struct err *e)
{
    struct sockaddr_un un;
    int r = fill_unix(u->path, &un, e);
    if (r < 0)
        return r;
    scoped_fd fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_set(e, errno, "make a Unix socket");
    /* bind(2) gives the file the mode of the socket's own inode, cut by the umask (unix_bind_bsd in the kernel): set before it, there is
     * no instant in which the file has another one, and no chmod that would follow a link put in its place. */
    if (fchmod(fd, u->mode) < 0)
        return err_set(e, errno, "set the mode of '%s'", u->path);
    mode_t before = umask(0);
    r = bind(fd, (const struct sockaddr *)&un, sizeof(un)) < 0 ? -errno : 0;
    umask(before);
    if (r < 0)
        return err_set(e, -r, "bind '%s'", u->path);
    if (fchownat(AT_FDCWD, u->path, u->uid, u->gid, AT_SYMLINK_NOFOLLOW) < 0)
        r = err_set(e, errno, "chown '%s'", u->path);
    else if (listen(fd, SOCK_BACKLOG) < 0)
        r = err_set(e, errno, "listen on '%s'", u->path);
    if (r < 0) {
        unlink(u->path);
        return r;
    }
    return fd_take(&fd);
}

int sock_listen_again(int fd)
{
    int listens = 0;
    socklen_t n = sizeof(listens);
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &n) < 0)
        return -errno;
    if (listens)
        return 0;
    return listen(fd, SOCK_BACKLOG) < 0 ? -errno : 0;
}

int sock_connect_unix(const char *path, struct err *e)
{
    struct sockaddr_un un;
    int r = fill_unix(path, &un, e);
    if (r < 0)
        return r;
    scoped_fd fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return err_set(e, errno, "make a Unix socket");
    do
        r = connect(fd, (const struct sockaddr *)&un, sizeof(un));
    while (r < 0 && errno == EINTR);
    if (r < 0)
        return err_set(e, errno, "connect to '%s'", path);
    return fd_take(&fd);
}

int sock_peer(int fd, struct sock_peer *ret_peer, struct err *e)
{
    struct ucred c;
    socklen_t n = sizeof(c);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &c, &n) < 0)
        return err_set(e, errno, "ask for the peer's credentials");
    *ret_peer = (struct sock_peer){.pid = c.pid, .uid = c.uid, .gid = c.gid};
    return 0;
}

int sock_send_datagram(const char *path, const void *bytes, size_t n, struct err *e)
{
    struct sockaddr_un un;
    int r = fill_unix(path, &un, e);
    if (r < 0)
        return r;
    socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
    if (path[0] == '@')
        un.sun_path[0] = '\0';
    else
        length++;
    scoped_fd fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_set(e, errno, "make a datagram socket");
    if (sendto(fd, bytes, n, MSG_NOSIGNAL, (const struct sockaddr *)&un, length) < 0)
        return err_set(e, errno, "send to '%s'", path);
    return 0;
}
