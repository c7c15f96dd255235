/* SPDX-License-Identifier: Apache-2.0 */
/* Network interfaces (netdevice(7), rtnetlink(7)). Addresses are IPv4, in host byte order. */
#ifndef FAASD_OS_NETIF_H
#define FAASD_OS_NETIF_H

#include "os/netlink.h"

enum { NETIF_LOOPBACK = 1 /* the index of lo in every namespace */ };

/* In the caller's network namespace; async-signal-safe. */
int netif_loopback_up(struct err *e);
int netif_loopback_bare(struct err *e); /* as it is in a new namespace: down, without an address or a route */

/* Settings of the caller's network namespace, whichever that is at the time. settings_fd: the directory /proc/sys/net. */
#define NETIF_SETTINGS "/proc/sys/net"
/* No IPv6 on this interface; "default": on those that are made from now on, lo keeps ::1; "all": on none, lo and later ones included. */
int netif_no_ipv6(int settings_fd, const char *name, struct err *e);
/* Connections whose process is dead are given up after one try, not after minutes: they hold their namespace. */
int netif_end_orphans(int settings_fd, struct err *e);
int netif_forward(int settings_fd, struct err *e); /* packets between interfaces */

/* The rest takes a socket of netlink_open(NETLINK_ROUTE): that one's namespace. `r` is scratch. -errno is in e as well. */

/* A veth pair (veth(4)), this end up, without ARP: the other can be brought up when both are there. -EEXIST when there is an interface of the name. */
struct netif_pair {
    const char *name; /* here */
    const uint8_t *mac;
    const char *peer_name;
    const uint8_t *peer_mac;
    uint32_t index;     /* of both ends, in their namespaces; 0: as they come */
    int peer_namespace; /* descriptor */
};
int netif_add_pair(int fd, struct netlink_request *r, const struct netif_pair *p, struct err *e);

int netif_set_up(int fd, struct netlink_request *r, uint32_t index, struct err *e);

struct netif_address {
    uint32_t index;
    uint32_t address;
    uint32_t peer; /* the other end's, to which there is a route then; 0: none */
    unsigned bits;
};
int netif_add_address(int fd, struct netlink_request *r, const struct netif_address *a, struct err *e);
/* Who has `address` is known: nobody is asked (no ARP). */
int netif_add_neighbour(int fd, struct netlink_request *r, uint32_t index, uint32_t address, const uint8_t mac[6],
                        struct err *e);

struct netif_route {
    uint32_t index;
    uint32_t to;
    unsigned bits;
    uint32_t gateway; /* 0: it is on the link */
    uint32_t source;  /* preferred; 0 = none */
};
int netif_add_route(int fd, struct netlink_request *r, const struct netif_route *route, struct err *e);

/* The first route of the namespace, of any table, that overlaps address/bits and for which `is_known` is not true; 1: there is one. A default route does not count. */
int netif_find_overlap(int fd, struct netlink_request *r, const struct netif_route *range,
                       bool (*is_known)(uint32_t to, unsigned bits, void *context), void *context,
                       struct netif_route *ret_route, struct err *e);

#endif
