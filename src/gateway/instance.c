/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/instance.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/units.h"
#include "gateway/instance_internal.h"
#include "gateway/pool_events.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define TO(state) (1u << INSTANCE_##state)

static const unsigned TRANSITIONS[] = {
    [INSTANCE_SPAWNING] = TO(STARTING) | TO(STOPPING) | TO(GONE),
    [INSTANCE_STARTING] = TO(IDLE) | TO(TEMPLATE) | TO(STOPPING) | TO(GONE),
    [INSTANCE_IDLE] = TO(BUSY) | TO(STARTING) | TO(STOPPING) | TO(GONE),
    [INSTANCE_TEMPLATE] = TO(STOPPING) | TO(GONE),
    [INSTANCE_BUSY] = TO(IDLE) | TO(CLOSING) | TO(ENDING) | TO(JUDGING) | TO(STOPPING) | TO(GONE),
    [INSTANCE_CLOSING] = TO(IDLE) | TO(ENDING) | TO(STARTING) | TO(STOPPING) | TO(GONE),
    [INSTANCE_ENDING] = TO(STARTING) | TO(JUDGING) | TO(STOPPING) | TO(GONE),
    [INSTANCE_JUDGING] = TO(IDLE) | TO(CLOSING) | TO(STARTING) | TO(STOPPING) | TO(GONE),
    [INSTANCE_STOPPING] = TO(GONE),
    [INSTANCE_GONE] = 0,
};

void instance_set_state(struct instance *i, enum instance_state next)
{
    enum instance_state before = i->state;
    assert(TRANSITIONS[before] & (1u << next));
    i->state = next;
    pool_on_instance_state(i->pool, i, before);
}

const char *instance_state_name(enum instance_state s)
{
    static const char *const NAMES[] = {
        [INSTANCE_SPAWNING] = "starting", [INSTANCE_STARTING] = "starting", [INSTANCE_IDLE] = "idle",
        [INSTANCE_TEMPLATE] = "template", [INSTANCE_BUSY] = "busy",         [INSTANCE_CLOSING] = "busy",
        [INSTANCE_ENDING] = "busy",       [INSTANCE_JUDGING] = "busy",      [INSTANCE_STOPPING] = "stopping",
        [INSTANCE_GONE] = "gone",
    };
    return NAMES[s];
}

bool instance_settings_single_use(const struct settings *s)
{
    return s->isolation == SETTINGS_ISOLATION_SANDBOX ||
           (s->isolation == SETTINGS_ISOLATION_FORK && s->runtime != SETTINGS_RUNTIME_EXEC);
}

bool instance_is_single_use(const struct instance *i)
{
    return instance_settings_single_use(&i->version->settings);
}

void instance_arm(struct instance *i, uint64_t ms)
{
    struct ev_loop *loop = i->gateway->loop;
    if (ms == 0) {
        ev_timer_stop(loop, &i->timer);
        return;
    }
    i->timer.repeat = (double)ms / 1e3;
    ev_timer_again(loop, &i->timer);
}

/* ---- its end ---- */

static void send_kill(struct instance *i)
{
    i->kill_sent = true;
    link_send_plain(i->gateway->link, &i->waiter, MESSAGE_KILL);
    pool_on_instance_killed(i);
}

void instance_doom(struct instance *i, enum instance_doom why, const char *text)
{
    if (i->doom != INSTANCE_NOT_DOOMED)
        return;
    i->doom = why;
    snprintf(i->doom_text, sizeof(i->doom_text), "%s", text);
}

static void stop(struct instance *i, enum instance_doom why, const char *text)
{
    instance_doom(i, why, text);
    if (i->state == INSTANCE_GONE)
        return;
    if (!i->kill_sent)
        send_kill(i); /* first, so that who has waited for its memory is asked before its own pool */
    if (i->state != INSTANCE_STOPPING)
        instance_set_state(i, INSTANCE_STOPPING);
    instance_arm(i, INSTANCE_STOP_MS);
}

void instance_stop(struct instance *i, enum instance_doom why, const char *format, ...)
{
    char text[ERR_TEXT_MAX];
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof(text), format, ap);
    va_end(ap);
    stop(i, why, text);
}

