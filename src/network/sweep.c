/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections of instances that are dead. The kernel remembers one that nobody closed for up to five days, in the router's namespace and in the host's: a
 * function whose peer reads nothing leaves such ones, and egress.connections_total counts them. Each entry of the router's table is marked with the index of
 * its instance's veth; a second after an instance has ended what nobody alive has is taken out, and the supervisor is told what the host's table calls it.
 */
#include "base/log.h"
#include "network/internal.h"
#include "os/conntrack.h"
#include "os/sock.h"

#include <errno.h>
#include <stddef.h>

struct pass {
    unsigned count;
    struct conntrack_tuple inside[SWEEP_MAX];     /* in the router's table */
    struct network_connection outside[SWEEP_MAX]; /* the same connections in the host's */
};

/* Never the end of it: the rest of a reading that is broken off would be the answer to the next request. */
static int note_dead(const struct conntrack_entry *c, void *context)
{
    struct pass *p = context;
    if (c->mark == 0 || p->count == SWEEP_MAX || way_find(c->mark))
        return 0;
    p->inside[p->count] = c->original;
    /* what leaves the router is what its answers come back to, the other way round */
    p->outside[p->count++] = (struct network_connection){.destination = c->reply.source,
                                                         .source_port = c->reply.destination_port,
                                                         .destination_port = c->reply.source_port,
                                                         .protocol = c->reply.protocol};
    return 0;
}

static int delete_inside(struct network *n, const struct pass *p, struct err *e)
{
    int result = 0;
    for (unsigned at = 0; result == 0 && at < p->count; at += CONNTRACK_DELETE_MAX) {
        unsigned count = p->count - at < CONNTRACK_DELETE_MAX ? p->count - at : CONNTRACK_DELETE_MAX;
        result = conntrack_delete(n->filter.fd, &n->request, p->inside + at, count, e);
    }
    return result;
}

static void tell_outside(const struct pass *p)
{
    struct network_forget m = {.header = {.type = NETWORK_FORGET, .size = sizeof(m)}};
    for (unsigned at = 0; at < p->count; at += m.count) {
        m.count = p->count - at < NETWORK_FORGET_MAX ? p->count - at : NETWORK_FORGET_MAX;
        for (unsigned i = 0; i < m.count; i++)
            m.connections[i] = p->outside[at + i];
        sock_send(NETWORK_FD_LINK, &m, sizeof(m), NULL,
                  0); /* one that is not taken leaves them to the kernel's clock */
    }
}

void sweep(struct network *n)
{
    static struct pass pass; /* one thread sweeps */
    struct err e;
    pass.count = 0;
    int result = conntrack_each(n->filter.fd, &n->request, note_dead, &pass);
    if (result < 0)
        err_set(&e, -result, "read the kernel's table of connections");
    else
        result = delete_inside(n, &pass, &e);
    if (result == 0)
        tell_outside(&pass);
    else if (!n->sweep_failed)
        log_warn("%s: connections of functions that ended count until the kernel forgets them", e.text);
    n->sweep_failed = result < 0;
    n->sweep_ms = result == 0 && pass.count == SWEEP_MAX ? n->now_ms + SWEEP_MS : 0;
}
