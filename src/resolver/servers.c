/* SPDX-License-Identifier: Apache-2.0 */
/* Whom to ask: egress.dns of the configuration, else the host's /etc/resolv.conf (resolv.conf(5)). */
#include "base/fdio.h"
#include "base/log.h"
#include "codec/address.h"
#include "resolver/internal.h"

#include <arpa/inet.h>
#include <string.h>

static void add_v4(struct resolver *r, uint32_t address)
{
    const struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(53), .sin_addr.s_addr = htonl(address)};
    struct server *s = &r->servers[r->server_count++];
    memcpy(&s->address, &in, sizeof(in));
    s->length = sizeof(in);
}

static void add_v6(struct resolver *r, const uint8_t bytes[16])
{
    struct sockaddr_in6 in = {.sin6_family = AF_INET6, .sin6_port = htons(53)};
    struct server *s = &r->servers[r->server_count++];
    memcpy(&in.sin6_addr, bytes, 16);
    memcpy(&s->address, &in, sizeof(in));
    s->length = sizeof(in);
}

void servers_take_configured(struct resolver *r)
{
    for (uint32_t i = 0; i < r->boot.server_count && i < RESOLVER_SERVERS_MAX; i++)
        add_v4(r, r->boot.servers[i]);
    r->has_servers = r->server_count > 0;
}

static void read_line(struct resolver *r, struct str line)
{
    static const char key[] = "nameserver";
    struct address a;
    if (!str_starts_with(line, key) || r->server_count == RESOLVER_SERVERS_MAX)
        return;
    struct str rest = str_skip(line, sizeof(key) - 1);
    if (rest.n == 0 || (rest.p[0] != ' ' && rest.p[0] != '\t') || !address_parse(str_trim(rest), &a))
        return;
    if (a.family == ADDRESS_V4)
        add_v4(r, (uint32_t)a.bytes[0] << 24 | (uint32_t)a.bytes[1] << 16 | (uint32_t)a.bytes[2] << 8 | a.bytes[3]);
    else
        add_v6(r, a.bytes);
}

void servers_read(struct resolver *r, int fd)
{
    static char text[SERVERS_TEXT_MAX];
    ssize_t n = fd < 0 ? 0 : fd_read_full(fd, text, sizeof(text));
    r->server_count = 0;
    for (struct str rest = {text, n > 0 ? (size_t)n : 0}; rest.n;)
        read_line(r, str_cut(rest, '\n', &rest, NULL));
    if (r->server_count == 0) { /* resolv.conf(5): then it is this host's own */
        log_warn("/etc/resolv.conf names no name server: 127.0.0.1 is asked for functions' names; egress.dns in the "
                 "configuration names others");
        add_v4(r, INADDR_LOOPBACK);
    }
    r->has_servers = true;
}
