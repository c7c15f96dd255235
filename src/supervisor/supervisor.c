/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The supervisor's life: start, the loop's outer events, end. What it does for the gateway is in box.c and trees.c; what it believes of it, in request.c.
 */
#include "supervisor/supervisor.h"

#include "base/fdio.h"
#include "base/fmt.h"
#include "base/id.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/str.h"
#include "base/watch.h"
#include "sandbox/identity.h"
#include "supervisor/bucket.h"
#include "supervisor/core.h"
#include "supervisor/hygiene.h"
#include "supervisor/notify.h"
#include "supervisor/program.h"

#include <assert.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

enum {
    DRAIN_GRACE_MS = 2000, /* beyond drain_ms: for the gateway to answer, store and exit */
    STOP_SECONDS = 5,      /* for killed sandboxes to be gone */
};

static void set_phase(struct supervisor *s, enum supervisor_phase to)
{
    assert(to > s->phase);
    s->phase = to;
}

/* ---- the end ---- */

static void stop(struct supervisor *s)
{
    if (s->phase == SUPERVISOR_STOPPING)
        return;
    set_phase(s, SUPERVISOR_STOPPING);
    gateway_process_kill(&s->gateway);
    boxes_abandon(&s->boxes);
    if (s->boxes.living == 0) {
        ev_break(s->loop, EVBREAK_ALL);
        return;
    }
    ev_timer_stop(s->loop, &s->drain_timer);
    ev_now_update(s->loop);
    ev_timer_set(&s->drain_timer, STOP_SECONDS, 0.);
    ev_timer_start(s->loop, &s->drain_timer);
}

static void on_drain_timer(struct ev_loop *loop, ev_timer *w, int events)
{
    (void)events;
    struct supervisor *s = w->data;
    if (s->phase == SUPERVISOR_STOPPING) {
        log_error("%u sandboxes are not gone after %d s; the next start sweeps them", s->boxes.living, STOP_SECONDS);
        ev_break(loop, EVBREAK_ALL);
        return;
    }
    log_warn("the drain's deadline has passed; stopping now");
    stop(s);
}

static void on_stop_signal(struct ev_loop *loop, ev_signal *w, int events)
{
    (void)events;
    struct supervisor *s = w->data;
    if (s->gateway.state != GATEWAY_RUNNING || s->phase != SUPERVISOR_SERVING) {
        stop(s); /* nothing is served yet, or it is the second signal */
        return;
    }
    set_phase(s, SUPERVISOR_DRAINING);
    if (!s->options->quiet)
        log_info("draining: what runs has %llu ms to end, its callers are told within %d ms more",
                 (unsigned long long)s->config.drain_ms, DRAIN_GRACE_MS);
    notify_stopping();
    ev_now_update(loop);
    ev_timer_set(&s->drain_timer, (double)(s->config.drain_ms + DRAIN_GRACE_MS) / 1000., 0.);
    ev_timer_start(loop, &s->drain_timer);
    channel_send_plain(&s->channel, MESSAGE_DRAIN, 0, -1);
}

void supervisor_on_boxes_gone(struct supervisor *s)
{
    if (s->phase == SUPERVISOR_STOPPING)
        ev_break(s->loop, EVBREAK_ALL);
}

/* ---- the gateway ---- */

static void announce(struct supervisor *s)
{
    if (!s->options->quiet)
        dprintf(STDERR_FILENO, "ready %s\n", s->listening);
    notify_ready();
    if (s->options->ready_fd >= 0) {
        int r = fd_write_full(s->options->ready_fd, "R", 1);
        if (r < 0)
            log_warn("nobody waits for this daemon to be ready: %s", strerrorname_np(-r));
        close(s->options->ready_fd);
    }
}

static void on_hello(struct supervisor *s)
{
    if (s->gateway.state != GATEWAY_GREETING) {
        supervisor_on_gateway_broken(s, "it greeted twice");
        return;
    }
    gateway_process_greeted(&s->gateway);
    if (s->phase != SUPERVISOR_STARTING) {
        log_info("the gateway is back pid=%d", s->gateway.pid);
        return;
    }
    set_phase(s, SUPERVISOR_SERVING);
    announce(s);
    watchdog_start(&s->watchdog);
}