/* A start that failed is not among the cases: the pool's backoff decides when the next one comes. */
static bool end_worker(struct instance *i)
{
    bool can = i->state == INSTANCE_BUSY || i->state == INSTANCE_CLOSING;
    if (!can || !i->driver->end_worker || instance_is_child(i)) /* a child ends with its process */
        return false;
    usage_before_end(i);
    if (!i->driver->end_worker(i))
        return false;
    instance_set_state(i, INSTANCE_ENDING);
    instance_arm(i, INSTANCE_RESET_MS);
    return true;
}

void instance_give_up(struct instance *i, enum instance_doom why, const char *format, ...)
{
    char text[ERR_TEXT_MAX];
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof(text), format, ap);
    va_end(ap);
    if (end_worker(i))
        instance_doom(i, why, text);
    else
        stop(i, why, text);
}

void instance_worker_closed(struct instance *i, const char *how)
{
    if (i->state == INSTANCE_STOPPING || i->state == INSTANCE_GONE)
        return;
    if (i->state == INSTANCE_TEMPLATE && i->template->child_count) {
        template_on_lost(i->template, how);
        return;
    }
    i->ended_first = !i->kill_sent;
    enum instance_doom why = i->state == INSTANCE_STARTING ? INSTANCE_START_FAILED : INSTANCE_CRASHED;
    if (instance_is_child(i) && i->state == INSTANCE_STARTING) {
        stop(i, why, how); /* the supervisor does not know it yet: nobody would say more */
        return;
    }
    /* Init, or for a child the supervisor, tells the exit status a moment later, and EXITED follows. A worker that only closed its socket and lives on is killed
     * after the grace. */
    instance_doom(i, why, how);
    instance_set_state(i, INSTANCE_STOPPING);
    instance_arm(i, INSTANCE_EOF_GRACE_MS);
}

/* ---- timers ---- */

static void on_init_timeout(struct instance *i)
{
    if (i->state == INSTANCE_STARTING && i->driver->on_init_timeout && i->driver->on_init_timeout(i))
        return;
    char limit[UNITS_TEXT_MAX];
    units_format_time(i->gateway->config->init_timeout_ms, limit);
    instance_stop(i, INSTANCE_TIMED_OUT, "not ready after the limit 'init_timeout' (%s)", limit);
}

void instance_on_timer(struct ev_loop *loop, ev_timer *w, int events)
{
    struct instance *i = w->data;
    (void)loop;
    (void)events;
    switch (i->state) {
    case INSTANCE_SPAWNING:
    case INSTANCE_STARTING:
        on_init_timeout(i);
        return;
    case INSTANCE_BUSY:
        instance_give_up(i, INSTANCE_TIMED_OUT, "timed out");
        return;
    case INSTANCE_CLOSING:
        instance_give_up(i, INSTANCE_RETIRED, "not ready for the next request in time");
        return;
    case INSTANCE_ENDING:
        instance_stop(i, INSTANCE_CRASHED, "its process could not be ended within %d ms", INSTANCE_RESET_MS);
        return;
    case INSTANCE_JUDGING:
        instance_stop(i, INSTANCE_CRASHED, "the program failed");
        return;
    case INSTANCE_STOPPING:
        if (i->kill_sent)
            log_warn("instance not dead after %d ms, killing it again fn=%s inst=%lu", INSTANCE_STOP_MS,
                     i->function->name, (unsigned long)i->waiter.id);
        send_kill(i);
        instance_arm(i, INSTANCE_STOP_MS);
        return;
    case INSTANCE_TEMPLATE:
    case INSTANCE_IDLE: /* a trial whose version did not become current */
        instance_stop(i, INSTANCE_RETIRED, "its version was not published");
        return;
    case INSTANCE_GONE:
        assert(i->state != INSTANCE_GONE); /* its timer was stopped */
    }
}

/* ---- ready ---- */

void instance_tell_trial(struct instance *i, const struct err *e, const struct instance_fault *said)
{
    pool_on_trial *on_trial = i->on_trial;
    i->on_trial = NULL;
    if (on_trial)
        on_trial(i->trial_owner, e, said);
}

