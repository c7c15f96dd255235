/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets: records with descriptors (SOCK_SEQPACKET, unix(7), cmsg(3)), listeners, peer credentials. Everything is CLOEXEC and non-blocking at birth. */
#ifndef FAASD_OS_SOCK_H
#define FAASD_OS_SOCK_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

enum {
    SOCK_FDS_MAX = 8,    /* descriptors in one record */
    SOCK_NAME_MAX = 64,  /* "[2001:db8::1]:65535" with room */
    SOCK_BACKLOG = 4096, /* the kernel cuts it to net.core.somaxconn */
};

/* Both ends CLOEXEC and non-blocking. */
int sock_pair(int type, int ret_fds[2], struct err *e);

/* One record. 0 when the kernel took all of it, -EAGAIN when it has no room now, another -errno when the peer is gone. Never raises SIGPIPE.
 * The caller keeps `fds`. fd_count <= SOCK_FDS_MAX. */
int sock_send(int fd, const void *bytes, size_t n, const int *fds, unsigned fd_count);

/* To a stream socket, as sendmsg(2) without SIGPIPE and without waiting. Few bytes are put together first: the kernel's look at each part costs more than the copy. */
ssize_t sock_send_parts(int fd, const struct iovec *parts, unsigned count);

/* Nobody can send descriptors to this Unix socket, or to one that is accepted from it (SO_PASSRIGHTS, Linux 6.16): EPERM. Nothing on earlier kernels. For who wants none: the last
 * reference to one that it drops unread is closed in its own time, be that long (SO_LINGER, memory to be freed). */
void sock_take_no_fds(int fd);

struct sock_record {
    size_t size; /* 0: the peer closed its end */
    unsigned fd_count;
    int fds[SOCK_FDS_MAX]; /* the receiver's, CLOEXEC */
};
/* One record into out[0..cap). 0, -EAGAIN, or -errno. A record longer than cap or with more descriptors than fit is -EMSGSIZE and none of its
 * descriptors stays open. */
int sock_receive(int fd, void *out, size_t cap, struct sock_record *ret_record);
void sock_record_close(struct sock_record *r); /* closes what descriptors it still holds */

struct sock_address {
    struct sockaddr_storage raw;
    socklen_t length;
};
/* "127.0.0.1:8080", "[::1]:0": literal addresses only. */
int sock_parse_tcp(const char *text, struct sock_address *ret_address, struct err *e);
bool sock_address_is_loopback(const struct sock_address *a); /* 127.0.0.0/8, ::1 */
unsigned sock_address_port(const struct sock_address *a);
/* The address that a TCP socket is bound to, as text. */
int sock_print_bound(int fd, char out[SOCK_NAME_MAX]);

/* A listening socket, or -errno. IPv6 ones take IPv6 only. */
int sock_listen_tcp(const struct sock_address *a, struct err *e);

struct sock_unix {
    const char *path;
    mode_t mode;
    uid_t uid;
    gid_t gid;
};
/* A listener on 127.0.0.1 of the caller's network namespace, whose connections send at once what is written (TCP_NODELAY), or -errno. Async-signal-safe. */
int sock_listen_loopback(unsigned port, int backlog, struct err *e);

/* Makes the socket with that mode from its first instant; nothing may stand at `path`. Single-threaded callers only (umask). */
int sock_listen_unix(const struct sock_unix *u, struct err *e);
int sock_listen_again(int fd); /* after somebody who shares the socket shut it down: 0 when it listens (again) */

/* A connected stream socket, or -errno. Blocking, unlike the rest: for clients. */
int sock_connect_unix(const char *path, struct err *e);

/* Who connected (SO_PEERCRED: as of connect(2)). */
struct sock_peer {
    pid_t pid;
    uid_t uid;
    gid_t gid;
};
int sock_peer(int fd, struct sock_peer *ret_peer, struct err *e);

/* A datagram to a Unix address; a leading '@' means the abstract namespace (sd_notify(3)). */
int sock_send_datagram(const char *path, const void *bytes, size_t n, struct err *e);

#endif