static void handle_request(struct supervisor *s, union request *r, int fd)
{
    switch (r->header.type) {
    case MESSAGE_HELLO:
        on_hello(s);
        break;
    case MESSAGE_SPAWN:
        if (boxes_spawn(&s->boxes, &r->spawn, fd) < 0)
            supervisor_on_gateway_broken(s, "it used an id twice");
        break;
    case MESSAGE_PREPARE:
        if (boxes_prepare(&s->boxes, &r->prepare) < 0)
            supervisor_on_gateway_broken(s, "it used an id twice, or wanted a child of what is no template");
        break;
    case MESSAGE_ADOPT:
        if (boxes_adopt(&s->boxes, &r->adopt) < 0)
            supervisor_on_gateway_broken(s, "it had something adopted that is no new child");
        break;
    case MESSAGE_FREEZE:
    case MESSAGE_THAW:
        boxes_freeze(&s->boxes, r->header.id, r->header.type == MESSAGE_FREEZE);
        break;
    case MESSAGE_KILL:
        boxes_kill(&s->boxes, r->header.id);
        break;
    case MESSAGE_PONG:
        watchdog_on_answer(&s->watchdog);
        break;
    case MESSAGE_CONFIG_TAKEN:
    case MESSAGE_CONFIG_KEPT:
        reload_on_answer(&s->reload, r->header.type == MESSAGE_CONFIG_TAKEN);
        break;
    case MESSAGE_OPEN_OBJECT:
        bucket_answer(&s->channel, &s->config, &r->object);
        break;
    case MESSAGE_USAGE:
        boxes_usage(&s->boxes, r->header.id);
        break;
    case MESSAGE_STEPS:
        boxes_tell_steps(&s->boxes, &r->steps);
        break;
    default:
        if (r->header.type == MESSAGE_RETIRE || !boxes_defer_tree(&s->boxes, &r->tree))
            trees_handle(&s->trees, &r->tree);
        break;
    }
}

void supervisor_on_request(struct supervisor *s, union request *r, size_t size, int fd)
{
    struct err e = {0};
    switch (request_check(r, size, &s->config, &e)) {
    case REQUEST_BAD:
        supervisor_on_gateway_broken(s, e.text);
        return;
    case REQUEST_REFUSED:
        channel_send_failed(&s->channel, MESSAGE_SPAWN_FAILED, r->header.id, &e);
        return;
    case REQUEST_OK:
        break;
    }
    handle_request(s, r, fd);
    ahead_put_off(&s->ahead);
}

/* May be called from the depth of a send, so it only begins the end: everything else follows from the gateway's exit. */
void supervisor_on_gateway_broken(struct supervisor *s, const char *why)
{
    if (s->gateway.state != GATEWAY_GREETING && s->gateway.state != GATEWAY_RUNNING)
        return;
    log_error(
        "the gateway is not to be trusted any more (%s): it and its sandboxes are killed and a new one starts pid=%d",
        why, s->gateway.pid);
    gateway_process_kill(&s->gateway);
    channel_close(&s->channel);
}

static void describe_status(int status, char *out, size_t cap)
{
    if (WIFSIGNALED(status))
        fmt_to(out, cap, "signal %s", sigabbrev_np(WTERMSIG(status)) ? sigabbrev_np(WTERMSIG(status)) : "?");
    else
        fmt_to(out, cap, "exit status %d", WEXITSTATUS(status));
}

void supervisor_on_gateway_exit(struct supervisor *s, int status)
{
    char how[32];
    struct err e;
    describe_status(status, how, sizeof(how));
    boxes_abandon(&s->boxes);
    trees_abandon(&s->trees);
    reload_on_gateway_exit(&s->reload);
    if (state_sweep_staging(&s->state, &e) < 0)
        log_warn("clear what the gateway left: %s", e.text);
    switch (s->phase) {
    case SUPERVISOR_STARTING:
        log_error("the gateway ended before it accepted requests: %s", how);
        s->exit_status = 1;
        stop(s);
        break;
    case SUPERVISOR_SERVING:
        if (!s->gateway.was_killed)
            log_error("the gateway died (%s); its sandboxes are killed and a new one starts pid=%d", how,
                      s->gateway.pid);
        gateway_process_restart(&s->gateway);
        break;
    case SUPERVISOR_DRAINING:
        if (status != 0)
            log_warn("the gateway ended its drain with %s", how);
        stop(s);
        break;
    case SUPERVISOR_STOPPING:
        break;
    }
}

