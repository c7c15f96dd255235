/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of instances when another version is the current one. */
#include "gateway/pool_internal.h"

#include "gateway/runtime.h"

/* An instance of the version that has just become current. */
static void adopt(struct pool *p, struct instance *i)
{
    i->counted = true;
    p->counts[i->state]++;
    if (i->state == INSTANCE_IDLE || i->state == INSTANCE_TEMPLATE)
        ev_timer_stop(p->pools->gateway->loop, &i->timer);
    if (i->state == INSTANCE_IDLE)
        pool_on_instance_ready(p, i);
}

static void disown(struct pool *p, struct instance *i)
{
    if (i->counted)
        p->counts[i->state]--;
    i->counted = false;
    if (i->state == INSTANCE_TEMPLATE)
        template_retire(i->template, "a newer version serves");
    else if (i->state == INSTANCE_IDLE || i->state == INSTANCE_SPAWNING || i->state == INSTANCE_STARTING)
        instance_stop(i, INSTANCE_RETIRED, "a newer version serves");
}

static void sort_out(struct pool *p, struct list *instances)
{
    /* Stopping moves an instance to the front of `others`, behind the walker: none is seen twice with effect. */
    LIST_EACH (instances, link) {
        struct instance *i = LIST_ENTRY(link, struct instance, link);
        if (i->state == INSTANCE_GONE || i->state == INSTANCE_STOPPING)
            continue;
        if (i->version != p->function->current)
            disown(p, i);
        else if (!i->counted)
            adopt(p, i);
    }
}

void pool_version_changed(struct pool *p)
{
    struct function *f = function_get(p->function);
    const struct settings *s = f->current ? &f->current->settings : NULL;
    pools_settle_reserve(p);
    p->makes_spares = s && (instance_settings_single_use(s) || runtime_wants_template(s));
    sort_out(p, &p->idle);
    sort_out(p, &p->others);
    sort_out(p, &p->trials);
    p->failures = 0;
    p->backoff_until_ms = 0;
    if (!f->current) {
        struct invocation *inv;
        while ((inv = pool_dequeue(p)))
            invocation_fail(inv, INVOCATION_REFUSED, 404, "ResourceNotFound", "the function '%s' was removed", f->name);
    }
    pool_evaluate(p);
    function_put(f);
}
