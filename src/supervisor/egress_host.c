/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/egress_host.h"

#include "base/fdio.h"
#include "base/fmt.h"
#include "codec/config.h"
#include "os/idmap.h"
#include "os/netif.h"
#include "os/nft_match.h"
#include "os/ns.h"
#include "os/userns.h"
#include "supervisor/network_message.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/netfilter_ipv4.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>

/* What one opening needs and nobody later. */
struct opening {
    struct egress_host *host;
    const struct config *config;
    struct netlink_request *request; /* owned */
    struct ns_home home;
    struct egress_range range;
    int route_fd;    /* owned: NETLINK_ROUTE on the host */
    int settings_fd; /* owned */
};

/* ---- the host's table ---- */

static void drop_from(struct netlink_request *r, const struct egress_uplink *u)
{
    nft_add_rule(r, "in");
    nft_match_u32(r, NFT_META_IIF, NFT_CMP_EQ, u->host_index);
}

static void add_chains(struct netlink_request *r)
{
    static const struct nft_chain chains[] = {
        {.name = "in", .type = "filter", .hook = NF_INET_PRE_ROUTING, .priority = NF_IP_PRI_RAW, .policy = NF_ACCEPT},
        {.name = "through",
         .type = "filter",
         .hook = NF_INET_FORWARD,
         .priority = NF_IP_PRI_FILTER,
         .policy = NF_ACCEPT},
        {.name = "leave",
         .type = "nat",
         .hook = NF_INET_POST_ROUTING,
         .priority = NF_IP_PRI_NAT_SRC,
         .policy = NF_ACCEPT},
    };
    for (size_t i = 0; i < sizeof(chains) / sizeof(chains[0]); i++)
        nft_add_chain(r, &chains[i]);
}

/* What comes from the router has its address, and goes to no address of the host. */
static void guard_host(struct netlink_request *r, const struct egress_uplink *u)
{
    const uint32_t unicast = RTN_UNICAST, from = htonl(u->router);
    const uint8_t v4 = NFPROTO_IPV4;
    drop_from(r, u);
    nft_meta(r, NFT_META_NFPROTO, NFT_REG_A);
    nft_compare(r, NFT_REG_A, NFT_CMP_NEQ, &v4, sizeof(v4));
    nft_end_with(r, NF_DROP, NULL);
    drop_from(r, u);
    nft_payload(r, NFT_PAYLOAD_NETWORK_HEADER, NFT_IP_SOURCE, sizeof(from), NFT_REG_A);
    nft_compare(r, NFT_REG_A, NFT_CMP_NEQ, &from, sizeof(from));
    nft_end_with(r, NF_DROP, NULL);
    drop_from(r, u); /* before any redirection of the host's: its published ports are the host too */
    nft_address_type(r, NFT_REG_A);
    nft_compare(r, NFT_REG_A, NFT_CMP_NEQ, &unicast, sizeof(unicast));
    nft_end_with(r, NF_DROP, NULL);
}

/* The router's own filter says the same, and tells who asks; this one holds where that was taken over. */
static void guard_private(struct netlink_request *r, const struct egress_uplink *u, const struct egress_grants *grants)
{
    unsigned count;
    const struct egress_range *special = egress_special(&count);
    for (uint32_t i = 0; i < grants->count; i++) {
        drop_from(r, u);
        nft_match_address(r, NFT_IP_DESTINATION, grants->ranges[i].address, grants->ranges[i].bits);
        nft_end_with(r, NF_ACCEPT, NULL);
    }
    for (unsigned i = 0; i < count; i++) {
        drop_from(r, u);
        nft_match_address(r, NFT_IP_DESTINATION, special[i].address, special[i].bits);
        nft_end_with(r, NF_DROP, NULL);
    }
}