static void on_reload_signal(struct ev_loop *loop, ev_signal *w, int events)
{
    (void)loop;
    (void)events;
    struct supervisor *s = w->data;
    if (s->phase == SUPERVISOR_SERVING)
        reload_begin(&s->reload);
}

/* ---- the start ---- */

static int open_groups(struct supervisor *s, struct err *e)
{
    char name[CGROUP_NAME_MAX];
    fmt_to(name, sizeof(name), "faasd-%llx", (unsigned long long)str_hash(str_from(s->options->paths.run), 0));
    int r = cgroup_tree_open(&s->groups, name, e);
    if (r < 0 && s->options->allow_degraded) {
        s->groups = cgroup_tree_open_none();
        r = s->groups ? 0 : err_set(e, ENOMEM, "open the cgroup tree");
    }
    if (r == 0)
        r = hygiene_demand_groups(&s->features, s->groups, s->options->allow_degraded, e);
    if (r < 0)
        return r;
    int swept = cgroup_tree_sweep(s->groups, e);
    if (swept > 0 && !s->options->quiet)
        log_info("%d sandboxes of a killed daemon were swept", swept);
    return swept < 0 ? swept : 0;
}

static int open_host(struct supervisor *s, struct err *e)
{
    const struct supervisor_options *o = s->options;
    /* Reading the configuration takes some of root's power itself; for anybody else its mistakes come first. */
    bool is_root = geteuid() == 0;
    int r = is_root ? feature_demand_root(e) : 0;
    if (r == 0)
        r = configuration_load_first(o, &s->config, &s->accounts, e);
    if (r < 0)
        return r;
    if (!is_root)
        return feature_demand_root(e);
    r = feature_probe(&s->features, e);
    if (r == 0)
        r = hygiene_demand_features(&s->features, o->allow_degraded, e);
    if (r < 0)
        return r;
    s->self_fd = open("/proc/self/exe", O_PATH | O_CLOEXEC);
    if (s->self_fd < 0)
        return err_set(e, errno, "open '/proc/self/exe'");
    s->code_owner = identity_code_owner(&s->config);
    return 0;
}

static int open_all(struct supervisor *s, struct err *e)
{
    const struct supervisor_options *o = s->options;
    int r = open_host(s, e);
    if (r == 0)
        r = state_open(&s->state, &o->paths, &s->accounts, s->code_owner, e);
    if (r == 0)
        r = secret_key_open(&s->keys, s->state.state_fd, e);
    /* No token outlives a transient daemon: its key does not have to reach the disk. */
    if (r == 0 && o->transient)
        id_random(s->signing_key, sizeof(s->signing_key));
    else if (r == 0)
        r = signing_key_load(s->state.state_fd, o->paths.credentials, s->signing_key, e);
    if (r == 0)
        r = open_groups(s, e);
    if (r == 0)
        r = state_sweep_staging(&s->state, e);
    if (r >= 0)
        r = activation_take(s->listeners.activated, &s->listeners.activated_count, e);
    if (r == 0)
        r = listeners_open(&s->listeners, &s->config, &s->accounts, &o->paths, e);
    if (r == 0)
        r = boxes_init(&s->boxes, s, e);
    if (r < 0)
        return r;
    listeners_print(&s->listeners, s->listening, sizeof(s->listening));
    scoped_fd program = program_keep(s->state.state_fd, e);
    if (program < 0)
        return program;
    /* Last of what may fail for the operator's reasons: from here on this process is in a mount namespace of its own. */
    const struct sandbox_base_options base = {.config = &s->config,
                                              .features = &s->features,
                                              .scratch_dir = s->state.base,
                                              .code_owner = s->code_owner,
                                              .self_fd = program};
    r = sandbox_base_open(&s->base, &base, e);
    if (r < 0)
        return r;
    egress_open(&s->egress, &s->config);
    return gateway_process_start(&s->gateway, e);
}

