/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Netlink (netlink(7)): messages put together in memory, sent whole, and the kernel's verdict awaited. One message, or a batch of them that holds as a whole
 * or not at all (nf_tables). The socket acts in the network namespace it was opened in, whichever its owner is in later.
 */
#ifndef FAASD_OS_NETLINK_H
#define FAASD_OS_NETLINK_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
    NETLINK_BYTES_MAX = 65536, /* of one request */
    NETLINK_DEPTH_MAX = 8,     /* attributes within attributes */
    NETLINK_TIMEOUT_S = 5,     /* the kernel answers at once; one that does not must not hold its caller for ever */
};

/* A request that grows. What does not fit is noted and told by netlink_ask(), so that adding needs no check. */
struct netlink_request {
    size_t length;
    size_t message; /* where the present message begins */
    size_t nests[NETLINK_DEPTH_MAX];
    unsigned depth;
    uint32_t first, next; /* sequence numbers: of the request's first message, of the next one */
    bool overflow;
    _Alignas(uint32_t) unsigned char bytes[NETLINK_BYTES_MAX]; /* messages begin at multiples of NLMSG_ALIGNTO */
};

int netlink_open(int protocol, struct err *e); /* NETLINK_ROUTE, NETLINK_NETFILTER; CLOEXEC, or -errno */

void netlink_begin(struct netlink_request *r); /* empty; the sequence goes on */
/* A message: its type and flags, its family's header. The one before is ended by it. */
void netlink_message(struct netlink_request *r, uint16_t type, uint16_t flags, const void *head, size_t head_size);
void netlink_put(struct netlink_request *r, uint16_t attribute, const void *bytes, size_t n);
void netlink_put_text(struct netlink_request *r, uint16_t attribute, const char *text);
void netlink_put_u32(struct netlink_request *r, uint16_t attribute, uint32_t value);
void netlink_put_be32(struct netlink_request *r, uint16_t attribute, uint32_t value); /* network byte order */
void netlink_put_be64(struct netlink_request *r, uint16_t attribute, uint64_t value);
void netlink_put_raw(struct netlink_request *r, const void *bytes, size_t n); /* padded */
void netlink_nest(struct netlink_request *r, uint16_t attribute);
void netlink_nest_end(struct netlink_request *r);

/* Sends it; its last message but `behind` has NLM_F_ACK. 0, or -errno of the first message that failed, without a context: the caller knows what it asked. */
int netlink_ask(int fd, struct netlink_request *r, struct err *e);

/* Sends it (one message with NLM_F_DUMP) and calls for each answer; a negative result of `on_answer` ends it. */
struct nlmsghdr;
int netlink_dump(int fd, struct netlink_request *r, int (*on_answer)(const struct nlmsghdr *m, void *context),
                 void *context);

#endif
