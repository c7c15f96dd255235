/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/freezer.h"

#include "base/clock.h"
#include "gateway/instance.h"

static uint64_t now_ms(void)
{
    return clock_boot_ns() / 1000000;
}

static void freeze(struct instance *i)
{
    list_remove(&i->thawed_link);
    i->frozen = true;
    link_send_plain(i->gateway->link, &i->waiter, MESSAGE_FREEZE);
}

static void arm(struct freezer *f, uint64_t after_ms)
{
    ev_timer_stop(f->gateway->loop, &f->timer);
    ev_timer_set(&f->timer, (double)after_ms / 1e3, 0.);
    ev_timer_start(f->gateway->loop, &f->timer);
}

static void on_timer(struct ev_loop *loop, ev_timer *w, int events)
{
    struct freezer *f = w->data;
    uint64_t freeze_ms = f->gateway->config->idle_freeze_ms;
    uint64_t now = now_ms();
    struct list *oldest;
    (void)loop;
    (void)events;
    if (freeze_ms == 0) /* a reload switched it off; who becomes idle after the next one starts the timer again */
        return;
    while ((oldest = list_last(&f->thawed))) {
        struct instance *i = LIST_ENTRY(oldest, struct instance, thawed_link);
        uint64_t due = i->idle_since_ms + freeze_ms;
        if (due > now) {
            arm(f, due - now);
            return;
        }
        freeze(i);
    }
}

void freezer_init(struct freezer *f, struct gateway *g)
{
    f->gateway = g;
    list_init(&f->thawed);
    ev_timer_init(&f->timer, on_timer, 0., 0.);
    f->timer.data = f;
}

void freezer_fini(struct freezer *f)
{
    ev_timer_stop(f->gateway->loop, &f->timer);
}

void freezer_watch(struct freezer *f, struct instance *i)
{
    uint64_t freeze_ms = f->gateway->config->idle_freeze_ms;
    if (freeze_ms == 0 || (instance_is_child(i) && !i->used))
        return;
    list_push_front(&f->thawed, &i->thawed_link);
    /* Active: it fires in time for an older one, and looks out for this one then. */
    if (!ev_is_active(&f->timer))
        arm(f, freeze_ms);
}

void freezer_leave(struct instance *i)
{
    list_remove(&i->thawed_link);
}

void freezer_thaw(struct instance *i)
{
    list_remove(&i->thawed_link);
    if (!i->frozen)
        return;
    i->frozen = false;
    link_send_plain(i->gateway->link, &i->waiter, MESSAGE_THAW);
}
