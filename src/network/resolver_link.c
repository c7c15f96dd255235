/* SPDX-License-Identifier: Apache-2.0 */
/* The resolver's other end: what it is told, and what it may ask for. It parses what name servers and functions sent, so its messages are looked at one by one. */
#include "base/fdio.h"
#include "base/log.h"
#include "network/internal.h"
#include "os/sock.h"

#include <string.h>

enum { BATCH = 32 /* messages of one turn */ };

/* It sees the end of its socket and ends itself; the supervisor starts another one. One that does not is replaced together with this process (main.c). */
void resolver_link_close(struct network *n)
{
    if (n->resolver < 0)
        return;
    fd_close(&n->resolver);
    n->resolver_ms = n->now_ms + RESOLVER_MISSING_MS;
}

static void send_message(struct network *n, const struct resolver_header *m, int fd)
{
    if (n->resolver < 0)
        return;
    int r = sock_send(n->resolver, m, m->size, &fd, fd >= 0);
    if (r == -EAGAIN) /* nothing for the length of the queue */
        log_error("the resolver of functions' names does not take messages");
    if (r < 0)
        resolver_link_close(n);
}

void resolver_link_add(struct network *n, const struct filter_port *p)
{
    struct resolver_add m = {.header = {.type = RESOLVER_ADD, .size = sizeof(m)},
                             .index = p->index,
                             .address = p->address,
                             .rule_count = p->rule_count};
    if (p->rule_count)
        memcpy(m.rules, p->rules, p->rule_count * sizeof(m.rules[0]));
    send_message(n, &m.header, -1);
}

void resolver_link_remove(struct network *n, uint32_t index)
{
    const struct resolver_plain m = {.header = {.type = RESOLVER_REMOVE, .size = sizeof(m)}, .index = index};
    send_message(n, &m.header, -1);
}

void resolver_link_servers(struct network *n, int fd)
{
    const struct resolver_plain m = {.header = {.type = RESOLVER_SERVERS, .size = sizeof(m)}};
    send_message(n, &m.header, fd);
}

static void add_one(const struct way *w, void *context)
{
    resolver_link_add(context, &w->port);
}

void resolver_link_open(struct network *n, int fd)
{
    resolver_link_close(n);
    n->resolver = fd;
    n->resolver_ms = 0;
    ways_each(add_one, n);
}

union resolver_request {
    struct resolver_header header;
    struct resolver_plain plain;
    struct resolver_allow allow;
};

static bool ask_servers(void)
{
    const struct network_plain m = {.header = {.type = NETWORK_ASK_SERVERS, .size = sizeof(m)}};
    sock_send(NETWORK_FD_LINK, &m, sizeof(m), NULL, 0); /* asked again by who needs them */
    return true;
}

/* False: that is no message. */
static bool handle(struct network *n, const union resolver_request *r, size_t size)
{
    bool done;
    if (size < sizeof(r->header) || r->header.size != size)
        return false;
    if (r->header.type == RESOLVER_ASK_SERVERS && size == sizeof(r->plain))
        return ask_servers();
    if (r->header.type != RESOLVER_ALLOW || size != sizeof(r->allow) || !way_allow(n, &r->allow, &done))
        return false;
    const struct resolver_plain m = {
        .header = {.type = RESOLVER_ALLOWED, .size = sizeof(m)}, .query = r->allow.query, .value = done};
    send_message(n, &m.header, -1);
    return true;
}

void resolver_link_read(struct network *n)
{
    for (int i = 0; i < BATCH && n->resolver >= 0; i++) {
        union resolver_request request;
        struct sock_record record;
        int r = sock_receive(n->resolver, &request, sizeof(request), &record);
        if (r == -EAGAIN)
            return;
        bool is_end = r < 0 || record.size == 0;
        bool good = !is_end && record.fd_count == 0 && handle(n, &request, record.size);
        if (r == 0)
            sock_record_close(&record);
        if (!good && !is_end)
            log_error("the resolver of functions' names sent what is no message");
        if (!good)
            resolver_link_close(n);
    }
}
