/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/reload.h"

#include "base/fdio.h"
#include "base/log.h"
#include "supervisor/core.h"
#include "supervisor/notify.h"

#include <signal.h>
#include <stdlib.h>

/* The gateway's end, which is seen later, ends the reload. */
static void on_late(struct ev_loop *loop, ev_timer *w, int events)
{
    struct supervisor *s = w->data;
    (void)loop;
    (void)events;
    if (s->gateway.state != GATEWAY_GREETING)
        supervisor_on_gateway_broken(s, "it does not answer a reload");
}

void reload_init(struct reload *r, struct supervisor *s)
{
    *r = (struct reload){.supervisor = s};
    ev_timer_init(&r->timer, on_late, 0., RELOAD_ANSWER_SECONDS);
    r->timer.data = s;
}

void reload_fini(struct reload *r)
{
    if (ev_is_active(&r->timer))
        ev_timer_stop(r->supervisor->loop, &r->timer);
    free(r->fresh);
    r->fresh = NULL;
}

/* NULL: it does not read, and the log says why. */
static struct config *read_again(struct supervisor *s)
{
    struct err e;
    struct accounts ignored;
    char keys[512];
    scoped_free struct config *fresh = calloc(1, sizeof(*fresh));
    if (!fresh) {
        log_error("reload: no memory; the former configuration stays");
        return NULL;
    }
    if (configuration_load(s->options, fresh, &ignored, &e) < 0) {
        log_error("reload: %s; the former configuration stays", e.text);
        return NULL;
    }
    if (config_restart_keys(&s->config, fresh, keys, sizeof(keys)) > 0)
        log_warn("reload: a restart is needed for a change of %s", keys);
    config_note_waiting(&s->config, fresh); /* compares: before the values are made equal */
    configuration_keep_fixed(fresh, &s->config);
    struct config *taken = fresh;
    fresh = NULL;
    return taken;
}

static void end(struct reload *r, bool taken)
{
    struct supervisor *s = r->supervisor;
    if (taken) {
        s->config = *r->fresh;
        log_info("the configuration was read again");
    } else {
        log_error("reload: the gateway could not take it over; the former configuration stays");
    }
    reload_fini(r);
    notify_ready();
    if (r->again)
        raise(
            SIGHUP); /* not from here: this may be the gateway's message, and reading a configuration is root's signal's */
    r->again = false;
}

void reload_begin(struct reload *r)
{
    struct supervisor *s = r->supervisor;
    struct err e;
    if (r->fresh) {
        r->again = true;
        return;
    }
    notify_reloading();
    r->fresh = read_again(s);
    if (!r->fresh) {
        notify_ready();
        return;
    }
    /* Now, as it is root's signal that led here: the gateway's answer may not make anything on the host. If that says no, the way out stays, unused. */
    egress_open(&s->egress, r->fresh);
    if (s->gateway.state != GATEWAY_GREETING && s->gateway.state != GATEWAY_RUNNING) {
        end(r, true);
        return;
    }
    int fd = gateway_process_make_memfd("faasd-config", r->fresh, sizeof(*r->fresh), &e);
    if (fd < 0) {
        log_error("reload: %s", e.text);
        end(r, false);
        return;
    }
    ev_now_update(s->loop);
    ev_timer_again(s->loop, &r->timer);
    channel_send_plain(&s->channel, MESSAGE_CONFIG, 0, fd);
}

void reload_on_answer(struct reload *r, bool taken)
{
    if (r->fresh)
        end(r, taken);
    else
        supervisor_on_gateway_broken(r->supervisor, "it answered a reload that nobody asked for");
}

void reload_on_gateway_exit(struct reload *r)
{
    if (r->fresh)
        end(r, true);
}
