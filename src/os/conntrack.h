/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's table of connections (ctnetlink, linux/netfilter/nfnetlink_conntrack.h), IPv4, TCP and UDP. Sockets are those of netlink_open(NETLINK_NETFILTER):
 * that one's namespace. Addresses and ports are in host byte order. */
#ifndef FAASD_OS_CONNTRACK_H
#define FAASD_OS_CONNTRACK_H

#include "os/netlink.h"

/* One direction of a connection: by any of the two it is found. */
struct conntrack_tuple {
    uint32_t source, destination;
    uint16_t source_port, destination_port;
    uint8_t protocol;
};

struct conntrack_entry {
    uint32_t mark;                          /* 0: it has none */
    struct conntrack_tuple original, reply; /* the reply's are those that network address translation made */
};

/* Calls for each entry; a negative result of `on_entry` ends it and is returned. -errno of the kernel's else. */
int conntrack_each(int fd, struct netlink_request *r, int (*on_entry)(const struct conntrack_entry *c, void *context),
                   void *context);

enum { CONNTRACK_DELETE_MAX = 128 }; /* in one request: the answers fit the socket's queue */
/* Takes out those that are there; one that is not there is no error. */
int conntrack_delete(int fd, struct netlink_request *r, const struct conntrack_tuple *tuples, unsigned count,
                     struct err *e);

/* The same for one, and nobody waits for what the kernel says: for who must not wait, or read it. A full queue of such answers loses them, no request. */
void conntrack_forget(int fd, const struct conntrack_tuple *t);

#endif
