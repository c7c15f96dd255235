/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The router's namespace outlives this process, with all that stands in it. A process before this one that was taken over could leave links, addresses, routes and rules that lead packets by ways
 * of its own: what no process of ours makes is taken out. Instances stay connected meanwhile, so it is told by what it is, not by when it came.
 */
#include "base/log.h"
#include "network/internal.h"
#include "os/netif.h"
#include "os/netif_clear.h"

#include <linux/rtnetlink.h>

enum {
    LOOPBACK_NET = 127,
    LAST_BITS = 32,
    RULE_LOCAL = 0, /* the kernel's own, in every namespace */
    RULE_MAIN = 32766,
    RULE_DEFAULT = 32767,
};

static const struct rule {
    uint32_t priority, table;
} rules[] = {{RULE_LOCAL, RT_TABLE_LOCAL}, {RULE_MAIN, RT_TABLE_MAIN}, {RULE_DEFAULT, RT_TABLE_DEFAULT}};

static bool is_our_link(const struct netif_entry *x, void *context)
{
    const struct network *n = context;
    return x->index == NETIF_LOOPBACK || x->index == n->boot.uplink || way_find(x->index);
}

/* Of addresses that the router has. */
static bool is_our_own(const struct network *n, uint32_t index, uint32_t address, unsigned bits)
{
    if (index == NETIF_LOOPBACK)
        return address >> 24 == LOOPBACK_NET || (address == n->boot.gateway && bits == LAST_BITS);
    return index == n->boot.uplink && address == n->boot.router && bits == LAST_BITS;
}

static bool is_our_address(const struct netif_entry *x, void *context)
{
    return x->address == x->peer && is_our_own(context, x->index, x->address, x->bits);
}

static bool is_our_route(const struct netif_entry *x, void *context)
{
    const struct network *n = context;
    if (x->table == RT_TABLE_LOCAL) /* made by the kernel with an address */
        return x->gateway == 0 && is_our_own(n, x->index, x->to, x->bits);
    if (x->table != RT_TABLE_MAIN || !x->is_plain)
        return false;
    if (x->bits == 0)
        return x->index == n->boot.uplink && x->gateway == n->boot.host;
    const struct way *w = way_find(x->index);
    return w && x->to == w->port.address && x->bits == LAST_BITS && x->gateway == 0;
}

static bool is_our_rule(const struct netif_entry *x, void *context)
{
    (void)context;
    for (unsigned i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
        if (x->is_plain && x->priority == rules[i].priority && x->table == rules[i].table)
            return true;
    return false;
}

static bool is_our_queue(const struct netif_entry *x, void *context)
{
    (void)context;
    return x->is_default;
}

void router_clear(struct network *n)
{
    /* links first: with them goes what stands on them */
    static const struct {
        enum netif_kind kind;
        bool (*is_ours)(const struct netif_entry *x, void *context);
        const char *name;
    } steps[] = {{NETIF_LINK, is_our_link, "interfaces"},
                 {NETIF_QDISC, is_our_queue, "queues"},
                 {NETIF_ADDRESS, is_our_address, "addresses"},
                 {NETIF_RULE, is_our_rule, "rules of routes"},
                 {NETIF_ROUTE, is_our_route, "routes"}};
    struct err e;
    for (unsigned i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        unsigned taken = 0;
        int left = netif_clear(n->route_fd, steps[i].kind, steps[i].is_ours, n, &taken, &e);
        if (left < 0)
            log_warn("%s: what a network process before this one left stays", e.text);
        else if (taken || left)
            log_warn("%u %s that no network process makes were in the router's namespace; %d stay",
                     taken + (unsigned)left, steps[i].name, left);
    }
    for (unsigned i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
        if (netif_add_rule(n->route_fd, &n->request, rules[i].priority, rules[i].table, &e) < 0)
            log_warn("%s", e.text);
}
