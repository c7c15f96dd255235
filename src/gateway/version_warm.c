/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/version_warm.h"

#include "gateway/pool_internal.h"
#include "gateway/version_pool.h"

#include <errno.h>

static const struct pool *pool_of(const struct function *f, uint64_t number)
{
    const struct versions_known *k = versions_find(&f->versions, number);
    if (f->current && f->current->number == number)
        return f->pool;
    return k && k->pool && !k->pool->closed ? k->pool : NULL;
}

/* Of the current version what its numbers and aliases want is not beside min_warm. */
static uint64_t wanted_by_all(const struct function *f)
{
    uint64_t current = versions_warm(&f->versions, f->current->number);
    uint32_t least = f->current->settings.min_warm;
    return f->versions.warm_total + (least > current ? least - current : 0);
}

static int check(struct function *f, struct str qualifier, uint32_t count, struct err *e)
{
    char choices[VERSIONS_CHOICES_MAX];
    uint64_t number;
    uint32_t before;
    int shown = qualifier.n < VERSIONS_ALIAS_MAX ? (int)qualifier.n : VERSIONS_ALIAS_MAX;
    versions_print_choices(&f->versions, choices);
    if (!f->current)
        return err_say(e, ENOENT, "the function '%s' was removed", f->name);
    bool found = versions_read_warm(&f->versions, qualifier, &number, &before);
    if (str_is(qualifier, "$LATEST") || (found && number == VERSIONS_LATEST_NUMBER && count))
        return err_say(e, EINVAL,
                       "'%.*s' is $LATEST, whose instances are kept ready by the setting min_warm: name a version",
                       shown, qualifier.p);
    if (!found)
        return err_say(e, ENOENT, "function '%s' has no version or alias '%.*s'; it has %s", f->name, shown,
                       qualifier.p, choices);
    versions_set_warm(&f->versions, qualifier, count);
    uint64_t all = wanted_by_all(f);
    uint32_t most = function_concurrency(f, &f->current->settings);
    if (count > before && all > most) {
        versions_set_warm(&f->versions, qualifier, before);
        return err_say(e, EINVAL,
                       "%lu instances of function '%s' would be kept ready, and max_concurrency is %u: keep fewer, or "
                       "raise max_concurrency",
                       (unsigned long)all, f->name, most);
    }
    return 0;
}

int version_warm_check(struct function *f, struct str qualifier, uint32_t count, struct err *e)
{
    uint64_t number;
    uint32_t before = 0;
    versions_read_warm(&f->versions, qualifier, &number, &before);
    int r = check(f, qualifier, count, e);
    if (r == 0)
        versions_set_warm(&f->versions, qualifier, before);
    return r;
}

int version_warm_set(struct function *f, struct str qualifier, uint32_t count, struct err *e)
{
    int r = check(f, qualifier, count, e);
    if (r == 0)
        version_warm_settle(f);
    return r;
}

static enum version_warm_trouble trouble_of(const struct pool *p)
{
    if (!p || (!p->version && !p->loading))
        return VERSION_WARM_GONE;
    if (p->failures > POLICY_FREE_FAILURES) /* nothing was served since */
        return VERSION_WARM_LOST;
    return p->version && p->short_of_memory ? VERSION_WARM_NO_MEMORY : VERSION_WARM_FINE;
}

bool version_warm_read(const struct function *f, struct str qualifier, struct version_warm *ret_warm)
{
    struct version_warm w = {0};
    uint64_t number;
    if (!versions_read_warm(&f->versions, qualifier, &number, &w.wanted))
        return false;
    const struct pool *p = pool_of(f, number);
    w.wanted_by_all = (uint32_t)versions_warm(&f->versions, number);
    if (p && p->version) {
        uint32_t ready = p->counts[INSTANCE_IDLE] + p->counts[INSTANCE_BUSY];
        w.ready = ready < w.wanted ? ready : w.wanted;
    }
    if (w.wanted > w.ready)
        w.trouble = trouble_of(p);
    w.failing = w.trouble != VERSION_WARM_FINE;
    *ret_warm = w;
    return true;
}

enum { TRY_LEAST_MS = 1000 };

void version_warm_try_later(struct function *f)
{
    uint64_t pause = f->pool->pools->gateway->config->crash_backoff_max_ms;
    pool_arm_wake(f->pool, pool_now_ms(f->pool) + (pause > TRY_LEAST_MS ? pause : TRY_LEAST_MS));
}

static void open_warm(struct function *f, struct versions_known *k)
{
    if (!version_pool_open(f, k))
        version_warm_try_later(f);
}

void version_warm_settle(struct function *f)
{
    if (!f->current || f->pool->pools->gateway->draining)
        return;
    for (size_t i = 0; f->versions.warm_total && i < f->versions.count; i++) {
        struct versions_known *k = &f->versions.known[i];
        if (k->number != f->current->number && versions_warm(&f->versions, k->number) && !pool_of(f, k->number))
            open_warm(f, k);
    }
    pools_settle_warm(f->pool);
    pool_renew_told(f->pool);
}
