/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many wrong credentials an address has shown lately. A bounded table: a newcomer takes the place of whoever has the least to answer for among the few that share his slots, so a
 * flood of addresses costs memory to nobody and forgives single slips first. An IPv6 client is its /64, of which it may have all addresses.
 *
 * Right credentials are never counted nor held up: a token has 256 random bits, so there is nothing to guess that a lock-out would protect, and one misconfigured client behind a proxy or
 * NAT must not shut out its neighbours. What the limit keeps is the log and the attention of whoever reads it.
 */
#ifndef FAASD_GATEWAY_THROTTLE_H
#define FAASD_GATEWAY_THROTTLE_H

#include "codec/address.h"

enum { THROTTLE_SETS = 256, THROTTLE_WAYS = 4 };

struct throttle_entry {
    struct address address; /* family 0: free */
    uint64_t empty_ns;      /* when it will have nothing to answer for */
    bool told;              /* that it is over the limit */
};

struct throttle {
    uint64_t seed; /* random: nobody chooses whose slots he shares */
    struct throttle_entry entries[THROTTLE_SETS][THROTTLE_WAYS];
};

void throttle_init(struct throttle *t); /* zeroed memory: pages that nobody needs are not touched */

struct throttle_verdict {
    unsigned retry_s; /* 0: under the limit; else after so many seconds the next one is */
    bool crossed;     /* this one was the first over the limit */
};
/* A wrong credential at now_ns, with `per_minute` allowed. */
struct throttle_verdict throttle_count(struct throttle *t, const struct address *a, uint64_t now_ns,
                                       unsigned per_minute);
/* Is it over the limit already? */
bool throttle_is_over(const struct throttle *t, const struct address *a, uint64_t now_ns, unsigned per_minute);

#endif
