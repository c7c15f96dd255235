/* SPDX-License-Identifier: Apache-2.0 */
/* What is started when one more instance is wanted, and what becomes of a template. */
#include "base/fmt.h"
#include "gateway/pool_internal.h"

#include "gateway/runtime.h"

#include <errno.h>

static struct instance *start(struct pool *p, const struct instance_options *o)
{
    struct pools *host = p->pools;
    struct instance *i = instance_start(host->gateway, o);
    if (!i)
        return NULL;
    i->counted = !o->on_trial;
    p->counts[INSTANCE_SPAWNING] += i->counted;
    host->alive++;
    pools_take_memory(p, i);
    list_push_front(&p->others, &i->link);
    if (i->template)
        list_push_back(&p->templates, &i->template->link);
    return i;
}

/* ---- which template ---- */

struct choice {
    struct template *open; /* may fork now; NULL = none */
    bool waits;            /* one is under way, or gets a slot back soon */
    bool any;              /* there is one, if a full one */
};

static struct choice choose_template(struct pool *p)
{
    struct choice c = {0};
    LIST_EACH (&p->templates, link) {
        struct template *t = LIST_ENTRY(link, struct template, link);
        enum instance_state s = t->instance->state;
        if (t->instance->version != p->version || !t->instance->counted)
            continue;
        if (s == INSTANCE_SPAWNING || s == INSTANCE_STARTING) {
            c.waits = true;
        } else if (template_may_fork(t)) {
            c.open = t;
            return c;
        } else if (s == INSTANCE_TEMPLATE && !t->retiring) {
            c.any = true;
            c.waits = c.waits || !template_is_full(t);
        }
    }
    return c;
}

/* Slots for one template more; 0: an instance of its own is better. Without a way to keep children apart a template has one, so that a second template costs as much as an
 * instance of its own: worth it only where each request needs a fork. */
static unsigned slots_for_another(const struct pool *p, const struct choice *c)
{
    const struct settings *s = &p->version->settings;
    if (c->any && !p->pools->separable && s->isolation != SETTINGS_ISOLATION_FORK)
        return 0;
    return template_slots(s, p->pools->separable);
}

bool pool_may_fork(const struct pool *p, struct version *v)
{
    if (!runtime_wants_template(&v->settings))
        return false;
    if (p->pools->gateway->boot->no_groups)
        fmt_to(v->no_template, sizeof(v->no_template), "this host gives its sandboxes no control groups");
    return !v->no_template[0];
}

/* A template without children in the way of its own first child gives its place up: whatever comes in its stead serves by itself (pool_may_open_template). */
static enum pool_start give_place_up(struct template *t)
{
    if (!t || !template_is_idle(t))
        return POOL_NO_ROOM;
    template_retire(t, "the host's memory_budget has no room for a child beside it");
    return POOL_START_WAITS;
}

enum pool_start pool_start_one(struct pool *p, bool ahead)
{
    struct version *v = p->version;
    struct instance_options o = {.pool = p, .function = p->function, .version = v};
    if (pool_may_fork(p, v) && (ahead || !p->doubts_forks)) {
        struct choice c = choose_template(p);
        if (!c.open && c.waits)
            return POOL_START_WAITS;
        o.parent = c.open;
        o.slots = c.open ? 0 : slots_for_another(p, &c);
    }
    if (!pool_make_place(p, ahead))
        return POOL_NO_PLACE;
    if (!pools_make_room(p->pools, p, v, ahead))
        return ahead ? POOL_NO_ROOM : give_place_up(o.parent);
    return start(p, &o) ? POOL_STARTED : POOL_NO_MEMORY;
}

/* ---- a template is ready ---- */

bool pool_may_open_template(struct pool *p, struct instance *i)
{
    return pools_make_room(p->pools, p, i->version, false);
}

/* The deploy waits for a child as well: so every step that a request will depend on has been gone once. */
static void try_child(struct pool *p, struct instance *i)
{
    struct instance_options o = {.pool = p,
                                 .function = i->function,
                                 .version = i->version,
                                 .parent = i->template,
                                 .on_trial = i->on_trial,
                                 .trial_owner = i->trial_owner};
    i->on_trial = NULL;
    if (!start(p, &o))
        o.on_trial(o.trial_owner, &(struct err){.code = ENOMEM, .text = "out of memory"}, NULL);
}

void pool_on_template_open(struct pool *p, struct instance *i)
{
    list_push_front(&p->pools->templates, &i->template->host_link);
    if (i->on_trial)
        try_child(p, i);
    else if (!i->counted)
        template_retire(i->template, "a newer version serves");
    pools_note_change(p);
}

void pool_drop_template(struct pool *p, struct instance *i)
{
    if (!i->template)
        return;
    template_free(i->template);
    i->template = NULL;
    pools_note_change(p); /* whoever waited for it gets instances of its own */
}

/* ---- trials ---- */

void pool_trial(struct pool *p, struct version *v, pool_on_trial *on_done, void *owner)
{
    struct instance_options o = {
        .pool = p, .function = p->function, .version = v, .on_trial = on_done, .trial_owner = owner};
    struct err e;
    if (pools_check_reserve(p, v, &e) < 0) {
        on_done(owner, &e, NULL);
        return;
    }
    if (pool_may_fork(p, v))
        o.slots = template_slots(&v->settings, p->pools->separable);
    pools_make_room(p->pools, p, v, false);
    if (!start(p, &o))
        on_done(owner, &(struct err){.code = ENOMEM, .text = "out of memory"}, NULL);
}
