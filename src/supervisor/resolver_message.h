/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What network process and resolver say to each other: fixed-size messages on a SOCK_SEQPACKET pair. The resolver parses what name servers and functions sent, so it
 * is believed in nothing but this: that an address belongs to a name which an instance's own rules have. The address must be public or granted all the same.
 */
#ifndef FAASD_SUPERVISOR_RESOLVER_MESSAGE_H
#define FAASD_SUPERVISOR_RESOLVER_MESSAGE_H

#include "codec/egress.h"

enum {
    RESOLVER_ADDRESSES_MAX = 8, /* of one answer */
    RESOLVER_SERVERS_MAX = 3,   /* as resolv.conf(5) */
    RESOLVER_MAGIC = 0x66616431,
};

/* What it finds when it starts: fd 3 = the message socket, fd 4 = a memfd holding struct resolver_boot, fd 5 = the UDP socket that functions ask. */
enum { RESOLVER_FD_LINK = 3, RESOLVER_FD_BOOT = 4, RESOLVER_FD_DOOR = 5, RESOLVER_FDS = 6 };
struct resolver_boot {
    uint32_t magic;
    uint32_t quiet;
    uint32_t server_count; /* of the configuration; 0: those of /etc/resolv.conf */
    uint32_t servers[RESOLVER_SERVERS_MAX];
    struct egress_grants grants;
};

enum resolver_message_type {
    /* network process -> resolver */
    RESOLVER_ADD = 1, /* resolver_add: an instance that may ask, before anything of it runs */
    RESOLVER_REMOVE,  /* resolver_plain: it is gone */
    RESOLVER_SERVERS, /* resolver_plain, and /etc/resolv.conf, opened; without a descriptor it can't be */
    RESOLVER_ALLOWED, /* resolver_plain: the answer to ALLOW; `value` 1: done */
    /* resolver -> network process, which passes ASK_SERVERS on to the supervisor */
    RESOLVER_ASK_SERVERS, /* resolver_plain */
    RESOLVER_ALLOW,       /* resolver_allow */
};

struct resolver_header {
    uint32_t type;
    uint32_t size;
};

struct resolver_plain {
    struct resolver_header header;
    uint64_t query; /* ALLOWED: of ALLOW */
    uint32_t index; /* REMOVE */
    uint32_t value;
};

struct resolver_add {
    struct resolver_header header;
    uint32_t index;   /* of the interface that its questions come in by */
    uint32_t address; /* and from where */
    uint32_t rule_count;
    struct egress_rule rules[EGRESS_RULES_MAX];
};

struct resolver_allow {
    struct resolver_header header;
    uint64_t query; /* the resolver's own number */
    uint32_t index;
    uint32_t rules; /* a bit each: those that name it */
    uint32_t ttl_s;
    uint32_t count;
    uint32_t addresses[RESOLVER_ADDRESSES_MAX];
};

#endif
