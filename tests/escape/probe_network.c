/* SPDX-License-Identifier: Apache-2.0 */
#include "probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static struct finding connect_to(const char *what, const struct sockaddr *address, socklen_t length)
{
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return judge("socket", fd);
    struct finding f = judge(what, connect(fd, address, length));
    close(fd);
    return f;
}

static struct sockaddr_in loopback(const char *port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons((unsigned short)atoi(port)),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static struct finding N1(const char *argument) {
    struct sockaddr_in v4 = loopback(argument);
    struct finding f = connect_to("connect to the host's loopback", (struct sockaddr *)&v4, sizeof(v4));
    if (f.open)
        return f;
    v4.sin_addr.s_addr = INADDR_ANY;
    return connect_to("connect to 0.0.0.0", (struct sockaddr *)&v4, sizeof(v4));
}

static struct finding
unix_to(const char *name, size_t n)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    memcpy(a.sun_path, name, n);
    return connect_to("connect", (struct sockaddr *)&a, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n));
}

static struct finding N2(const char *argument) {
    char name[100] = "";
    snprintf(name + 1, sizeof(name) - 1, "%s", argument);
    return unix_to(name, strlen(argument) + 1);
}

static struct finding
N3(const char *argument) {
    return unix_to(argument, strlen(argument) + 1);
}

static struct finding
N4(const char *argument) {
    /* VSOCK is the way to a virtual machine's host: made, never connected. */
    static const struct {
        const char *name;
        int family, type, protocol;
    } WAYS[] = {
        {"AF_VSOCK", 40, SOCK_STREAM, 0},
        {"AF_ALG", 38, SOCK_SEQPACKET, 0},
        {"AF_PACKET", AF_PACKET, SOCK_RAW, 0},
        {"AF_NETLINK", AF_NETLINK, SOCK_RAW, 0},
        {"raw ICMP", AF_INET, SOCK_RAW, IPPROTO_ICMP},
        {"AF_BLUETOOTH", 31, SOCK_RAW, 1},
        {"AF_CAN", 29, SOCK_RAW, 1},
        {"AF_XDP", 44, SOCK_RAW, 0},
    };
    (void)argument;
    for (size_t i = 0; i < sizeof(WAYS) / sizeof(WAYS[0]); i++) {
        int fd = socket(WAYS[i].family, WAYS[i].type, WAYS[i].protocol);
        if (fd >= 0) {
            close(fd);
            return found_open("%s", WAYS[i].name);
        }
    }
    return found_denied("eight families: %s", strerrorname_np(errno));
}

static struct finding
N6(const char *argument) {
    struct sockaddr_in a = loopback("45678");
    if (strcmp(argument, "connect") == 0)
        return connect_to("connect to another function's port", (struct sockaddr *)&a, sizeof(a));
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 1) < 0)
        return found_denied("listen: %s", strerrorname_np(errno));
    nanosleep(&(struct timespec){.tv_sec = 3}, NULL);
    return found_denied("listened for three seconds");
}

static struct finding
N9(const char *argument) {
    (void)argument;
    /* Interfaces other than lo, by name index: SIOCGIFNAME through a plain socket would need an ioctl; if_nametoindex needs netlink or the same ioctl. A bind to a
     * device's address does not: only loopback addresses may be bound in an empty namespace. */
    struct sockaddr_in any = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(0xc0000201) /* 192.0.2.1, TEST-NET-1 */, .sin_port = htons(9)};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    /* connect(2) of a datagram socket sends nothing: it only asks whether there is a route. */
    struct finding f = judge("a route out", fd < 0 ? fd : connect(fd, (struct sockaddr *)&any, sizeof(any)));
    close(fd);
    return f;
}

static struct finding
N10(const char *argument) {
    struct sockaddr_in6 mapped = {.sin6_family = AF_INET6, .sin6_port = htons((unsigned short)atoi(argument))};
    inet_pton(AF_INET6, "::ffff:127.0.0.1", &mapped.sin6_addr);
    struct finding f = connect_to("connect to a mapped loopback", (struct sockaddr *)&mapped, sizeof(mapped));
    if (f.open)
        return f;
    mapped.sin6_addr = in6addr_loopback;
    return connect_to("connect to ::1", (struct sockaddr *)&mapped, sizeof(mapped));
}

/* The host has somebody who sends back what arrives. */
static struct finding
N11(const char *argument) {
    struct sockaddr_in a = loopback(argument);
    struct timeval wait = {.tv_usec = 500000};
    char echo[8];
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
    bool sent = connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0 && send(fd, "n11", 3, 0) == 3;
    struct finding f = sent ? judge("an answer to a datagram", recv(fd, echo, sizeof(echo), 0)) : judge("send", -1);
    close(fd);
    return f;
}

static struct finding
N12(const char *argument) {
    char path[108];
    snprintf(path, sizeof(path), "%s", argument);
    for (char *part = strtok(path, ","); part; part = strtok(NULL, ",")) {
        struct finding f = unix_to(part, strlen(part) + 1);
        if (f.open)
            return found_open("connected to %.100s", part);
    }
    return found_denied("connect: %s", strerrorname_np(errno));
}

static struct finding
N13(const char *argument) {
    static const struct {
        const char *name;
        int type, protocol;
    } WAYS[] = {
        {"MPTCP", SOCK_STREAM, 262},
        {"SCTP", SOCK_STREAM, IPPROTO_SCTP},
        {"SCTP", SOCK_SEQPACKET, IPPROTO_SCTP},
        {"DCCP", 6, 33},
        {"UDP-Lite", SOCK_DGRAM, 136},
        {"ICMP", SOCK_DGRAM, IPPROTO_ICMP},
        {"L2TP", SOCK_DGRAM, 115},
        {"raw", SOCK_RAW, IPPROTO_RAW},
        {"SMC", SOCK_STREAM, 256},
    };
    (void)argument;
    for (size_t i = 0; i < sizeof(WAYS) / sizeof(WAYS[0]); i++)
        for (int family = AF_INET; family; family = family == AF_INET ? AF_INET6 : 0) {
            int fd = socket(family, WAYS[i].type, WAYS[i].protocol);
            if (fd >= 0) {
                close(fd);
                return found_open("%s", WAYS[i].name);
            }
        }
    return found_denied("nine protocols: %s", strerrorname_np(errno));
}

static struct finding
N14(const char *argument) {
    (void)argument;
    int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (setsockopt(fd, SOL_SOCKET, SO_MARK, &one, sizeof(one)) == 0)
        return found_open("SO_MARK");
    if (setsockopt(fd, IPPROTO_IP, IP_TRANSPARENT, &one, sizeof(one)) == 0)
        return found_open("IP_TRANSPARENT");
    return judge("three options of routers", setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &one, sizeof(one)));
}

const struct probe PROBES_NETWORK[] = {
    {"N1", N1},   {"N2", N2},   {"N3", N3},   {"N4", N4},   {"N6", N6},   {"N9", N9},
    {"N10", N10}, {"N11", N11}, {"N12", N12}, {"N13", N13}, {"N14", N14}, {0},
};
