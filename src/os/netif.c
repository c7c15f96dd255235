/* SPDX-License-Identifier: Apache-2.0 */
#include "os/netif.h"

#include "base/fdio.h"
#include "base/fmt.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

enum { MAC_BYTES = 6 };

static int open_inet(struct err *e)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    return fd < 0 ? err_set(e, errno, "open a socket to set the loopback interface up") : fd;
}

int netif_loopback_up(struct err *e)
{
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    scoped_fd fd = open_inet(e);
    if (fd < 0)
        return fd;
    return ioctl(fd, SIOCSIFFLAGS, &request) < 0 ? err_set(e, errno, "bring the loopback interface up") : 0;
}

/* An interface that goes down loses its addresses of IPv6, but keeps 127.0.0.1, which came by itself when it was up first, and the routes to it: 0.0.0.0 takes its place. */
int netif_loopback_bare(struct err *e)
{
    struct ifreq flags = {.ifr_name = "lo"}, address = {.ifr_name = "lo", .ifr_addr.sa_family = AF_INET};
    scoped_fd fd = open_inet(e);
    if (fd < 0)
        return fd;
    if (ioctl(fd, SIOCSIFADDR, &address) < 0)
        return err_set(e, errno, "take the loopback interface's address");
    return ioctl(fd, SIOCSIFFLAGS, &flags) < 0 ? err_set(e, errno, "bring the loopback interface down") : 0;
}

int netif_no_ipv6(int settings_fd, const char *name, struct err *e)
{
    char path[64 + IFNAMSIZ];
    fmt_to(path, sizeof(path), "ipv6/conf/%s/disable_ipv6", name);
    int r = fd_write_file_at(settings_fd, path, "1", e);
    return r == -ENOENT ? 0 : r; /* a kernel without IPv6 */
}

int netif_end_orphans(int settings_fd, struct err *e)
{
    return fd_write_file_at(settings_fd, "ipv4/tcp_orphan_retries", "1", e);
}

int netif_forward(int settings_fd, struct err *e)
{
    return fd_write_file_at(settings_fd, "ipv4/ip_forward", "1", e);
}

enum { PAIR_FLAGS = IFF_UP | IFF_NOARP };

int netif_add_pair(int fd, struct netlink_request *r, const struct netif_pair *p, struct err *e)
{
    /* Who is asked for (ARP) and does not answer keeps a place in the kernel's table of neighbours, one for all namespaces and small: each end knows its
     * one neighbour. And the kernel reads the other end's index only where this one has one */
    const struct ifinfomsg here = {.ifi_flags = PAIR_FLAGS, .ifi_change = PAIR_FLAGS, .ifi_index = (int)p->index};
    const struct ifinfomsg there = {.ifi_index = (int)p->index};
    netlink_begin(r);
    netlink_message(r, RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK, &here, sizeof(here));
    netlink_put_text(r, IFLA_IFNAME, p->name);
    netlink_put(r, IFLA_ADDRESS, p->mac, MAC_BYTES);
    netlink_nest(r, IFLA_LINKINFO);
    netlink_put_text(r, IFLA_INFO_KIND, "veth");
    netlink_nest(r, IFLA_INFO_DATA);
    netlink_nest(r, VETH_INFO_PEER);
    netlink_put_raw(r, &there, sizeof(there));
    netlink_put_text(r, IFLA_IFNAME, p->peer_name);
    netlink_put(r, IFLA_ADDRESS, p->peer_mac, MAC_BYTES);
    netlink_put_u32(r, IFLA_NET_NS_FD, (uint32_t)p->peer_namespace);
    netlink_nest_end(r);
    netlink_nest_end(r);
    netlink_nest_end(r);
    int result = netlink_ask(fd, r, e);
    return result < 0 ? err_wrap(e, "make the veth pair '%s'", p->name) : 0;
}

int netif_set_up(int fd, struct netlink_request *r, uint32_t index, struct err *e)
{
    const struct ifinfomsg head = {.ifi_flags = IFF_UP, .ifi_change = IFF_UP, .ifi_index = (int)index};
    netlink_begin(r);
    netlink_message(r, RTM_NEWLINK, NLM_F_ACK, &head, sizeof(head));
    int result = netlink_ask(fd, r, e);
    return result < 0 ? err_wrap(e, "bring an interface up") : 0;
}

