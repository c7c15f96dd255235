/* SPDX-License-Identifier: Apache-2.0 */
#include "client.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

uint64_t client_now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void die(const char *what)
{
    perror(what);
    exit(1);
}

void client_connect(struct client *c, const char *host, const char *port)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST};
    struct addrinfo *a;
    int one = 1;
    if (getaddrinfo(host, port, &hints, &a) != 0)
        die("getaddrinfo");
    c->length = 0;
    c->fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || connect(c->fd, a->ai_addr, a->ai_addrlen) != 0)
        die("connect");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    freeaddrinfo(a);
}

void client_send(struct client *c, const char *path, const char *body)
{
    char request[2048];
    int n = snprintf(request, sizeof(request), "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %zu\r\n\r\n%s",
                     path, strlen(body), body);
    c->sent_ns = client_now_ns();
    if (n < 0 || (size_t)n >= sizeof(request) || write(c->fd, request, (size_t)n) != n)
        die("write");
}

bool client_receive(struct client *c, uint64_t *ret_ns, int *ret_status)
{
    ssize_t n = read(c->fd, c->in + c->length, sizeof(c->in) - 1 - c->length);
    uint64_t now = client_now_ns();
    if (n <= 0)
        die("the server has closed the connection");
    c->length += (unsigned)n;
    c->in[c->length] = '\0';
    const char *end = strstr(c->in, "\r\n\r\n");
    if (!end)
        return false;
    const char *length = strcasestr(c->in, "\r\nContent-Length:");
    size_t body = length && length < end ? strtoul(length + 17, NULL, 10) : 0;
    if (c->length < (size_t)(end + 4 - c->in) + body)
        return false;
    *ret_ns = now - c->sent_ns;
    *ret_status = atoi(c->in + sizeof("HTTP/1.1 ") - 1);
    c->length = 0;
    return true;
}
