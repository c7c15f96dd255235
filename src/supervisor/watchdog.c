/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/watchdog.h"

#include "base/str.h"
#include "supervisor/core.h"
#include "supervisor/notify.h"

#include <stdlib.h>
#include <unistd.h>

enum { QUESTIONS_A_PERIOD = 4 };

static bool read_number(const char *name, uint64_t *ret_value)
{
    const char *text = getenv(name);
    return text && str_to_u64(str_from(text), ret_value);
}

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
    struct watchdog *w = timer->data;
    (void)loop;
    (void)events;
    if (w->answered)
        notify_alive();
    w->answered = false;
    /* One that is being replaced is not asked; if it does not come back, the manager hears nothing either. */
    if (w->supervisor->gateway.state == GATEWAY_RUNNING)
        channel_send_plain(&w->supervisor->channel, MESSAGE_PING, 0, -1);
}

void watchdog_init(struct watchdog *w, struct supervisor *s)
{
    uint64_t period_us, pid;
    *w = (struct watchdog){.supervisor = s};
    ev_init(&w->timer, on_timer);
    w->timer.data = w;
    if (!read_number("WATCHDOG_USEC", &period_us) || period_us == 0)
        return;
    if (read_number("WATCHDOG_PID", &pid) && pid != (uint64_t)getpid())
        return; /* meant for whoever started us */
    w->seconds = (double)period_us / 1e6 / QUESTIONS_A_PERIOD;
}

void watchdog_start(struct watchdog *w)
{
    if (w->seconds <= 0 || ev_is_active(&w->timer))
        return;
    w->answered = true; /* HELLO */
    ev_timer_set(&w->timer, 0., w->seconds);
    ev_timer_start(w->supervisor->loop, &w->timer);
}

void watchdog_on_answer(struct watchdog *w)
{
    w->answered = true;
}

void watchdog_fini(struct watchdog *w)
{
    if (w->supervisor && w->supervisor->loop)
        ev_timer_stop(w->supervisor->loop, &w->timer);
}