int netif_add_address(int fd, struct netlink_request *r, const struct netif_address *a, struct err *e)
{
    const struct ifaddrmsg head = {
        .ifa_family = AF_INET, .ifa_prefixlen = (unsigned char)a->bits, .ifa_index = a->index};
    netlink_begin(r);
    netlink_message(r, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE | NLM_F_ACK, &head, sizeof(head));
    netlink_put_be32(r, IFA_LOCAL, a->address);
    netlink_put_be32(r, IFA_ADDRESS, a->peer ? a->peer : a->address);
    int result = netlink_ask(fd, r, e);
    return result < 0 ? err_wrap(e, "give an interface its address") : 0;
}

int netif_add_neighbour(int fd, struct netlink_request *r, uint32_t index, uint32_t address, const uint8_t mac[6],
                        struct err *e)
{
    const struct ndmsg head = {
        .ndm_family = AF_INET, .ndm_ifindex = (int)index, .ndm_state = NUD_PERMANENT, .ndm_type = RTN_UNICAST};
    netlink_begin(r);
    netlink_message(r, RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE | NLM_F_ACK, &head, sizeof(head));
    netlink_put_be32(r, NDA_DST, address);
    netlink_put(r, NDA_LLADDR, mac, MAC_BYTES);
    int result = netlink_ask(fd, r, e);
    return result < 0 ? err_wrap(e, "name a neighbour") : 0;
}

int netif_add_route(int fd, struct netlink_request *r, const struct netif_route *route, struct err *e)
{
    const struct rtmsg head = {.rtm_family = AF_INET,
                               .rtm_dst_len = (unsigned char)route->bits,
                               .rtm_table = RT_TABLE_MAIN,
                               .rtm_protocol = RTPROT_STATIC,
                               .rtm_scope = route->gateway ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK,
                               .rtm_type = RTN_UNICAST,
                               .rtm_flags = route->gateway ? RTNH_F_ONLINK : 0};
    netlink_begin(r);
    netlink_message(r, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE | NLM_F_ACK, &head, sizeof(head));
    if (route->bits)
        netlink_put_be32(r, RTA_DST, route->to);
    if (route->gateway)
        netlink_put_be32(r, RTA_GATEWAY, route->gateway);
    if (route->source)
        netlink_put_be32(r, RTA_PREFSRC, route->source);
    netlink_put_u32(r, RTA_OIF, route->index);
    int result = netlink_ask(fd, r, e);
    return result < 0 ? err_wrap(e, "set a route") : 0;
}

/* ---- overlaps ---- */

struct search {
    const struct netif_route *range;
    bool (*is_known)(uint32_t to, unsigned bits, void *context);
    void *context;
    struct netif_route *found;
    bool any;
};

static uint32_t mask_of(unsigned bits)
{
    return bits ? ~UINT32_C(0) << (32 - bits) : 0;
}

static int look_at_route(const struct nlmsghdr *m, void *context)
{
    struct search *s = context;
    const struct rtmsg *head = NLMSG_DATA(m);
    uint32_t to = 0;
    if (m->nlmsg_type != RTM_NEWROUTE || head->rtm_family != AF_INET || head->rtm_dst_len == 0 || s->any)
        return 0;
    unsigned left = (unsigned)RTM_PAYLOAD(m);
    for (struct rtattr *a = RTM_RTA(head); RTA_OK(a, left); a = RTA_NEXT(a, left))
        if (a->rta_type == RTA_DST && RTA_PAYLOAD(a) == sizeof(to))
            memcpy(&to, RTA_DATA(a), sizeof(to));
    to = ntohl(to);
    unsigned shorter = head->rtm_dst_len < s->range->bits ? head->rtm_dst_len : s->range->bits;
    if ((to ^ s->range->to) & mask_of(shorter) || s->is_known(to, head->rtm_dst_len, s->context))
        return 0;
    *s->found = (struct netif_route){.to = to, .bits = head->rtm_dst_len};
    s->any = true;
    return 0;
}

int netif_find_overlap(int fd, struct netlink_request *r, const struct netif_route *range,
                       bool (*is_known)(uint32_t to, unsigned bits, void *context), void *context,
                       struct netif_route *ret_route, struct err *e)
{
    struct search s = {.range = range, .is_known = is_known, .context = context, .found = ret_route};
    const struct rtmsg head = {.rtm_family = AF_INET};
    netlink_begin(r);
    netlink_message(r, RTM_GETROUTE, NLM_F_DUMP, &head, sizeof(head));
    int result = netlink_dump(fd, r, look_at_route, &s);
    return result < 0 ? err_set(e, -result, "read the host's routes") : s.any;
}