/* Everything ends with this process: the gateway and the sandboxes have a death signal. */
static void end_at_once(const char *why)
{
    log_error("%s; faasd ends", why);
    _exit(EXIT_FAILURE);
}

static int init(struct supervisor *s, const struct supervisor_options *o, struct err *e)
{
    s->options = o;
    s->self_fd = -1;
    state_init(&s->state);
    list_init(&s->boxes.all);
    channel_init(&s->channel, s);
    trees_init(&s->trees, s);
    gateway_process_init(&s->gateway, s);
    watchdog_init(&s->watchdog, s);
    reload_init(&s->reload, s);
    ahead_init(&s->ahead, s);
    egress_init(&s->egress, s);
    /* not the default loop: that one would reap every child on SIGCHLD, and children here are waited for by their pidfds */
    watch_prepare(end_at_once);
    s->loop = watch_loop_new(EVFLAG_AUTO | EVFLAG_NOENV);
    if (!s->loop)
        return err_set(e, ENOMEM, "make the event loop");
    ev_signal_init(&s->on_term, on_stop_signal, SIGTERM);
    ev_signal_init(&s->on_int, on_stop_signal, SIGINT);
    ev_signal_init(&s->on_hup, on_reload_signal, SIGHUP);
    ev_init(&s->drain_timer, on_drain_timer);
    s->on_term.data = s->on_int.data = s->on_hup.data = s->drain_timer.data = s;
    ev_signal_start(s->loop, &s->on_term);
    ev_signal_start(s->loop, &s->on_int);
    ev_signal_start(s->loop, &s->on_hup);
    return 0;
}

static void fini(struct supervisor *s)
{
    gateway_process_close(&s->gateway);
    watchdog_fini(&s->watchdog);
    reload_fini(&s->reload);
    ahead_fini(&s->ahead);
    egress_fini(&s->egress);
    trees_fini(&s->trees);
    listeners_close(&s->listeners);
    if (s->base)
        sandbox_base_close(s->base);
    if (s->groups)
        cgroup_tree_close(s->groups, s->boxes.living == 0);
    boxes_fini(&s->boxes);
    program_discard(s->state.state_fd);
    secret_key_close(s->keys);
    state_close(&s->state); /* with it the lock: the last thing to go */
    fd_close(&s->self_fd);
    if (s->loop) {
        ev_signal_stop(s->loop, &s->on_term);
        ev_signal_stop(s->loop, &s->on_int);
        ev_signal_stop(s->loop, &s->on_hup);
        ev_timer_stop(s->loop, &s->drain_timer);
        ev_loop_destroy(s->loop);
    }
}

static int check_config(const struct supervisor_options *o)
{
    struct err e;
    scoped_free struct config *c = calloc(1, sizeof(*c));
    struct accounts ignored;
    if (!c || configuration_load_first(o, c, &ignored, &e) < 0) {
        dprintf(STDERR_FILENO, "faasd serve: %s\n", c ? e.text : "no memory");
        return 1;
    }
    dprintf(STDOUT_FILENO, "the configuration is good\n");
    return 0;
}

int supervisor_main(const struct supervisor_options *o)
{
    struct err e = {0};
    log_set_role("supervisor");
    if (o->quiet)
        log_set_quiet();
    int activated = activation_count(&e);
    const struct hygiene_fds keep = {.ready_fd = o->ready_fd, .activated = activated > 0 ? (unsigned)activated : 0};
    if (activated < 0 || hygiene_apply(&keep, &e) < 0) {
        log_error("%s", e.text);
        return 1;
    }
    if (o->check_config)
        return check_config(o);
    scoped_free struct supervisor *s = calloc(1, sizeof(*s));
    if (!s) {
        log_error("no memory");
        return 1;
    }
    int r = init(s, o, &e);
    if (r == 0)
        r = open_all(s, &e);
    if (r < 0) {
        log_error("%s", e.text);
        s->exit_status = 1;
    } else {
        memory_give_back();
        ev_run(s->loop, 0);
    }
    fini(s);
    explicit_bzero(s->signing_key, sizeof(s->signing_key));
    return s->exit_status;
}
