/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/ahead.h"

#include "base/log.h"
#include "supervisor/core.h"

static void on_quiet(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct ahead *a = timer->data;
    struct supervisor *s = a->supervisor;
    struct err e;
    (void)events;
    ev_timer_stop(loop, timer);
    if (s->phase > SUPERVISOR_SERVING || sandbox_base_has_stock(s->base))
        return;
    if (sandbox_base_make_stock(s->base, &e) == 0) {
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
    if (!sandbox_base_has_stock(a->supervisor->base))
        ev_timer_again(a->supervisor->loop, &a->timer);
}

void ahead_fini(struct ahead *a)
{
    if (a->supervisor && a->supervisor->loop)
        ev_timer_stop(a->supervisor->loop, &a->timer);
}
