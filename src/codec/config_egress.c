/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/config_egress.h"

#include "codec/config_key.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

int config_check_egress_range(const char *text, struct err *e)
{
    struct egress_range range;
    unsigned count;
    const struct egress_range *special = egress_special(&count);
    bool good = egress_parse_range(str_from(text), &range) && range.bits >= CONFIG_EGRESS_BITS_MIN &&
                range.bits <= CONFIG_EGRESS_BITS_MAX;
    bool is_special = false;
    for (unsigned i = 0; good && i < count; i++)
        is_special = is_special || (range.bits >= special[i].bits && egress_range_has(&special[i], range.address));
    if (good && is_special)
        return 0;
    return err_say(
        e, EINVAL,
        "'%.24s' is not a range of addresses for functions: a private one, /%d to /%d, such as 100.64.0.0/16", text,
        CONFIG_EGRESS_BITS_MIN, CONFIG_EGRESS_BITS_MAX);
}

void config_egress_range(const struct config *c, struct egress_range *ret_range)
{
    bool good = egress_parse_range(str_from(c->egress.range), ret_range);
    assert(good);
}

uint32_t config_egress_gateway(const struct config *c)
{
    struct egress_range range;
    config_egress_range(c, &range);
    return range.address + 1;
}

int config_add_name_server(struct config *c, const char *text, struct err *e)
{
    struct egress_range r;
    if (!egress_parse_range(str_from(text), &r) || r.bits != 32 || strchr(text, '/'))
        return err_say(e, EINVAL, "'%.64s' is not a name server's IPv4 address, such as 192.0.2.53", text);
    if (c->egress.server_count == CONFIG_NAME_SERVERS_MAX)
        return err_say(e, EINVAL, "more than %d name servers", (int)CONFIG_NAME_SERVERS_MAX);
    c->egress.servers[c->egress.server_count++] = r.address;
    return 0;
}

int config_add_egress_private(struct config *c, const char *text, struct err *e)
{
    struct egress_range r;
    if (!egress_parse_range(str_from(text), &r))
        return err_say(e, EINVAL,
                       "'%.64s' is not a range of IPv4 addresses such as 10.0.0.0/8 or 192.0.2.7; no bit behind the "
                       "prefix may be set",
                       text);
    if (c->egress.grants.count == EGRESS_RANGES_MAX)
        return err_say(e, EINVAL, "more than %d ranges", (int)EGRESS_RANGES_MAX);
    c->egress.grants.ranges[c->egress.grants.count++] = r;
    return 0;
}

int config_print_range(const struct egress_range *r, struct buf *out)
{
    uint32_t a = r->address;
    if (r->bits > 32)
        return -EINVAL;
    int result = buf_addf(out, "%u.%u.%u.%u", a >> 24, a >> 16 & 255, a >> 8 & 255, a & 255);
    return result < 0 || r->bits == 32 ? result : buf_addf(out, "/%u", r->bits);
}

/* Each start of such a function would be refused: better once, and here. */
static bool roles_lack_grant(const struct config *c)
{
    bool lack = c->lambda.network == CONFIG_NETWORK_EGRESS;
    for (uint32_t i = 0; i < c->lambda.role_count && i < CONFIG_ROLES_MAX; i++)
        lack = lack || c->lambda.roles[i].network == CONFIG_NETWORK_EGRESS;
    return lack && !c->grant_network_egress;
}

/* Functions are no private network of anybody's: a grant never reaches one of them. */
int config_check_egress(const struct config *c, struct err *e)
{
    struct egress_range own;
    config_egress_range(c, &own);
    if (c->egress.server_count > CONFIG_NAME_SERVERS_MAX || c->egress.grants.count > EGRESS_RANGES_MAX)
        return err_say(e, EINVAL, "a list is too long");
    if (roles_lack_grant(c))
        return err_say(
            e, EINVAL,
            "lambda.network or a role of lambda.roles says egress: set grants.network_egress to true as well");
    for (uint32_t i = 0; i < c->egress.grants.count; i++)
        if (c->egress.grants.ranges[i].bits <= 32 && egress_ranges_overlap(&c->egress.grants.ranges[i], &own))
            return err_say(e, EINVAL,
                           "grants.egress_private overlaps egress.range (%s), where functions' own addresses are",
                           c->egress.range);
    return 0;
}
