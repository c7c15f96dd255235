/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where functions with `network: egress` may connect to: the entries of allow_host, and which IPv4 addresses are the public Internet's. One vocabulary for the
 * gateway (settings), the supervisor (what it is asked to open), and the resolver (which names and which of their addresses). Addresses are in host byte order.
 */
#ifndef FAASD_CODEC_EGRESS_H
#define FAASD_CODEC_EGRESS_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    EGRESS_RULES_MAX = 16,  /* of a function; the resolver names them by the bits of a uint16_t */
    EGRESS_NAME_MAX = 254,  /* RFC 1035: 253 characters and a NUL */
    EGRESS_RANGES_MAX = 32, /* of grants.egress_private */
};

enum egress_kind {
    EGRESS_PUBLIC = 1, /* "public": every public address */
    EGRESS_RANGE,      /* "10.0.0.0/8:5432": addresses */
    EGRESS_NAME,       /* "example.com:443": what the name resolves to */
    EGRESS_BELOW,      /* "*.example.com:443": and every name that ends so */
    EGRESS_KIND_END
};

enum { EGRESS_TCP = 6, EGRESS_UDP = 17 }; /* protocol numbers */

/* A plain struct: it goes through messages. What its kind does not use is 0. */
struct egress_rule {
    uint8_t kind;
    uint8_t protocol;               /* EGRESS_TCP, EGRESS_UDP; PUBLIC: 0 */
    uint8_t bits;                   /* RANGE */
    uint8_t reserved;               /* 0 */
    uint32_t address;               /* RANGE: no bit behind `bits` */
    uint16_t first_port, last_port; /* 0-65535 is "*" */
    char name[EGRESS_NAME_MAX];     /* NAME, BELOW (without "*."): lower case, no dot at its end */
    uint16_t padding;               /* 0 */
};

/* IPv4 addresses. */
struct egress_range {
    uint32_t address;
    uint32_t bits; /* 0-32 */
};

/* "public", or HOST:PORT[/udp]: HOST a name, "*.NAME", an IPv4 address or range; PORT a number, "8000-8999" or "*". -EINVAL with what to write. */
int egress_parse(struct str text, struct egress_rule *ret_rule, struct err *e);
int egress_print(const struct egress_rule *r, struct buf *out); /* as egress_parse() reads it */
/* Of a struct that somebody else made: what egress_parse() could have made. */
bool egress_rule_is_valid(const struct egress_rule *r);
bool egress_rule_is_name(const struct egress_rule *r); /* NAME or BELOW: found by the resolver */

/* "10.0.0.0/8", "192.0.2.1". False: it is none, or bits behind the prefix are set. */
bool egress_parse_range(struct str text, struct egress_range *ret_range);
bool egress_range_has(const struct egress_range *r, uint32_t address);
bool egress_ranges_overlap(const struct egress_range *a, const struct egress_range *b);

/* What is no public address: this host, private networks, link-local (169.254.169.254 among it), carriers' (100.64/10), documentation, benchmarks, multicast
 * and what is reserved (RFC 6890, the IANA registry of special-purpose addresses). */
const struct egress_range *egress_special(unsigned *ret_count);
bool egress_is_public(uint32_t address);

/* Whether the configuration lets functions have it: public, or within a range of grants.egress_private. */
struct egress_grants {
    uint32_t count;
    struct egress_range ranges[EGRESS_RANGES_MAX];
};
bool egress_is_granted(const struct egress_grants *g, uint32_t address);
/* Whether a rule could be of any use: a range that is all special needs a grant that covers it. -EPERM with the key to add. */
int egress_check_grant(const struct egress_rule *r, const struct egress_grants *g, struct err *e);

/* Which of the rules name it, a bit each. `name`: lower case, no dot at its end. */
uint16_t egress_match_name(const struct egress_rule *rules, unsigned count, struct str name);
/* Whether every name may be asked for: there are no rules, or one is "public". */
bool egress_is_open(const struct egress_rule *rules, unsigned count);

#endif
