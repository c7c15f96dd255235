/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/pool_limit.h"

#include "gateway/pool_internal.h"
#include "gateway/version_warm.h"

#include <errno.h>

int pool_limit_check(const struct function *f, uint32_t limit, struct err *e)
{
    if (!f->current)
        return err_say(e, ENOENT, "the function '%s' was removed", f->name);
    return pools_check_kept(f->pool, limit, f->current->settings.memory_bytes, e);
}

static void settle(struct function *f)
{
    function_get(f); /* a request that is refused may be its last holder */
    if (f->current) {
        pools_settle_reserve(f->pool);
        version_warm_settle(f);
        if (function_is_stopped(f))
            pool_refuse_waiting(f->pool);
        pool_shed(f->pool);
        pools_wake_hungry(f->pool->pools);
    }
    function_put(f);
}

void pool_limit_set(struct function *f, uint32_t limit)
{
    f->limited = true;
    f->limit = limit;
    settle(f);
}

void pool_limit_lift(struct function *f)
{
    f->limited = false;
    f->limit = 0;
    settle(f);
}
