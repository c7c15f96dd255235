/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/egress.h"

#include "codec/address.h"

#include <errno.h>
#include <string.h>

enum { SHOWN_MAX = 64, LABEL_MAX = 63, PORT_LAST = 65535 };

#define V4(a, b, c, d) ((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (uint32_t)(d))

static const struct egress_range SPECIAL[] = {
    {V4(0, 0, 0, 0), 8},       /* this host */
    {V4(10, 0, 0, 0), 8},      /* RFC 1918 */
    {V4(100, 64, 0, 0), 10},   /* carriers' (RFC 6598); faasd's own range lies here */
    {V4(127, 0, 0, 0), 8},     /* loopback */
    {V4(169, 254, 0, 0), 16},  /* link-local: clouds' metadata at 169.254.169.254 */
    {V4(172, 16, 0, 0), 12},   /* RFC 1918 */
    {V4(192, 0, 0, 0), 24},    /* IETF protocol assignments */
    {V4(192, 0, 2, 0), 24},    /* documentation */
    {V4(192, 88, 99, 0), 24},  /* 6to4 relays: a way into IPv6 */
    {V4(192, 168, 0, 0), 16},  /* RFC 1918 */
    {V4(198, 18, 0, 0), 15},   /* benchmarks */
    {V4(198, 51, 100, 0), 24}, /* documentation */
    {V4(203, 0, 113, 0), 24},  /* documentation */
    {V4(224, 0, 0, 0), 4},     /* multicast */
    {V4(240, 0, 0, 0), 4},     /* reserved, and broadcast */
};
enum { SPECIAL_COUNT = sizeof(SPECIAL) / sizeof(SPECIAL[0]) };

/* ---- addresses ---- */

static uint32_t mask_of(uint32_t bits)
{
    return bits ? ~UINT32_C(0) << (32 - bits) : 0;
}

const struct egress_range *egress_special(unsigned *ret_count)
{
    *ret_count = SPECIAL_COUNT;
    return SPECIAL;
}

bool egress_range_has(const struct egress_range *r, uint32_t address)
{
    return ((r->address ^ address) & mask_of(r->bits)) == 0;
}

bool egress_ranges_overlap(const struct egress_range *a, const struct egress_range *b)
{
    return a->bits < b->bits ? egress_range_has(a, b->address) : egress_range_has(b, a->address);
}

static bool is_within(const struct egress_range *inner, const struct egress_range *outer)
{
    return inner->bits >= outer->bits && egress_range_has(outer, inner->address);
}

bool egress_is_public(uint32_t address)
{
    for (unsigned i = 0; i < SPECIAL_COUNT; i++)
        if (egress_range_has(&SPECIAL[i], address))
            return false;
    return true;
}

bool egress_is_granted(const struct egress_grants *g, uint32_t address)
{
    bool granted = egress_is_public(address);
    for (uint32_t i = 0; !granted && i < g->count; i++)
        granted = egress_range_has(&g->ranges[i], address);
    return granted;
}

bool egress_parse_range(struct str text, struct egress_range *ret_range)
{
    struct address_range r;
    if (!address_parse_range(text, &r) || r.first.family != ADDRESS_V4 || !memchr(text.p, '.', text.n) ||
        memchr(text.p, ':', text.n))
        return false;
    const uint8_t *b = r.first.bytes;
    *ret_range = (struct egress_range){.address = V4(b[0], b[1], b[2], b[3]), .bits = r.bits};
    return true;
}

int egress_check_grant(const struct egress_rule *r, const struct egress_grants *g, struct err *e)
{
    const struct egress_range asked = {.address = r->address, .bits = r->bits};
    bool is_special = false, is_granted = false;
    if (r->kind != EGRESS_RANGE)
        return 0;
    for (unsigned i = 0; i < SPECIAL_COUNT; i++)
        is_special = is_special || is_within(&asked, &SPECIAL[i]);
    for (uint32_t i = 0; i < g->count; i++)
        is_granted = is_granted || is_within(&asked, &g->ranges[i]);
    if (!is_special || is_granted)
        return 0;
    uint32_t a = r->address;
    return err_say(e, EPERM,
                   "allow_host %u.%u.%u.%u/%u is no public address and is not granted: add it to "
                   "grants.egress_private in the configuration",
                   a >> 24, a >> 16 & 255, a >> 8 & 255, a & 255, r->bits);
}

/* ---- names ---- */

static bool is_name_character(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

/* Labels of a-z 0-9 - _, one dot between them; the last is no number (that would be an address written in some other way). */
static bool name_is_valid(struct str name)
{
    size_t label = 0;
    bool only_digits = true;
    if (name.n == 0 || name.n >= EGRESS_NAME_MAX)
        return false;
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        if (c == '.') {
            if (label == 0)
                return false;
            label = 0;
            only_digits = true;
            continue;
        }
        if (!is_name_character(c) || (c == '-' && label == 0) || ++label > LABEL_MAX)
            return false;
        only_digits = only_digits && c >= '0' && c <= '9';
    }
    return label > 0 && !only_digits;
}

bool egress_rule_is_name(const struct egress_rule *r)
{
    return r->kind == EGRESS_NAME || r->kind == EGRESS_BELOW;
}

bool egress_is_open(const struct egress_rule *rules, unsigned count)
{
    bool open = count == 0;
    for (unsigned i = 0; i < count; i++)
        open = open || rules[i].kind == EGRESS_PUBLIC;
    return open;
}

static bool rule_names(const struct egress_rule *r, struct str name)
{
    size_t n = strlen(r->name);
    if (r->kind == EGRESS_NAME)
        return str_is(name, r->name);
    return r->kind == EGRESS_BELOW && name.n > n + 1 && name.p[name.n - n - 1] == '.' &&
           memcmp(name.p + name.n - n, r->name, n) == 0;
}

