/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/address.h"

#include "base/fmt.h"

#include <arpa/inet.h>
#include <string.h>

enum { V4_BYTES = 4, V6_BYTES = 16 };

static unsigned bits_max(uint8_t family)
{
    return family == ADDRESS_V4 ? 8 * V4_BYTES : family == ADDRESS_V6 ? 8 * V6_BYTES : 0;
}

static bool is_port(struct str text)
{
    uint64_t port;
    return str_to_u64(text, &port) && port <= 65535;
}

static bool parse_v6(struct str text, struct address *a)
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    char copy[INET6_ADDRSTRLEN];
    if (!str_copy(text, copy, sizeof(copy)) || inet_pton(AF_INET6, copy, a->bytes) != 1)
        return false;
    a->family = ADDRESS_V6;
    if (memcmp(a->bytes, mapped, sizeof(mapped)) == 0) {
        a->family = ADDRESS_V4;
        memmove(a->bytes, a->bytes + sizeof(mapped), V4_BYTES);
        memset(a->bytes + V4_BYTES, 0, V6_BYTES - V4_BYTES);
    }
    return true;
}

static bool parse_v4(struct str text, struct address *a)
{
    char copy[INET_ADDRSTRLEN];
    if (!str_copy(text, copy, sizeof(copy)) || inet_pton(AF_INET, copy, a->bytes) != 1)
        return false;
    a->family = ADDRESS_V4;
    return true;
}

bool address_parse(struct str text, struct address *ret_address)
{
    struct address a = {0};
    struct str rest;
    bool has_port, good;
    if (text.n && text.p[0] == '[') {
        bool closed;
        struct str inner = str_cut(str_skip(text, 1), ']', &rest, &closed);
        has_port = rest.n > 0;
        good = closed && (!has_port || (rest.p[0] == ':' && is_port(str_skip(rest, 1)))) && parse_v6(inner, &a);
    } else {
        struct str first = str_cut(text, ':', &rest, &has_port);
        if (has_port && rest.n && memchr(rest.p, ':', rest.n))
            good = parse_v6(text, &a);
        else
            good = (!has_port || is_port(rest)) && parse_v4(first, &a);
    }
    if (good)
        *ret_address = a;
    return good;
}

bool address_is_loopback(const struct address *a)
{
    static const uint8_t one[V6_BYTES] = {[V6_BYTES - 1] = 1};
    switch (a->family) {
    case ADDRESS_UNIX:
        return true;
    case ADDRESS_V4:
        return a->bytes[0] == 127;
    case ADDRESS_V6:
        return memcmp(a->bytes, one, sizeof(one)) == 0;
    default:
        return false;
    }
}

void address_print(const struct address *a, char out[ADDRESS_RANGE_TEXT_MAX])
{
    int family = a->family == ADDRESS_V4 ? AF_INET : AF_INET6;
    if (bits_max(a->family) == 0)
        fmt_to(out, ADDRESS_RANGE_TEXT_MAX, "%s", a->family == ADDRESS_UNIX ? "unix:" : "");
    else if (!inet_ntop(family, a->bytes, out, ADDRESS_RANGE_TEXT_MAX))
        out[0] = '\0';
}

static uint8_t mask_of(unsigned bits, unsigned byte)
{
    if (bits >= 8 * (byte + 1))
        return 0xff;
    if (bits <= 8 * byte)
        return 0;
    return (uint8_t)(0xffU << (8 * (byte + 1) - bits));
}

bool address_range_is_valid(const struct address_range *r)
{
    uint8_t family = r->first.family;
    if (family < ADDRESS_UNIX || family > ADDRESS_V6 || r->bits > bits_max(family))
        return false;
    for (unsigned i = 0; i < V6_BYTES; i++)
        if (r->first.bytes[i] & ~mask_of(r->bits, i))
            return false;
    return true;
}

bool address_parse_range(struct str text, struct address_range *ret_range)
{
    struct address_range r = {0};
    struct str bits;
    bool has_bits;
    struct str address = str_cut(text, '/', &bits, &has_bits);
    if (str_is(text, "unix:")) {
        r.first.family = ADDRESS_UNIX;
        *ret_range = r;
        return true;
    }
    uint64_t count;
    bool is_v6 = address.n && memchr(address.p, ':', address.n);
    if (!(is_v6 ? parse_v6(address, &r.first) : parse_v4(address, &r.first)))
        return false;
    count = bits_max(r.first.family);
    if (has_bits && (!str_to_u64(bits, &count) || count > bits_max(r.first.family)))
        return false;
    r.bits = (uint8_t)count;
    if (!address_range_is_valid(&r))
        return false;
    *ret_range = r;
    return true;
}

void address_print_range(const struct address_range *r, char out[ADDRESS_RANGE_TEXT_MAX])
{
    address_print(&r->first, out);
    if (r->bits != bits_max(r->first.family))
        fmt_at(out, ADDRESS_RANGE_TEXT_MAX, strlen(out), "/%u", r->bits);
}

bool address_is_in(const struct address *a, const struct address_range *r)
{
    if (a->family != r->first.family)
        return false;
    for (unsigned i = 0; i < V6_BYTES; i++)
        if ((a->bytes[i] ^ r->first.bytes[i]) & mask_of(r->bits, i))
            return false;
    return true;
}
