/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of resolver/. One thread, one poll(2). */
#ifndef FAASD_RESOLVER_INTERNAL_H
#define FAASD_RESOLVER_INTERNAL_H

#include "base/err.h"
#include "codec/dns.h"
#include "supervisor/resolver_message.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

enum {
    QUERIES_MAX = 256,         /* under way at a time */
    QUERIES_INSTANCE_MAX = 32, /* of one instance */
    RATE_PER_SECOND = 50,      /* of one instance; more are not heard, and asked again by whoever needs the answer */
    RATE_BURST = 100,
    TRY_MS = 1500, /* for one name server's answer */
    TRIES_MAX = 4,
    ALLOW_MS = 2000,        /* for the network process's */
    SERVERS_AGE_MS = 30000, /* then /etc/resolv.conf is looked at again, when there is a question */
    SERVERS_TEXT_MAX = 16384,
    TTL_SHOWN_MAX = 3000, /* seconds: less than the network process leaves an address open at most */
};

/* An instance that may ask. */
struct instance {
    struct instance *next; /* of its bucket */
    uint32_t index;        /* of its interface */
    uint32_t address;
    unsigned queries;   /* under way */
    uint32_t tokens;    /* thousandths of a question */
    uint64_t tokens_ms; /* when they were counted */
    unsigned rule_count;
    struct egress_rule rules[];
};

enum query_state {
    QUERY_FREE,
    QUERY_ASKING, /* fd: a name server's answer, or the deadline -> the next try; after the last one the client is told */
    QUERY_ALLOWING /* the network process's answer, or the deadline -> the client is told */
};

struct query {
    enum query_state state;
    uint64_t number; /* by which the network process's answer names it */
    uint32_t index;  /* whose */
    uint16_t rules;  /* that have the name */
    uint16_t id;     /* at the name server */
    unsigned tries;
    int fd; /* owned */
    uint64_t deadline_ms;
    struct sockaddr_in client;
    struct dns_query question;
    struct dns_answer answer;
};

struct server {
    struct sockaddr_storage address;
    socklen_t length;
};

struct resolver {
    struct resolver_boot boot;
    unsigned server_count;
    struct server servers[RESOLVER_SERVERS_MAX];
    bool has_servers; /* until then no question is read */
    uint64_t servers_ms;
    uint64_t next_number;
    uint64_t now_ms; /* of this turn */
    struct query queries[QUERIES_MAX];
};

/* resolver/instances.c */
struct instance *instance_find(uint32_t index);
int instance_add(const struct resolver_add *m); /* 0, -ENOMEM, or -EPROTO */
void instance_remove(uint32_t index);
bool instance_may_ask(struct instance *i, uint64_t now_ms); /* counts it */

/* resolver/servers.c */
void servers_take_configured(struct resolver *r);
void servers_read(struct resolver *r, int fd); /* -1: there is no file */

/* resolver/query.c */
void query_take(struct resolver *r);                                      /* what waits at the door */
void query_on_answer(struct resolver *r, struct query *q);                /* its socket is readable */
void query_on_allowed(struct resolver *r, uint64_t number, bool allowed); /* the network process's answer */
void query_on_deadline(struct resolver *r, struct query *q);

/* resolver/confine.c */
int resolver_confine(struct err *e);

#endif
