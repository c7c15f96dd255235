/* SPDX-License-Identifier: Apache-2.0 */
/* The router's namespace: the uplink's inner end, the name server's address, the filter. Each step may find it done: a process before this one was killed. */
#include "network/internal.h"
#include "os/netif.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>

static int open_sockets(struct network *n, struct err *e)
{
    n->filter.request = &n->request;
    int r = n->route_fd = netlink_open(NETLINK_ROUTE, e);
    if (r >= 0)
        r = n->filter.fd = netlink_open(NETLINK_NETFILTER, e);
    if (r >= 0 && (n->home_fd = ioctl(n->route_fd, SIOCGSKNS)) < 0)
        r = err_set(e, errno, "open the router's namespace");
    return r < 0 ? r : 0;
}

static int connect_uplink(struct network *n, struct err *e)
{
    const struct network_boot *b = &n->boot;
    const struct netif_route out = {.index = b->uplink, .gateway = b->host, .source = b->router};
    const struct netif_address own = {.index = b->uplink, .address = b->router, .bits = 32};
    int r = netif_set_up(n->route_fd, &n->request, b->uplink, e);
    if (r == -ENODEV)
        return err_say(e, ENODEV, "the uplink is gone from the host: reload or restart faasd, which makes it anew");
    if (r == 0)
        r = netif_add_address(n->route_fd, &n->request, &own, e);
    if (r == 0)
        r = netif_add_neighbour(n->route_fd, &n->request, b->uplink, b->host, NETWORK_MAC, e);
    return r == 0 ? netif_add_route(n->route_fd, &n->request, &out, e) : r;
}

int router_open(struct network *n, struct err *e)
{
    const struct network_boot *b = &n->boot;
    const struct filter_router o = {
        .uplink = b->uplink, .gateway = b->gateway, .grants = &b->grants, .limits = &b->limits};
    const struct netif_address gateway = {.index = NETIF_LOOPBACK, .address = b->gateway, .bits = 32};
    int r = open_sockets(n, e);
    if (r == 0)
        r = filter_open(&n->filter, &o, e); /* before anything can pass */
    if (r == 0)
        r = netif_no_ipv6(n->settings_fd, "all", e); /* what is there, and what comes */
    if (r == 0)
        r = netif_forward(n->settings_fd, e);
    if (r == 0)
        r = netif_set_up(n->route_fd, &n->request, NETIF_LOOPBACK, e);
    if (r == 0)
        r = netif_add_address(n->route_fd, &n->request, &gateway, e);
    return r == 0 ? connect_uplink(n, e) : r;
}
