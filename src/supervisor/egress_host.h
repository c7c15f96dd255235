/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's part of functions' way out, made once, before the first gateway runs, and its uplink anew at a reload where somebody has deleted it: nothing of it is set off by a gateway, a function
 * or a death.
 *
 *   instance's namespace             router's namespace (no process lives in it)    host
 *   eth0  ADDRESS/32  ------ veth -- f<INDEX>   filter, NAT   up  ------- veth --   faasd<N>   forwards, NAT
 *                                    lo  GATEWAY/32: the resolver's socket
 *   `------- made by the network process (network/) -------------------------'      made here, with both ends of the uplink
 *
 * Nothing of it has a name in a file system: the two namespaces are descriptors of this process, and with them go all veths; the host's table goes with its
 * socket. An instance's veth goes with the instance's own namespace.
 *
 * The host's table, "inet faasdN": nothing from the uplink reaches an address of the host, whatever that has and however it redirects, nor one that is neither public
 * nor granted, and nothing new goes in through the uplink. So it holds against a network process that was taken over. It is owned by its socket: gone with this process,
 * and no `nft flush ruleset` of the administrator's takes it away.
 */
#ifndef FAASD_SUPERVISOR_EGRESS_HOST_H
#define FAASD_SUPERVISOR_EGRESS_HOST_H

#include "codec/egress.h"
#include "os/netlink.h"

#include <net/if.h>

struct config;

enum {
    EGRESS_UPLINKS_MAX = 127,      /* daemons on one host: faasd0 - faasd126, two addresses each at the range's end */
    EGRESS_UPLINK_ADDRESSES = 256, /* of the range, for them */
};

/* The kernel gives each name once, so the number is this daemon's alone, and so are its two addresses. */
struct egress_uplink {
    char name[IFNAMSIZ]; /* the host's end */
    uint32_t host_index, router_index;
    uint32_t host, router; /* addresses */
};

struct egress_host {
    int user_fd;   /* the user namespace that the router's belongs to, and every instance's; owned, as all here */
    int router_fd; /* the router's namespace */
    int table_fd;  /* NETLINK_NETFILTER on the host: owns its table */
    int door_fd;   /* the UDP socket in the router's namespace that functions ask for names */
    uint64_t router_inode;
    struct egress_uplink uplink;
};

void egress_host_init(struct egress_host *h);
/* uid: whom the user namespace's root is on the host. On failure nothing is left. Of one that is cut the namespaces are kept, with the instances that are connected there: it gets another uplink. */
int egress_host_open(struct egress_host *h, const struct config *c, uint32_t uid, struct err *e);
bool egress_host_is_cut(const struct egress_host *h); /* somebody took its uplink away */
void egress_host_close(struct egress_host *h);

/* The table of its own, in the caller's network namespace, by a socket of netlink_open(NETLINK_NETFILTER). */
int egress_host_guard(int fd, struct netlink_request *r, const struct egress_uplink *u,
                      const struct egress_grants *grants, struct err *e);

#endif
