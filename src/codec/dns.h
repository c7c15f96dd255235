/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DNS messages (RFC 1035) as far as a resolver needs them that asks for IPv4 addresses and passes on nothing but addresses: what functions ask, what name servers
 * answer. Both are strangers' bytes. Answers to functions are put together anew: no byte of a name server's reaches one.
 */
#ifndef FAASD_CODEC_DNS_H
#define FAASD_CODEC_DNS_H

#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    DNS_WIRE_NAME_MAX = 255,
    DNS_NAME_MAX = 254, /* as text, with a NUL */
    DNS_QUESTION_MAX = DNS_WIRE_NAME_MAX + 4,
    DNS_MESSAGE_MAX = 1232, /* what is asked for by EDNS: fits every path (RFC 9715) */
    DNS_REPLY_MAX = 512,    /* what every client takes */
    DNS_ADDRESSES_MAX = 8,
    DNS_RECORDS_MAX = 64, /* of an answer that are looked at */
    DNS_ALIASES_MAX = 8,  /* one after another */
};

enum dns_type { DNS_A = 1, DNS_CNAME = 5, DNS_AAAA = 28, DNS_OPT = 41 };
enum dns_rcode { DNS_NO_ERROR, DNS_FORMAT_ERROR, DNS_SERVER_FAILURE, DNS_NO_NAME, DNS_NOT_IMPLEMENTED, DNS_REFUSED };

enum dns_outcome {
    DNS_GOOD,
    DNS_BAD, /* malformed; of a query, `id` can be answered */
    DNS_FOREIGN /* nothing to answer: a reply where a query should be, or the other way round; of an answer: to another question */
};

struct dns_query {
    uint16_t id;
    bool recursion_desired;
    uint16_t type, class;
    char name
        [DNS_NAME_MAX]; /* lower case, no dot at its end; "" where it has bytes that no host's name has, or is the root */
    size_t question_bytes;              /* 0: there is none to be repeated */
    uint8_t question[DNS_QUESTION_MAX]; /* as it came */
};

/* One question, of the Internet's class or any. BAD with the id; a query of another kind than a standard one is BAD as well. */
enum dns_outcome dns_read_query(const uint8_t *bytes, size_t n, struct dns_query *ret_query);

/* The same question to a name server, under another id: the length. */
size_t dns_put_query(uint8_t out[DNS_REPLY_MAX], const struct dns_query *q, uint16_t id);

struct dns_answer {
    uint8_t rcode;
    unsigned count;
    uint32_t ttl_s;                        /* the shortest on the way to them */
    uint32_t addresses[DNS_ADDRESSES_MAX]; /* host byte order; more are left out */
};
/* The addresses that the question's name leads to, by way of its aliases, wherever they stand among the answers. */
enum dns_outcome dns_read_answer(const uint8_t *bytes, size_t n, const struct dns_query *q, uint16_t id,
                                 struct dns_answer *ret_answer);

/* The reply to `q`: the length. */
size_t dns_put_reply(uint8_t out[DNS_REPLY_MAX], const struct dns_query *q, const struct dns_answer *a);

#endif
