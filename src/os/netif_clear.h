/* SPDX-License-Identifier: Apache-2.0 */
/* What there is in a network namespace, and the end of what does not belong there (rtnetlink(7)). IPv4 alone: where there is no IPv6 (netif_no_ipv6()), its addresses and routes are gone. */
#ifndef FAASD_OS_NETIF_CLEAR_H
#define FAASD_OS_NETIF_CLEAR_H

#include "os/netlink.h"

enum {
    NETIF_CLEAR_BATCH = 64,   /* in one request: the kernel answers each, and its answers have to fit into the socket */
    NETIF_CLEAR_ROUNDS = 256, /* dumps, each with a batch behind it */
};

enum netif_kind { NETIF_LINK, NETIF_RULE, NETIF_ADDRESS, NETIF_ROUTE, NETIF_QDISC, NETIF_KINDS };

/* One of them, as far as its kind has it. Addresses in host byte order. */
struct netif_entry {
    uint32_t index;         /* of its interface; 0: of none, or of several */
    uint32_t address, peer; /* address */
    uint32_t to, gateway;   /* route */
    unsigned bits;          /* address, route */
    uint32_t table;         /* route, rule */
    uint32_t priority;      /* rule */
    bool
        is_plain; /* route: unicast, and no more to it than stands here; rule: holds for all packets, and looks in its table */
    bool
        is_default; /* qdisc: the kernel's own, which can't be taken out; or one within another, which goes with that */
};

/* Takes out all of the kind that `is_ours` is false for. The number of those that the kernel keeps: *ret_taken is how many are gone. A link that can't be taken out (a module's own in every namespace, as
 * tunl0) is brought down, and counts for nothing when it is down. -errno. */
int netif_clear(int fd, enum netif_kind kind, bool (*is_ours)(const struct netif_entry *entry, void *context),
                void *context, unsigned *ret_taken, struct err *e);

/* One of the rules for all packets that the kernel makes in every namespace; nothing when it is there. */
int netif_add_rule(int fd, struct netlink_request *r, uint32_t priority, uint32_t table, struct err *e);

#endif