enum { TRIAL_KEEP_MS = 30000 };

void instance_ready(struct instance *i)
{
    if (i->state != INSTANCE_STARTING && i->state != INSTANCE_CLOSING)
        return;
    if (i->state == INSTANCE_STARTING) {
        i->ready_ns = turn_now_ns(i->gateway);
        usage_begin_process(i);
    }
    i->idle_since_ms = turn_boot_ms(i->gateway);
    instance_set_state(i, INSTANCE_IDLE);
    instance_arm(i, i->on_trial ? TRIAL_KEEP_MS : 0);
    if (i->on_trial)
        instance_tell_trial(i, &(struct err){0}, NULL);
    else
        pool_on_instance_ready(i->pool, i);
}

void instance_become_template(struct instance *i)
{
    assert(i->state == INSTANCE_STARTING && i->template);
    i->ready_ns = turn_now_ns(i->gateway);
    usage_begin_process(i);
    instance_set_state(i, INSTANCE_TEMPLATE);
    instance_arm(i, i->on_trial ? TRIAL_KEEP_MS : 0);
    template_open(i->template);
    pool_on_template_open(i->pool, i);
}

/* ---- a request ---- */

/* A process made for this request, or made ahead? And of what? */
static enum invocation_start start_of(const struct instance *i, const struct invocation *inv)
{
    if (i->used || inv->queued_ns >= i->ready_ns)
        return INVOCATION_WARM;
    return instance_is_child(i) && i->forked.template_ready_ns < inv->queued_ns ? INVOCATION_FORKED : INVOCATION_COLD;
}

static uint64_t init_duration(const struct instance *i, enum invocation_start start)
{
    if (start == INVOCATION_WARM)
        return 0;
    bool with_template = start == INVOCATION_COLD && instance_is_child(i);
    return i->ready_ns - (with_template ? i->forked.template_spawned_ns : i->started_ns);
}

/* The part of it until there was a sandbox to start something in. */
static uint64_t spawn_duration(const struct instance *i, enum invocation_start start)
{
    bool counts = start != INVOCATION_WARM && i->existing_ns > i->started_ns;
    return counts ? i->existing_ns - i->started_ns : 0;
}

void instance_deliver(struct instance *i, struct invocation *inv)
{
    /* The frame may follow at once: it waits in the socket until the supervisor has thawed the reader. */
    pool_thaw(i);
    instance_set_state(i, INSTANCE_BUSY);
    i->invocation = inv;
    inv->delivered_ns = turn_now_ns(i->gateway);
    inv->start = start_of(i, inv);
    inv->served = i->version->number;
    inv->init_ns = init_duration(i, inv->start);
    inv->spawn_ns = spawn_duration(i, inv->start);
    inv->instance = i->waiter.id;
    inv->version = version_get(i->version);
    if (i->version->settings.seccomp != SETTINGS_SECCOMP_DEFAULT)
        instance_listen_for(i, inv);
    i->used = true;
    i->requests++;
    instance_arm(i, i->version->settings.timeout_ms);
    /* A program's lines come through a reader of its channel's. */
    if (inv->exchange->log_tail && i->driver != &driver_exec)
        line_reader_begin_also(&i->log, inv->exchange->id, inv->exchange->log_tail);
    else
        line_reader_begin(&i->log, inv->exchange->id);
    usage_begin_request(i);
    i->driver->deliver(i, inv);
}

static uint64_t closing_ms(const struct instance *i)
{
    /* exec: init empties /tmp. Others may go on working behind their reply as long as a request may take. */
    uint64_t timeout_ms = i->version->settings.timeout_ms;
    return i->driver == &driver_exec || timeout_ms == 0 ? INSTANCE_RESET_MS : timeout_ms;
}

void instance_after_request(struct instance *i, bool clean)
{
    if (instance_is_single_use(i)) {
        if (i->version->settings.isolation == SETTINGS_ISOLATION_FORK && end_worker(i))
            return;
        instance_stop(i, INSTANCE_RETIRED, "it has served its request");
        return;
    }
    if (!clean) {
        instance_set_state(i, INSTANCE_CLOSING);
        instance_arm(i, closing_ms(i));
        return;
    }
    i->idle_since_ms = turn_boot_ms(i->gateway);
    instance_set_state(i, INSTANCE_IDLE);
    instance_arm(i, 0);
    pool_on_instance_ready(i->pool, i);
}

