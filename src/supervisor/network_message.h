/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What supervisor and network process say to each other: fixed-size messages on a SOCK_SEQPACKET pair. The network process has power over the router's namespace
 * and those of instances, over nothing else; it is believed in no more than "here is a namespace", and that is looked at.
 */
#ifndef FAASD_SUPERVISOR_NETWORK_MESSAGE_H
#define FAASD_SUPERVISOR_NETWORK_MESSAGE_H

#include "codec/egress.h"

enum {
    NETWORK_MAGIC = 0x66616e31,
    NETWORK_DNS_PORT = 53,
    NETWORK_FORGET_MAX = 64, /* connections in one message */
};

struct network_limits {
    uint64_t bytes_per_second, packets_per_second; /* that one instance sends */
    uint32_t connections;                          /* of one instance at a time */
    uint32_t connections_total;
};

/* Locally administered, and the same on every link, of the router and of the host: each link has two ends. */
static const uint8_t NETWORK_MAC[6] = {0x02, 'f', 'a', 'a', 's', 'r'};

/* What it finds when it starts, in the router's namespace: fd 3 = the message socket, fd 4 = a memfd holding struct network_boot. */
enum { NETWORK_FD_LINK = 3, NETWORK_FD_BOOT = 4, NETWORK_FDS = 5 };
struct network_boot {
    uint32_t magic;
    uint32_t quiet;
    uint32_t uplink;       /* index of the interface */
    uint32_t host, router; /* addresses of its ends */
    uint32_t gateway;      /* the name server that instances ask */
    struct egress_grants grants;
    struct network_limits limits;
};

enum network_message_type {
    /* supervisor -> network process */
    NETWORK_ADD = 1,  /* network_add: an instance that needs a namespace */
    NETWORK_AGAIN,    /* network_add: one that has its own, of the process before */
    NETWORK_REMOVE,   /* network_plain: it is gone */
    NETWORK_RESOLVER, /* network_plain, and the socket of a new resolver */
    NETWORK_SERVERS,  /* network_plain, and /etc/resolv.conf, opened; without a descriptor it can't be */
    /* network process -> supervisor */
    NETWORK_MADE,        /* network_made: the answer to ADD, with the namespace, or the reason */
    NETWORK_FORGET,      /* network_forget: connections of dead instances */
    NETWORK_ASK_SERVERS, /* network_plain */
};

struct network_header {
    uint32_t type;
    uint32_t size;
};

struct network_plain {
    struct network_header header;
    uint32_t index; /* REMOVE */
    uint32_t reserved;
};

struct network_add {
    struct network_header header;
    uint32_t index;   /* of both ends of its veth; no other instance gets it again */
    uint32_t address; /* its own */
    uint32_t rule_count;
    struct egress_rule rules[EGRESS_RULES_MAX];
};

struct network_made {
    struct network_header header;
    uint32_t index;
    struct err error; /* code 0: the namespace is there */
};

/* As the host sees them: from the router's end of the uplink. */
struct network_connection {
    uint32_t destination;
    uint16_t source_port, destination_port;
    uint32_t protocol;
};
struct network_forget {
    struct network_header header;
    uint32_t count;
    struct network_connection connections[NETWORK_FORGET_MAX];
};

#endif