uint16_t egress_match_name(const struct egress_rule *rules, unsigned count, struct str name)
{
    unsigned found = 0;
    for (unsigned i = 0; i < count; i++)
        found |= rule_names(&rules[i], name) ? 1U << i : 0;
    return (uint16_t)found;
}

/* ---- rules ---- */

static int refuse(struct str text, struct err *e)
{
    return err_say(e, EINVAL,
                   "'%.*s' is not HOST:PORT: write example.com:443, *.example.com:443, 192.0.2.0/24:5432, "
                   "192.0.2.1:8000-8999, example.com:53/udp, example.com:* or public",
                   (int)(text.n < SHOWN_MAX ? text.n : SHOWN_MAX), text.p ? text.p : "");
}

static bool read_ports(struct str text, struct egress_rule *r)
{
    struct str last;
    bool is_range;
    uint64_t low, high;
    if (str_is(text, "*")) {
        r->last_port = PORT_LAST;
        return true;
    }
    struct str first = str_cut(text, '-', &last, &is_range);
    if (!str_to_u64(first, &low) || (is_range && !str_to_u64(last, &high)))
        return false;
    high = is_range ? high : low;
    if (low == 0 || high > PORT_LAST || low > high)
        return false;
    r->first_port = (uint16_t)low;
    r->last_port = (uint16_t)high;
    return true;
}

static bool read_host(struct str text, struct egress_rule *r)
{
    struct egress_range range;
    if (egress_parse_range(text, &range)) {
        r->kind = EGRESS_RANGE;
        r->address = range.address;
        r->bits = (uint8_t)range.bits;
        return true;
    }
    bool below = str_starts_with(text, "*.");
    r->kind = below ? EGRESS_BELOW : EGRESS_NAME;
    if (below)
        text = str_skip(text, 2);
    if (text.n && text.p[text.n - 1] == '.')
        text.n--;
    if (!str_copy(text, r->name, sizeof(r->name)))
        return false;
    for (char *p = r->name; *p; p++)
        *p = (char)(*p >= 'A' && *p <= 'Z' ? *p | 0x20 : *p);
    return name_is_valid(str_from(r->name));
}

int egress_parse(struct str text, struct egress_rule *ret_rule, struct err *e)
{
    struct egress_rule r = {0};
    if (str_is(text, "public")) {
        r.kind = EGRESS_PUBLIC;
        *ret_rule = r;
        return 0;
    }
    const char *colon = text.n ? memrchr(text.p, ':', text.n) : NULL;
    if (!colon)
        return refuse(text, e);
    bool has_protocol;
    struct str protocol, host = {text.p, (size_t)(colon - text.p)};
    struct str ports = str_cut(str_skip(text, host.n + 1), '/', &protocol, &has_protocol);
    r.protocol = str_is(protocol, "udp") ? EGRESS_UDP : EGRESS_TCP;
    if (has_protocol && !str_is(protocol, "udp") && !str_is(protocol, "tcp"))
        return refuse(text, e);
    if (!read_ports(ports, &r) || !read_host(host, &r))
        return refuse(text, e);
    *ret_rule = r;
    return 0;
}

static int print_host(const struct egress_rule *r, struct buf *out)
{
    uint32_t a = r->address;
    if (r->kind != EGRESS_RANGE)
        return buf_addf(out, "%s%s", r->kind == EGRESS_BELOW ? "*." : "", r->name);
    int result = buf_addf(out, "%u.%u.%u.%u", a >> 24, a >> 16 & 255, a >> 8 & 255, a & 255);
    return result < 0 || r->bits == 32 ? result : buf_addf(out, "/%u", r->bits);
}

int egress_print(const struct egress_rule *r, struct buf *out)
{
    if (r->kind == EGRESS_PUBLIC)
        return buf_add_text(out, "public");
    int result = print_host(r, out);
    if (result == 0 && r->first_port == 0)
        result = buf_add_text(out, ":*");
    else if (result == 0)
        result = buf_addf(out, ":%u", r->first_port);
    if (result == 0 && r->first_port && r->last_port != r->first_port)
        result = buf_addf(out, "-%u", r->last_port);
    return result == 0 && r->protocol == EGRESS_UDP ? buf_add_text(out, "/udp") : result;
}

static bool is_zero(const char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (bytes[i])
            return false;
    return true;
}

bool egress_rule_is_valid(const struct egress_rule *r)
{
    if (r->kind < EGRESS_PUBLIC || r->kind >= EGRESS_KIND_END || r->reserved || r->padding || r->bits > 32)
        return false;
    bool has_name = egress_rule_is_name(r), has_range = r->kind == EGRESS_RANGE;
    size_t n = strnlen(r->name, sizeof(r->name));
    if (n == sizeof(r->name) || !is_zero(r->name + n, sizeof(r->name) - n) || has_name != (n > 0))
        return false;
    if (has_name && !name_is_valid((struct str){r->name, n}))
        return false;
    if (!has_range && (r->address || r->bits))
        return false;
    if (has_range && (r->address & ~mask_of(r->bits)))
        return false;
    if (r->kind == EGRESS_PUBLIC)
        return r->protocol == 0 && r->first_port == 0 && r->last_port == 0;
    bool all_ports = r->first_port == 0 && r->last_port == PORT_LAST;
    return (r->protocol == EGRESS_TCP || r->protocol == EGRESS_UDP) &&
           (all_ports || (r->first_port > 0 && r->first_port <= r->last_port));
}
