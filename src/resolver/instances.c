/* SPDX-License-Identifier: Apache-2.0 */
#include "resolver/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { BUCKETS = 1024, TOKEN = 1000 };

static struct instance *buckets[BUCKETS];

static struct instance **find_place(uint32_t index)
{
    struct instance **at = &buckets[index % BUCKETS];
    while (*at && (*at)->index != index)
        at = &(*at)->next;
    return at;
}

struct instance *instance_find(uint32_t index)
{
    return *find_place(index);
}

int instance_add(const struct resolver_add *m)
{
    struct instance **at = find_place(m->index);
    if (*at || m->rule_count > EGRESS_RULES_MAX)
        return -EPROTO;
    struct instance *i = calloc(1, sizeof(*i) + m->rule_count * sizeof(i->rules[0]));
    if (!i)
        return -ENOMEM;
    i->index = m->index;
    i->address = m->address;
    i->tokens = RATE_BURST * TOKEN;
    i->rule_count = m->rule_count;
    if (m->rule_count)
        memcpy(i->rules, m->rules, m->rule_count * sizeof(i->rules[0]));
    *at = i;
    return 0;
}

void instance_remove(uint32_t index)
{
    struct instance **at = find_place(index), *gone = *at;
    if (!gone)
        return;
    *at = gone->next;
    free(gone);
}

bool instance_may_ask(struct instance *i, uint64_t now_ms)
{
    uint64_t tokens = i->tokens + (now_ms - i->tokens_ms) * RATE_PER_SECOND;
    i->tokens = tokens > RATE_BURST * TOKEN ? RATE_BURST * TOKEN : (uint32_t)tokens;
    i->tokens_ms = now_ms;
    if (i->tokens < TOKEN || i->queries == QUERIES_INSTANCE_MAX)
        return false;
    i->tokens -= TOKEN;
    return true;
}
