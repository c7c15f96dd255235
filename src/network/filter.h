/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What functions with `network: egress` may send: the table "faasd" of the router's namespace, where no process lives. It is put together from numbers; docs/NETWORK.md
 * says what it holds. An instance is a veth with one address there, known by the veth's index, which is never used twice. Static rules and sets; an instance is
 * an element in `bound`, in `open` (no allow_host, or "public") and, with rules, a chain of its own in `chains`; what the resolver found for it are elements of
 * `names` that expire.
 */
#ifndef FAASD_NETWORK_FILTER_H
#define FAASD_NETWORK_FILTER_H

#include "os/netlink.h"
#include "supervisor/network_message.h"

enum { FILTER_NAMES_MAX = 65536 /* addresses found by name, of all instances */ };

struct filter_router {
    uint32_t uplink;  /* index of the interface */
    uint32_t gateway; /* address of the name server that instances ask */
    const struct egress_grants *grants;
    const struct network_limits *limits;
};

/* A socket of netlink_open(NETLINK_NETFILTER) and scratch for requests. */
struct filter {
    int fd;
    struct netlink_request *request; /* borrowed */
};

/* At once in the place of all tables that are there: what it held of instances is gone, what was let through before goes on. */
int filter_open(const struct filter *f, const struct filter_router *o, struct err *e);

/* One instance. */
struct filter_port {
    uint32_t index;   /* of its veth in the router's namespace */
    uint32_t address; /* its own */
    unsigned rule_count;
    const struct egress_rule *rules;
};
int filter_add(const struct filter *f, const struct filter_port *p, struct err *e);
int filter_remove(const struct filter *f, const struct filter_port *p, struct err *e);

/* For rule number `rule` of it, this address, for so long; again: it may be there already. */
struct filter_found {
    uint32_t index, rule, address;
    uint64_t timeout_ms;
    bool again;
};
int filter_allow(const struct filter *f, const struct filter_found *a, struct err *e);

#endif
