/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of network/. One thread, one poll(2). */
#ifndef FAASD_NETWORK_INTERNAL_H
#define FAASD_NETWORK_INTERNAL_H

#include "base/err.h"
#include "network/filter.h"
#include "supervisor/network_message.h"
#include "supervisor/resolver_message.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    SPARES_MAX = 2, /* namespaces made ahead: a request and the instance beside it */
    SPARES_QUIET_MS =
        20, /* one is made when nothing was asked for so long: it takes 0.3 ms, and who asks now would wait */
    SPARES_PAUSE_MS = 10000, /* and when the kernel refused one */
    RESOLVER_MISSING_MS =
        5000, /* from the end of its link to the next one, which the supervisor starts when it is dead: one that lives on behind a closed link is not seen by anybody else */
    SWEEP_MS = 1000,
    SWEEP_MAX = 1024,      /* connections of one turn; what is left has the next one */
    NAMES_MAX = 128,       /* addresses that one instance has by name at a time */
    NAME_TTL_MIN_S = 120,  /* an address that was found stays open at least, */
    NAME_TTL_MAX_S = 3600, /* and at most so long; it is asked for anew then */
    NAME_TTL_GRACE_S = 60, /* beyond what its record says: who asked is to get there */
};

/* An empty network namespace: lo is up, no IPv6 for what comes into it. */
struct spare {
    int fd;       /* owned, as is the next */
    int route_fd; /* NETLINK_ROUTE in it */
};

struct found_name {
    uint32_t address, rule;
    uint64_t until_ms; /* boot time; past: the place is free */
};

struct way {
    struct way *next; /* of its bucket */
    struct filter_port port;
    struct found_name *names; /* owned, NAMES_MAX; NULL: no rule has a name */
    struct egress_rule rules[];
};

struct network {
    struct network_boot boot;
    struct netlink_request request; /* scratch */
    int settings_fd;                /* of the namespace that this process is in at the time (os/netif.h) */
    int home_fd;                    /* the router's namespace */
    int route_fd;                   /* NETLINK_ROUTE in it */
    struct filter filter;           /* in it */
    int resolver;                   /* the resolver's socket; -1: there is none now */
    uint64_t resolver_ms;           /* when another one must have come; 0: it is there, or none has been yet */
    struct spare spares[SPARES_MAX];
    unsigned spare_count;
    bool is_cleared;    /* of what a process before this one left in it */
    uint64_t now_ms;    /* of this turn, boot time */
    uint64_t sweep_ms;  /* when to sweep; 0: nothing ended since the last one */
    uint64_t spares_ms; /* when to make another one ahead; all are there: not looked at */
    bool sweep_failed;  /* and that has been told, as has the next */
    bool spares_failed;
};

/* network/confine.c: after it this process has its descriptors, its namespaces and nothing else. */
int network_confine(struct network *n, struct err *e);

/* network/router.c: at the start, in the router's namespace, whatever a process before this one left there. */
int router_open(struct network *n, struct err *e);

/* network/clear.c: once, when all instances that live are known. What can't be taken out is told in the log. */
void router_clear(struct network *n);

/* network/namespace.c */
int namespace_make_spare(struct network *n, struct err *e); /* only where one is missing */
/* The instance's, with its way out: a descriptor for the caller, or -errno. */
int namespace_make(struct network *n, const struct filter_port *p, struct err *e);
/* Of one that a process before this one made: the router's side of it and the way out, whatever was done to them. -ENODEV: it is gone. */
int namespace_take_over(struct network *n, const struct filter_port *p, struct err *e);

/* network/ways.c */
struct way *way_find(uint32_t index);
struct way *way_new(const struct network_add *m, struct err *e); /* in the table; NULL */
void way_remove(struct way *w);
void ways_each(void (*on_way)(const struct way *w, void *context), void *context);
/* Of the resolver: false when it is not to be trusted. *ret_done: the addresses are open. */
bool way_allow(struct network *n, const struct resolver_allow *a, bool *ret_done);

/* network/sweep.c */
void sweep(struct network *n);

/* network/resolver_link.c */
void resolver_link_open(struct network *n, int fd); /* takes it; told of all instances */
void resolver_link_close(struct network *n);        /* its end, for the resolver */
void resolver_link_add(struct network *n, const struct filter_port *p);
void resolver_link_remove(struct network *n, uint32_t index);
void resolver_link_servers(struct network *n, int fd); /* borrowed; -1: there is no file */
void resolver_link_read(struct network *n);            /* it is readable */

#endif
