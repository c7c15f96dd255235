/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of instances, and of requests that wait, when a pool gets another version to serve. */
#include "gateway/pool_internal.h"

#include "gateway/event.h"
#include "gateway/role.h"
#include "gateway/runtime.h"
#include "gateway/secrets.h"
#include "gateway/version_pool.h"
#include "gateway/version_warm.h"

#include <errno.h>
#include <stdlib.h>

/* It was started before one of its function's secrets changed. */
static bool has_former_secret(const struct instance *i)
{
    return i->secrets_stamp <
           secrets_stamp_with(i->gateway->secrets, &i->version->settings, role_secret(i->gateway->config, i->version));
}

/* Its environment tells of provisioned concurrency, and there is none, or the other way round. */
static bool is_told_otherwise(const struct instance *i)
{
    return i->told_provisioned != version_warm_is_told(i->function, i->version);
}

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
        if (i->version != p->version || has_former_secret(i) || is_told_otherwise(i))
            disown(p, i);
        else if (!i->counted)
            adopt(p, i);
    }
}

static bool any_is_told_otherwise(struct list *instances)
{
    LIST_EACH (instances, link) {
        const struct instance *i = LIST_ENTRY(link, struct instance, link);
        if (i->counted && i->state != INSTANCE_STOPPING && i->state != INSTANCE_GONE && is_told_otherwise(i))
            return true;
    }
    return false;
}

static bool any_has_former_secret(struct list *instances)
{
    LIST_EACH (instances, link) {
        const struct instance *i = LIST_ENTRY(link, struct instance, link);
        if (i->counted && i->state != INSTANCE_STOPPING && i->state != INSTANCE_GONE && has_former_secret(i))
            return true;
    }
    return false;
}

static bool serves_former_secret(struct pool *p)
{
    return any_has_former_secret(&p->idle) || any_has_former_secret(&p->others);
}

struct renewal {
    struct function *function; /* counted */
    pool_on_trial *on_done;
    void *owner;
};

static void on_renewed(void *owner, const struct err *e, const struct instance_fault *said)
{
    struct renewal *r = owner;
    struct err outcome = *e;
    /* A host too full for one more beside them has room when they are gone. */
    if (e->code == EAGAIN || e->code == ENOMEM)
        outcome.code = 0;
    if (!outcome.code && !r->function->removed)
        pool_version_changed(r->function->pool);
    /* Whatever became of this one, another change or a deploy may have replaced them all meanwhile. */
    if (!serves_former_secret(r->function->pool))
        outcome.code = 0;
    r->on_done(r->owner, &outcome, said);
    function_put(r->function);
    free(r);
}

void pool_renew(struct pool *p, pool_on_trial *on_done, void *owner)
{
    struct renewal *r = NULL;
    if (p->version && !p->pools->gateway->draining && serves_former_secret(p))
        r = malloc(sizeof(*r));
    if (r) {
        *r = (struct renewal){.function = function_get(p->function), .on_done = on_done, .owner = owner};
        pool_trial(p, p->version, on_renewed, r);
        return;
    }
    pool_version_changed(p); /* a backoff that the former secret brought about is over */
    on_done(owner, &(struct err){0}, NULL);
}

/* What waits, taken out of the queue, is looked at anew: its event has to do for this version now, and it may want one that another pool serves. */
static void sort_queue(struct pool *p)
{
    struct invocation *inv;
    struct list waiting;
    list_init(&waiting);
    while ((inv = pool_dequeue(p)))
        list_push_back(&waiting, &inv->queue_link);
    LIST_EACH (&waiting, link) {
        inv = LIST_ENTRY(link, struct invocation, queue_link);
        list_remove(link);
        if (!pool_serves(p, inv)) {
            version_pool_submit(inv);
            continue;
        }
        p->version->used_ns = inv->queued_ns;
        if (event_admit(inv, &p->version->settings))
            pool_enqueue(p, inv);
    }
}

void pool_serve(struct pool *p, struct version *v)
{
    struct function *f = function_get(p->function);
    struct version *before = p->version;
    const struct settings *s = v ? &v->settings : NULL;
    p->version = v ? version_get(v) : NULL;
    p->loading = false;
    if (!v)
        pools_set_hungry(p, false);
    if (!p->number)
        pools_settle_reserve(p);
    pool_settle_warm(p);
    p->makes_spares = s && (instance_settings_single_use(s) || runtime_wants_template(s));
    p->failures = 0;
    p->backoff_until_ms = 0;
    p->start_failed_ns = 0;
    sort_queue(p);
    sort_out(p, &p->idle);
    sort_out(p, &p->others);
    sort_out(p, &p->trials);
    pool_evaluate(p);
    version_put(before);
    function_put(f);
}

static void renew_told(struct pool *p)
{
    if (p->version && !p->closed && (any_is_told_otherwise(&p->idle) || any_is_told_otherwise(&p->others)))
        pool_serve(p, p->version);
}

void pool_renew_told(struct pool *home)
{
    renew_told(home);
    LIST_EACH (&home->numbered, link)
        renew_told(LIST_ENTRY(link, struct pool, numbered_link));
}

void pool_close(struct pool *p)
{
    p->closed = true;
    if (!p->loading)
        pool_serve(p, NULL);
    else
        sort_queue(p); /* and version_pool.c ends it when the store has answered */
    pools_note_change(p);
}

void pool_version_changed(struct pool *p)
{
    struct function *f = function_get(p->function);
    pool_serve(p, f->current);
    LIST_EACH (&p->numbered, link) {
        struct pool *at = LIST_ENTRY(link, struct pool, numbered_link);
        if (!at->closed && f->current && at->number != f->current->number && serves_former_secret(at))
            pool_serve(at, at->version); /* anew */
        if (at->closed || (f->current && at->number != f->current->number))
            continue;
        if (at->version)
            registry_note_use(f, at->version);
        pool_close(at);
    }
    version_warm_settle(f);
    function_put(f);
}
