/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/identity.h"

#include "os/userns.h"

bool identity_is_shared(void)
{
    const struct userns *u = userns_own();
    return u->entered && u->ids == 0;
}

static uint32_t nth(const struct config *c, uint32_t n)
{
    return identity_is_shared() ? 0 : c->uid_base + n;
}

uint32_t identity_gateway(const struct config *c)
{
    return nth(c, 0);
}

uint32_t identity_code_owner(const struct config *c)
{
    return nth(c, 1);
}

uint32_t identity_first_instance(const struct config *c)
{
    return nth(c, IDENTITY_RESERVED);
}

void identity_fit(struct config *c)
{
    const struct userns *u = userns_own();
    if (!u->entered || u->ids == 0)
        return;
    uint32_t count = u->ids - 1; /* the last one is the reader's of the configuration */
    c->uid_base = USERNS_FIRST;
    if (c->uid_count > count)
        c->uid_count = count;
    if (c->instances_max > c->uid_count - IDENTITY_RESERVED)
        c->instances_max = c->uid_count - IDENTITY_RESERVED;
}
