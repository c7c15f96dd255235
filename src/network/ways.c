/* SPDX-License-Identifier: Apache-2.0 */
/* Instances that live, and the addresses that are open to each because the resolver found them. */
#include "network/internal.h"

#include "base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { BUCKETS = 1024 };

static struct way *buckets[BUCKETS];

static struct way **find_place(uint32_t index)
{
    struct way **at = &buckets[index % BUCKETS];
    while (*at && (*at)->port.index != index)
        at = &(*at)->next;
    return at;
}

struct way *way_find(uint32_t index)
{
    return *find_place(index);
}

static bool has_names(const struct network_add *m)
{
    for (uint32_t k = 0; k < m->rule_count; k++)
        if (egress_rule_is_name(&m->rules[k]))
            return true;
    return false;
}

struct way *way_new(const struct network_add *m, struct err *e)
{
    struct way **at = find_place(m->index);
    struct way *w = calloc(1, sizeof(*w) + m->rule_count * sizeof(w->rules[0]));
    if (w && has_names(m) && !(w->names = calloc(NAMES_MAX, sizeof(*w->names)))) {
        free(w);
        w = NULL;
    }
    if (!w) {
        err_set(e, ENOMEM, "make a way out");
        return NULL;
    }
    if (m->rule_count)
        memcpy(w->rules, m->rules, m->rule_count * sizeof(w->rules[0]));
    w->port =
        (struct filter_port){.index = m->index, .address = m->address, .rule_count = m->rule_count, .rules = w->rules};
    *at = w;
    return w;
}

void way_remove(struct way *w)
{
    *find_place(w->port.index) = w->next;
    free(w->names);
    free(w);
}

void ways_each(void (*on_way)(const struct way *w, void *context), void *context)
{
    for (unsigned b = 0; b < BUCKETS; b++)
        for (const struct way *w = buckets[b]; w; w = w->next)
            on_way(w, context);
}

/* ---- what the resolver found ---- */

/* Its place, or a free one; NULL: the instance has its share. */
static struct found_name *find_name(struct way *w, uint32_t address, uint32_t rule, uint64_t now_ms)
{
    struct found_name *free_place = NULL;
    for (unsigned k = 0; k < NAMES_MAX; k++) {
        struct found_name *at = &w->names[k];
        if (at->until_ms > now_ms && at->address == address && at->rule == rule)
            return at;
        if (at->until_ms <= now_ms && !free_place)
            free_place = at;
    }
    return free_place;
}

static bool allow_one(struct network *n, struct way *w, struct filter_found *f)
{
    struct err e;
    struct found_name *name = find_name(w, f->address, f->rule, n->now_ms);
    if (!name)
        return false;
    f->again = name->until_ms > n->now_ms;
    if (f->again && name->until_ms - n->now_ms > f->timeout_ms / 2)
        return true;
    if (filter_allow(&n->filter, f, &e) < 0) {
        log_warn("%s: an address that was found stays closed", e.text);
        return false;
    }
    *name = (struct found_name){.address = f->address, .rule = f->rule, .until_ms = n->now_ms + f->timeout_ms};
    return true;
}

static bool rules_have_names(const struct way *w, uint32_t rules)
{
    for (unsigned k = 0; k < 32; k++)
        if (rules >> k & 1 && (k >= w->port.rule_count || !egress_rule_is_name(&w->rules[k])))
            return false;
    return rules != 0;
}

bool way_allow(struct network *n, const struct resolver_allow *a, bool *ret_done)
{
    struct way *w = way_find(a->index);
    *ret_done = false;
    if (a->count == 0 || a->count > RESOLVER_ADDRESSES_MAX)
        return false;
    for (uint32_t k = 0; k < a->count; k++)
        if (!egress_is_granted(&n->boot.grants, a->addresses[k]))
            return false;
    if (!w)
        return true; /* it has just ended */
    if (!rules_have_names(w, a->rules))
        return false;
    uint64_t ttl_s = (uint64_t)a->ttl_s + NAME_TTL_GRACE_S;
    ttl_s = ttl_s < NAME_TTL_MIN_S ? NAME_TTL_MIN_S : ttl_s > NAME_TTL_MAX_S ? NAME_TTL_MAX_S : ttl_s;
    bool done = true;
    for (unsigned rule = 0; done && rule < w->port.rule_count; rule++)
        for (uint32_t k = 0; done && a->rules >> rule & 1 && k < a->count; k++) {
            struct filter_found f = {
                .index = a->index, .rule = rule, .address = a->addresses[k], .timeout_ms = ttl_s * 1000};
            done = allow_one(n, w, &f);
        }
    *ret_done = done;
    return true;
}
