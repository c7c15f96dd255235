/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Namespaces of instances. Making an empty one is the longest step, so a few are made ahead; what is an instance's own in one goes by the netlink socket that was opened
 * there. All of them belong to this process's user namespace: nobody inside of a sandbox has a right to them.
 */
#include "base/fdio.h"
#include "base/fmt.h"
#include "network/internal.h"
#include "os/netif.h"

#include <assert.h>
#include <linux/netlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <time.h>

static const uint8_t MAC_INSIDE[6] = {0x02, 'f', 'a', 'a', 's', 'd'};

static void spare_close(struct spare *s)
{
    fd_close(&s->fd);
    fd_close(&s->route_fd);
}

/* In the namespace that this process is in. */
static int fill(struct network *n, struct spare *s, struct err *e)
{
    int r = s->route_fd = netlink_open(NETLINK_ROUTE, e);
    if (r >= 0 && (s->fd = ioctl(s->route_fd, SIOCGSKNS)) < 0)
        r = err_set(e, errno, "open a network namespace");
    if (r >= 0)
        r = netif_set_up(s->route_fd, &n->request, NETIF_LOOPBACK, e);
    if (r == 0)
        r = netif_no_ipv6(n->settings_fd, "default", e);
    return r == 0 ? netif_end_orphans(n->settings_fd, e) : r;
}

/* The kernel may lack memory for a moment. A process that stays in an instance's namespace would make the next one's rules there: it ends, and another one starts. */
static void go_home(const struct network *n)
{
    enum { TRIES = 200 }; /* a millisecond apart */
    const struct timespec pause = {.tv_nsec = 1000000};
    for (unsigned i = 0; setns(n->home_fd, CLONE_NEWNET) < 0; i++) {
        if (i == TRIES)
            abort();
        nanosleep(&pause, NULL);
    }
}

static int spare_make(struct network *n, struct spare *s, struct err *e)
{
    *s = (struct spare){.fd = -1, .route_fd = -1};
    if (unshare(CLONE_NEWNET) < 0)
        return err_set(e, errno, "make a network namespace");
    int r = fill(n, s, e);
    go_home(n);
    if (r < 0)
        spare_close(s);
    return r;
}

int namespace_make_spare(struct network *n, struct err *e)
{
    assert(n->spare_count < SPARES_MAX);
    int r = spare_make(n, &n->spares[n->spare_count], e);
    n->spare_count += r == 0;
    return r;
}

static int connect_inside(struct network *n, int route_fd, const struct filter_port *p, struct err *e)
{
    char peer[IFNAMSIZ];
    fmt_to(peer, sizeof(peer), "f%u", p->index);
    const struct netif_pair pair = {.name = "eth0",
                                    .mac = MAC_INSIDE,
                                    .peer_name = peer,
                                    .peer_mac = NETWORK_MAC,
                                    .index = p->index,
                                    .peer_namespace = n->home_fd};
    const struct netif_route out = {.index = p->index, .gateway = n->boot.gateway, .source = p->address};
    const struct netif_address own = {.index = p->index, .address = p->address, .bits = 32};
    int r = netif_add_pair(route_fd, &n->request, &pair, e);
    if (r == 0)
        r = netif_add_address(route_fd, &n->request, &own, e);
    if (r == 0)
        r = netif_add_neighbour(route_fd, &n->request, p->index, n->boot.gateway, NETWORK_MAC, e);
    return r == 0 ? netif_add_route(route_fd, &n->request, &out, e) : r;
}

static int connect_router(struct network *n, const struct filter_port *p, struct err *e)
{
    const struct netif_route in = {.index = p->index, .to = p->address, .bits = 32, .source = n->boot.gateway};
    int r = netif_set_up(n->route_fd, &n->request, p->index, e);
    if (r == 0)
        r = netif_add_neighbour(n->route_fd, &n->request, p->index, p->address, MAC_INSIDE, e);
    return r == 0 ? netif_add_route(n->route_fd, &n->request, &in, e) : r;
}

int namespace_take_over(struct network *n, const struct filter_port *p, struct err *e)
{
    int r = connect_router(n, p, e);
    return r == 0 ? filter_add(&n->filter, p, e) : r;
}

int namespace_make(struct network *n, const struct filter_port *p, struct err *e)
{
    struct spare s;
    int r = 0;
    if (n->spare_count)
        s = n->spares[--n->spare_count];
    else
        r = spare_make(n, &s, e);
    if (r < 0)
        return r;
    r = connect_inside(n, s.route_fd, p, e);
    if (r == 0)
        r = namespace_take_over(n, p, e);
    fd_close(&s.route_fd);
    if (r < 0)
        fd_close(&s.fd); /* the veth goes with it */
    return r < 0 ? r : s.fd;
}