int egress_host_guard(int fd, struct netlink_request *r, const struct egress_uplink *u,
                      const struct egress_grants *grants, struct err *e)
{
    const uint8_t v4 = NFPROTO_IPV4;
    nft_begin(r, NFPROTO_INET, u->name);
    nft_add_table(r, NFT_TABLE_F_OWNER);
    add_chains(r);
    guard_host(r, u);
    guard_private(r, u, grants);
    nft_add_rule(r, "through");
    nft_match_u32(r, NFT_META_OIF, NFT_CMP_EQ, u->host_index);
    nft_match_state(r, NFT_STATES_KNOWN);
    nft_end_with(r, NF_ACCEPT, NULL);
    nft_add_rule(r, "through");
    nft_match_u32(r, NFT_META_OIF, NFT_CMP_EQ, u->host_index);
    nft_end_with(r, NF_DROP, NULL);
    nft_add_rule(r, "leave");
    nft_meta(r, NFT_META_NFPROTO, NFT_REG_A);
    nft_compare(r, NFT_REG_A, NFT_CMP_EQ, &v4, sizeof(v4));
    nft_match_address(r, NFT_IP_SOURCE, u->router, 32);
    nft_masquerade(r);
    nft_end_rule(r);
    return nft_ask(fd, r, e);
}

/* ---- the uplink ---- */

/* Of another daemon: single addresses at the range's end. */
static bool is_uplink(uint32_t to, unsigned bits, void *context)
{
    const struct egress_range *range = context;
    uint32_t end = range->address + (UINT32_C(1) << (32 - range->bits));
    return bits == 32 && to >= end - EGRESS_UPLINK_ADDRESSES && to < end;
}

static int check_range(struct opening *o, struct err *e)
{
    struct netif_route there, range = {.to = o->range.address, .bits = o->range.bits};
    int r = netif_find_overlap(o->route_fd, o->request, &range, is_uplink, &o->range, &there, e);
    if (r <= 0)
        return r;
    uint32_t a = there.to;
    return err_say(e, EADDRINUSE,
                   "this host has a route to %u.%u.%u.%u/%u, within egress.range: set egress.range in the "
                   "configuration to a range that nobody here uses",
                   a >> 24, a >> 16 & 255, a >> 8 & 255, a & 255, there.bits);
}

static int make_pair(struct opening *o, char name[IFNAMSIZ], struct err *e)
{
    const struct netif_pair p = {
        .name = name,
        .mac = NETWORK_MAC, /* both ends: without ARP the kernel takes an end's own for its neighbour's */
        .peer_name = "up",
        .peer_mac = NETWORK_MAC,
        .peer_namespace = o->host->router_fd};
    for (int i = 0; i < EGRESS_UPLINKS_MAX; i++) {
        fmt_to(name, IFNAMSIZ, "faasd%d", i);
        int r = netif_add_pair(o->route_fd, o->request, &p, e);
        if (r != -EEXIST)
            return r < 0 ? r : i;
    }
    return err_say(e, EEXIST, "%d daemons of this host have a way out already", EGRESS_UPLINKS_MAX);
}

static int find_index(const char *name, uint32_t *ret_index, struct err *e)
{
    *ret_index = if_nametoindex(name);
    return *ret_index ? 0 : err_set(e, errno, "find the interface '%s'", name);
}

/* Functions' questions come in here: the namespace is the router's, the process that reads them the host's. The address comes later, by the network process. */
static int open_door(uint32_t gateway, struct err *e)
{
    const struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_port = htons(NETWORK_DNS_PORT), .sin_addr.s_addr = htonl(gateway)};
    const int on = 1;
    scoped_fd fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on)) < 0 ||
        setsockopt(fd, IPPROTO_IP, IP_FREEBIND, &on, sizeof(on)) < 0 ||
        bind(fd, (const struct sockaddr *)&at, sizeof(at)) < 0)
        return err_set(e, errno, "open the resolver's socket");
    return fd_take(&fd);
}

static int look_inside(struct opening *o, struct err *e)
{
    struct egress_host *h = o->host;
    int r = ns_enter_network(h->router_fd, e);
    if (r < 0)
        return r;
    r = find_index("up", &h->uplink.router_index, e);
    if (r == 0 && h->door_fd < 0)
        r = h->door_fd = open_door(config_egress_gateway(o->config), e);
    ns_home_return_network(&o->home);
    return r < 0 ? r : 0;
}

