/* SPDX-License-Identifier: Apache-2.0 */
/* Numeric addresses of clients and proxies, and ranges of them (RFC 4632, RFC 4291). An IPv4 address within IPv6 (::ffff:192.0.2.1) is the IPv4 address. */
#ifndef FAASD_CODEC_ADDRESS_H
#define FAASD_CODEC_ADDRESS_H

#include "base/str.h"

enum address_family { ADDRESS_NONE, ADDRESS_UNIX, ADDRESS_V4, ADDRESS_V6 }; /* UNIX: whoever uses a Unix socket */

struct address {
    uint8_t family; /* enum address_family */
    uint8_t bytes[16];
};

enum { ADDRESS_RANGE_TEXT_MAX = 64 };
struct address_range {
    struct address first; /* the bits behind `bits` are 0 */
    uint8_t bits;
};

/* "192.0.2.1", "::1", "[::1]", the first and the last also with ":PORT". False: it is none. */
bool address_parse(struct str text, struct address *ret_address);
bool address_is_loopback(const struct address *a); /* Unix sockets too: it is this host */
void address_print(const struct address *a, char out[ADDRESS_RANGE_TEXT_MAX]);

/* "192.0.2.0/24", "2001:db8::/32", one address, or "unix:". False: it is none, or bits behind the prefix are set. */
bool address_parse_range(struct str text, struct address_range *ret_range);
void address_print_range(const struct address_range *r, char out[ADDRESS_RANGE_TEXT_MAX]);
bool address_is_in(const struct address *a, const struct address_range *r);
/* Of a struct that somebody else made. */
bool address_range_is_valid(const struct address_range *r);

#endif