void instance_replied(struct instance *i, bool clean)
{
    usage_end_request(i, NULL);
    i->invocation = NULL;
    line_reader_end(&i->log);
    pool_on_instance_served(i->pool, i);
    instance_after_request(i, clean);
    i->usage.fresh = false; /* what its process does from here on is no request's */
}

void instance_hand_back(struct instance *i)
{
    struct invocation *inv = i->invocation;
    bool late = i->doom != INSTANCE_NOT_DOOMED && i->doom != INSTANCE_CRASHED;
    if (!inv || late || inv->stream || !pool_take_back(i->pool, inv))
        return;
    notices_put(inv->notices);
    inv->notices = NULL;
    i->invocation = NULL;
    line_reader_end(&i->log);
}

/* ---- a failed one ---- */

void instance_judge(struct instance *i, const struct init_done *failed)
{
    i->failed = *failed;
    instance_set_state(i, INSTANCE_JUDGING);
    instance_arm(i, INSTANCE_JUDGE_MS);
    link_send_plain(i->gateway->link, &i->waiter, MESSAGE_USAGE);
}

void instance_worker_ended(struct instance *i, const struct init_done *done)
{
    usage_end_process(i, done);
    switch (i->state) {
    case INSTANCE_BUSY:
        instance_doom(i, INSTANCE_CRASHED, "the worker ended");
        instance_judge(i, done);
        return;
    case INSTANCE_ENDING:
        if (i->invocation)
            instance_judge(i, done);
        else
            instance_begin_again(i);
        return;
    case INSTANCE_IDLE:
    case INSTANCE_CLOSING:
        i->failed = *done;
        if (pool_on_process_lost(i->pool, i))
            instance_begin_again(i);
        else
            instance_stop(i, INSTANCE_CRASHED, "its process ended between two requests");
        return;
    default:
        i->failed = *done;
        if (i->state != INSTANCE_GONE)
            stop(i, INSTANCE_START_FAILED, "the worker ended before it was ready");
    }
}

void instance_begin_again(struct instance *i)
{
    if (!i->driver->start_again || !pool_wants_again(i->pool, i)) {
        instance_stop(i, INSTANCE_RETIRED, "not needed any more");
        return;
    }
    i->doom = INSTANCE_NOT_DOOMED;
    i->doom_text[0] = '\0';
    i->failed = (struct init_done){.head.type = 0};
    i->used = false;
    i->started_ns = clock_mono_ns();
    i->ready_ns = 0;
    instance_set_state(i, INSTANCE_STARTING);
    instance_arm(i, i->gateway->config->init_timeout_ms);
    int r = i->driver->start_again(i);
    if (r < 0)
        instance_stop(i, INSTANCE_START_FAILED, "start it again: %s", strerrorname_np(-r));
}

static struct str keep(struct buf *b, struct str s)
{
    const char *at = b->data + b->len;
    buf_add_str(b, s);
    return (struct str){at, s.n};
}

void instance_init_failed(struct instance *i, const struct instance_fault *f)
{
    if (i->state != INSTANCE_STARTING)
        return;
    /* Without memory for it the one line below must do. */
    char denied[NOTICES_TEXT_MAX + 2] = "; ";
    struct str more = instance_print_denied(i, denied + 2) ? str_from(denied) : (struct str){0};
    if (buf_reserve(&i->fault_bytes, f->type.n + f->message.n + more.n + f->trace.n) == 0) {
        i->fault.type = keep(&i->fault_bytes, f->type);
        i->fault.message = keep(&i->fault_bytes, f->message);
        i->fault.message.n += keep(&i->fault_bytes, more).n; /* right behind it */
        i->fault.trace = keep(&i->fault_bytes, f->trace);
    }
    instance_stop(i, INSTANCE_START_FAILED, "%.*s: %.*s", (int)f->type.n, f->type.p, (int)f->message.n, f->message.p);
}