static int connect_host(struct opening *o, struct err *e)
{
    const struct egress_uplink *u = &o->host->uplink;
    /* the route back is the kernel's own, so it comes again with an interface that somebody set down and up */
    const struct netif_address a = {.index = u->host_index, .address = u->host, .peer = u->router, .bits = 32};
    int r = egress_host_guard(o->host->table_fd, o->request, u, &o->config->egress.grants, e);
    return r == 0 ? netif_add_address(o->route_fd, o->request, &a, e) : r;
}

static int make_uplink(struct opening *o, struct err *e)
{
    struct egress_uplink *u = &o->host->uplink;
    int number = make_pair(o, u->name, e);
    if (number < 0)
        return number;
    u->host = o->range.address + (UINT32_C(1) << (32 - o->range.bits)) - EGRESS_UPLINK_ADDRESSES + 2 * (uint32_t)number;
    u->router = u->host + 1;
    int r = find_index(u->name, &u->host_index, e);
    if (r == 0)
        r = netif_no_ipv6(o->settings_fd, u->name, e);
    if (r == 0)
        r = look_inside(o, e);
    return r == 0 ? connect_host(o, e) : r;
}

/* ---- all of it ---- */

static int open_sockets(struct opening *o, struct err *e)
{
    int r = ns_home_open(&o->home, e);
    if (r == 0)
        r = o->route_fd = netlink_open(NETLINK_ROUTE, e);
    fd_close(&o->host->table_fd); /* of the uplink before */
    if (r >= 0)
        r = o->host->table_fd = netlink_open(NETLINK_NETFILTER, e);
    if (r >= 0 && (o->settings_fd = open(NETIF_SETTINGS, O_PATH | O_DIRECTORY | O_CLOEXEC)) < 0)
        r = err_set(e, errno, "open '%s'", NETIF_SETTINGS);
    return r < 0 ? r : 0;
}

static int make_all(struct opening *o, uint32_t uid, struct err *e)
{
    struct egress_host *h = o->host;
    const struct idmap root = {.count = 1, .entries = {{0, uid}}};
    int r = open_sockets(o, e);
    if (r == 0)
        r = check_range(o, e);
    if (r == 0 && h->router_fd < 0)
        r = ns_make_owned_network(&root, &h->user_fd, &h->router_fd, e);
    if (r == 0)
        r = ns_check_network(h->router_fd, h->user_fd, &h->router_inode, e);
    return r == 0 ? make_uplink(o, e) : r;
}

void egress_host_init(struct egress_host *h)
{
    *h = (struct egress_host){.user_fd = -1, .router_fd = -1, .table_fd = -1, .door_fd = -1};
}

int egress_host_open(struct egress_host *h, const struct config *c, uint32_t uid, struct err *e)
{
    if (geteuid() != 0 || userns_own()->entered)
        return err_say(e, EPERM, "it needs root: an ordinary user has no way to the host's network");
    scoped_free struct netlink_request *request = calloc(1, sizeof(*request));
    if (!request)
        return err_set(e, ENOMEM, "make a way out");
    struct opening o = {.host = h, .config = c, .request = request, .route_fd = -1, .settings_fd = -1};
    o.home = (struct ns_home){.mount_fd = -1, .network_fd = -1, .root_fd = -1};
    config_egress_range(c, &o.range);
    int r = make_all(&o, uid, e);
    ns_home_close(&o.home);
    fd_close(&o.route_fd);
    fd_close(&o.settings_fd);
    if (r < 0)
        egress_host_close(h);
    return r;
}

bool egress_host_is_cut(const struct egress_host *h)
{
    char name[IF_NAMESIZE];
    return !if_indextoname(h->uplink.host_index, name) && errno == ENXIO;
}

void egress_host_close(struct egress_host *h)
{
    fd_close(&h->table_fd);  /* its table goes with it */
    fd_close(&h->door_fd);   /* it holds the router's namespace as well */
    fd_close(&h->router_fd); /* and with that its interfaces, ours on the host too */
    fd_close(&h->user_fd);
}
