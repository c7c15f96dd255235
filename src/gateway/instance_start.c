/* SPDX-License-Identifier: Apache-2.0 */
/* How an instance comes to be: SPAWN or PREPARE, and what the supervisor answers. */
#include "gateway/instance_internal.h"
#include "gateway/role.h"

#include "base/clock.h"
#include "base/log.h"
#include "gateway/secrets.h"
#include "gateway/spawn_message.h"
#include "gateway/version_warm.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct driver *driver_of(const struct settings *s)
{
    switch (s->runtime) {
    case SETTINGS_RUNTIME_NATIVE:
    case SETTINGS_RUNTIME_PYTHON:
    case SETTINGS_RUNTIME_NODE:
        return &driver_native;
    case SETTINGS_RUNTIME_PROVIDED:
        return &driver_provided;
    default:
        return &driver_exec;
    }
}

/* ---- what the supervisor says ---- */

/* control, log, and for all but exec the worker's socket */
static unsigned expected_fds(const struct instance *i)
{
    return i->driver == &driver_exec ? 2 : 3;
}

static void begin_sandbox(struct instance *i, const int *fds)
{
    line_reader_attach(&i->log, fds[1]);
    exec_channel_attach(&i->channel, fds[0]);
    int r = i->driver->start(i, i->driver == &driver_exec ? -1 : fds[2]);
    if (r < 0)
        instance_stop(i, INSTANCE_START_FAILED, "start command: %s", strerrorname_np(-r));
}

static void begin_child(struct instance *i, const int *join_fds, unsigned count)
{
    int r = template_fork(i, join_fds, count);
    if (r < 0) /* a template that was retired meanwhile is no failure of the function */
        instance_stop(i, r == -ESRCH ? INSTANCE_RETIRED : INSTANCE_START_FAILED, "ask its template to fork: %s",
                      strerrorname_np(-r));
}

static void on_spawned(struct instance *i, const struct message_spawned *m, const int *fds, unsigned fd_count)
{
    bool is_child = instance_is_child(i);
    bool complete = fd_count == m->fd_count && fd_count == expected_fds(i);
    if (is_child) /* none: the slot's last child had the same */
        complete = fd_count == m->fd_count && (fd_count > 0 || template_has_files(i));
    if (i->state != INSTANCE_SPAWNING || !complete) {
        for (unsigned k = 0; k < fd_count; k++)
            close(fds[k]);
        if (is_child && m->fd_count > 0)
            template_forget_files(i);
        if (i->state == INSTANCE_SPAWNING)
            instance_stop(i, INSTANCE_START_FAILED,
                          "its descriptors could not be taken over: the gateway has too many open files");
        return;
    }
    i->pid = m->pid;
    i->existing_ns = clock_mono_ns();
    instance_set_state(i, INSTANCE_STARTING); /* the timer goes on: init_timeout is for both */
    if (is_child)
        begin_child(i, fds, fd_count);
    else
        begin_sandbox(i, fds);
}

static void on_message(struct link_waiter *w, const struct message_header *m, const int *fds, unsigned fd_count)
{
    struct instance *i = (struct instance *)(void *)w;
    switch (m->type) {
    case MESSAGE_SPAWNED:
        on_spawned(i, (const void *)m, fds, fd_count);
        return;
    case MESSAGE_SPAWN_FAILED:
        instance_on_spawn_failed(i, (const void *)m);
        return;
    case MESSAGE_USAGE_IS:
        instance_on_usage(i, (const void *)m);
        return;
    case MESSAGE_EXITED:
        instance_on_exited(i, (const void *)m);
        return;
    default:
        log_error("unexpected message type=%u inst=%lu", m->type, (unsigned long)w->id);
    }
}

static_assert(offsetof(struct instance, waiter) == 0, "on_message recovers the instance from its waiter");

/* ---- what the supervisor is told ---- */

static void send_prepare(struct instance *i)
{
    struct message_prepare m = {.header.type = MESSAGE_PREPARE,
                                .template = i->forked.template->instance->waiter.id,
                                .slot = i->forked.slot,
                                .has_files = template_has_files(i)};
    link_send(i->gateway->link, &i->waiter, &m.header, sizeof(m));
}

static void send_spawn(struct instance *i)
{
    struct message_spawn m;
    spawn_message_fill(&m, i->gateway->config, i->function, i->version);
    m.slots = i->template ? i->template->slots : 0;
    spawn_message_send(i->gateway, &i->waiter, &m, i->version);
}

static void init(struct instance *i, struct gateway *g, const struct instance_options *o)
{
    i->gateway = g;
    i->function = function_get(o->function);
    i->pool = o->pool;
    i->version = version_get(o->version);
    i->on_trial = o->on_trial;
    i->trial_owner = o->trial_owner;
    i->driver = driver_of(&o->version->settings);
    i->secrets_stamp = o->parent
                           ? o->parent->instance->secrets_stamp
                           : secrets_stamp_with(g->secrets, &o->version->settings, role_secret(g->config, o->version));
    i->told_provisioned =
        o->parent ? o->parent->instance->told_provisioned : version_warm_is_told(o->function, o->version);
    i->state = INSTANCE_SPAWNING;
    lambda_context_print_arn(g->config, i->function, &i->version->settings, i->arn);
    i->spawned_ns = i->started_ns = clock_mono_ns();
    list_init(&i->link);
    list_init(&i->host_idle_link);
    list_init(&i->thawed_link);
    list_init(&i->forked.link);
    ev_timer_init(&i->timer, instance_on_timer, 0., 0.);
    i->timer.data = i;
    i->waiter.on_message = on_message;
    usage_init(i);
    link_register(g->link, &i->waiter);
    line_reader_init(&i->log, g, o->function->name, i->waiter.id);
    buf_init(&i->end, INSTANCE_END_MAX);
    line_reader_init(&i->channel.log, g, o->function->name, i->waiter.id);
    i->driver->init(i);
    instance_begin_learning(i); /* the driver made the channel */
}

struct instance *instance_start(struct gateway *g, const struct instance_options *o)
{
    struct instance *i = calloc(1, sizeof(*i));
    struct template *t = o->slots ? template_new(i, o->slots) : NULL;
    if (!i || (o->slots && !t)) {
        template_free(t);
        free(i);
        return NULL;
    }
    init(i, g, o);
    i->template = t;
    instance_arm(i, g->config->init_timeout_ms);
    if (o->parent) {
        template_adopt_child(o->parent, i);
        send_prepare(i);
    } else {
        send_spawn(i);
    }
    return i;
}

void instance_free(struct instance *i)
{
    assert(i->state == INSTANCE_GONE && !i->invocation);
    i->driver->fini(i);
    template_free(i->template);
    exec_channel_fini(&i->channel);
    line_reader_fini(&i->log);
    buf_fini(&i->fault_bytes);
    buf_fini(&i->end);
    version_put(i->version);
    function_put(i->function); /* may free the pool */
    free(i);
}
