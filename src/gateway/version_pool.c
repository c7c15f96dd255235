/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/version_pool.h"

#include "base/log.h"
#include "gateway/pool_internal.h"
#include "gateway/revision.h"
#include "gateway/role.h"
#include "gateway/secrets.h"
#include "gateway/store_versions.h"
#include "gateway/version_collect.h"
#include "gateway/version_warm.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

/* ---- reading the version ---- */

struct load {
    struct store_version_read read; /* first */
    struct gateway *gateway;
    struct function *function; /* counted: its pool lives as long */
    struct pool *pool;
};

static void fail_waiting(struct pool *p, const struct err *e)
{
    struct invocation *inv;
    bool gone = e->code == ENOENT;
    if (!gone)
        log_error("a stored version cannot be served fn=%s version=%lu: %s", p->function->name,
                  (unsigned long)p->number, e->text);
    while ((inv = pool_dequeue(p)))
        invocation_fail(inv, INVOCATION_REFUSED, gone ? 404 : 503, gone ? "ResourceNotFound" : "NoCapacity",
                        "version %lu of '%s' cannot be served: %s", (unsigned long)p->number, p->function->name,
                        e->text);
}

enum { NOTE_AFTER_MS = 3600 * 1000 };

/* The disk hears of its use at once where it knows of none in the last hour: a restart must not make it look unused. */
static void note_on_disk(struct gateway *g, struct pool *p)
{
    const struct versions_known *k = versions_find(&p->function->versions, p->number);
    uint64_t before = k ? k->used_ms : UINT64_MAX;
    registry_note_use(p->function, p->version);
    if (k && k->used_ms >= before + NOTE_AFTER_MS)
        version_collect(g, p->function);
}

static void on_read(struct store_task *t)
{
    struct load *l = (struct load *)(void *)t;
    struct pool *p = l->pool;
    struct err *e = &t->error;
    struct version *v = NULL;
    if (e->code == 0 && !p->closed) {
        v = revision_load(l->gateway->config, &l->read.row.revision, e);
        if (!v && e->code == 0)
            err_say(e, EINVAL, "its settings cannot be read");
    }
    p->loading = false;
    if (v) {
        pool_serve(p, v);
        note_on_disk(l->gateway, p);
    } else if (!p->closed) {
        fail_waiting(p, e);
        pool_close(p);
        if (versions_warm(&p->function->versions, p->number))
            version_warm_try_later(p->function);
    }
    pools_note_change(p);
    version_put(v);
    store_version_read_fini(&l->read);
    function_put(l->function);
    free(l);
}

static_assert(offsetof(struct load, read) == 0 && offsetof(struct store_version_read, task) == 0,
              "on_read recovers the load from its task");

struct pool *version_pool_open(struct function *f, struct versions_known *k)
{
    struct gateway *g = f->pool->pools->gateway;
    struct load *l = calloc(1, sizeof(*l));
    struct pool *p = l ? pool_new_numbered(f->pool, k->number) : NULL;
    if (!p) {
        free(l);
        return NULL;
    }
    k->pool = p;
    l->gateway = g;
    l->function = function_get(f);
    l->pool = p;
    store_version_read_init(&l->read, f->name, k->number);
    l->read.task.done = on_read;
    store_submit(g->store, &l->read.task);
    return p;
}

/* ---- requests ---- */

void version_pool_refuse_stopped(struct invocation *inv)
{
    invocation_fail(
        inv, INVOCATION_THROTTLED, 429, "TooManyRequests",
        "the function '%s' is not run: its reserved concurrency is 0 (Lambda's API: PutFunctionConcurrency, "
        "DeleteFunctionConcurrency)",
        inv->function->name);
}

void version_pool_submit(struct invocation *inv)
{
    struct function *f = inv->function;
    if (!f->current) {
        invocation_fail(inv, INVOCATION_REFUSED, 404, "ResourceNotFound", "the function '%s' was removed", f->name);
        return;
    }
    if (function_is_stopped(f)) {
        version_pool_refuse_stopped(inv);
        return;
    }
    if (inv->wanted == VERSIONS_LATEST_NUMBER || inv->wanted == f->current->number) {
        pool_submit(f->pool, inv);
        return;
    }
    struct versions_known *k = versions_find(&f->versions, inv->wanted);
    if (!k) {
        invocation_fail(inv, INVOCATION_REFUSED, 404, "ResourceNotFound", "version %lu of '%s' was removed",
                        (unsigned long)inv->wanted, f->name);
        return;
    }
    struct pool *p = k->pool && !k->pool->closed ? k->pool : version_pool_open(f, k);
    if (p)
        pool_submit(p, inv);
    else
        invocation_fail(inv, INVOCATION_REFUSED, 503, "NoCapacity", "out of memory");
}

void version_pool_note_uses(struct function *f)
{
    if (f->current)
        registry_note_use(f, f->current);
    LIST_EACH (&f->pool->numbered, link) {
        const struct pool *p = LIST_ENTRY(link, struct pool, numbered_link);
        if (p->version)
            registry_note_use(f, p->version);
    }
}

bool version_pool_names_secret(const struct function *f, struct str name)
{
    LIST_EACH (&f->pool->numbered, link) {
        const struct pool *p = LIST_ENTRY(link, struct pool, numbered_link);
        if (p->version && (secrets_are_named(&p->version->settings, name) ||
                           role_names_secret(p->pools->gateway->config, p->version, name)))
            return true;
    }
    return false;
}

void version_pool_end(struct pool *p)
{
    struct function *f = p->function;
    struct versions_known *k = versions_find(&f->versions, p->number);
    if (p->version)
        registry_note_use(f, p->version);
    if (k && k->pool == p)
        k->pool = NULL;
    p->closed = true;
    p->ended = true;
    list_remove(&p->changed_link);
    list_push_back(&p->pools->over, &p->changed_link);
}
