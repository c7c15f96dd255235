/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/ahead.h"

#include "base/log.h"
#include "supervisor/core.h"

static bool has_stock(const struct supervisor *s)
{
    return sandbox_base_has_stock(s->base) && cgroup_tree_has_stock(s->groups);
}

/* One piece. A host that refuses groups lets nothing start; one that refuses networks may still give groups: those first. */
static int make_stock(struct supervisor *s, struct err *e)
{
    if (!cgroup_tree_has_stock(s->groups))
        return cgroup_tree_make_stock(s->groups, e);
    return sandbox_base_make_stock(s->base, e);
}

static void on_quiet(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct ahead *a = timer->data;
    struct supervisor *s = a->supervisor;
    struct err e;
    (void)events;
    ev_timer_stop(loop, timer);
    if (s->phase > SUPERVISOR_SERVING || has_stock(s))
        return;
    channel_flush(&s->channel);
    if (make_stock(s, &e) == 0) {
        a->failed = false;
        ahead_put_off(a);
        return;
    }
    /* Tried again after the next request, not before: what refused may be a limit of the host's. */
    if (!a->failed)
        log_warn("%s: nothing is made ahead for now, so starts take 0.3 ms longer", e.text);
    a->failed = true;
}

void ahead_init(struct ahead *a, struct supervisor *s)
{
    *a = (struct ahead){.supervisor = s};
    ev_init(&a->timer, on_quiet);
    ev_set_priority(&a->timer, EV_MINPRI);
    a->timer.repeat = AHEAD_QUIET_MS / 1e3;
    a->timer.data = a;
}

void ahead_put_off(struct ahead *a)
{
    if (!has_stock(a->supervisor))
        ev_timer_again(a->supervisor->loop, &a->timer);
}

void ahead_fini(struct ahead *a)
{
    if (a->supervisor && a->supervisor->loop)
        ev_timer_stop(a->supervisor->loop, &a->timer);
}
