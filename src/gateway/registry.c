/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/registry.h"

#include "base/clock.h"
#include "base/id.h"
#include "gateway/account.h"
#include "gateway/face.h"
#include "gateway/notices.h"
#include "gateway/pool.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { REGISTRY_BUCKETS_FIRST = 64 };

struct registry {
    struct gateway *gateway;
    struct function **buckets; /* by the hash of the name; a power of two of them */
    size_t bucket_count;
    size_t total;  /* functions in the buckets */
    size_t served; /* of those, with a current version */
    uint64_t seed; /* names are chosen by users: an unknown seed keeps them from choosing collisions */
};

/* ---- versions ---- */

static struct list living = {&living, &living};
static struct list removed = {&removed, &removed};

struct version *version_new(void)
{
    struct version *v = calloc(1, sizeof(*v));
    if (!v)
        return NULL;
    v->references = 1;
    list_push_back(&living, &v->living);
    return v;
}

struct version *version_get(struct version *v)
{
    v->references++;
    return v;
}

void version_put(struct version *v)
{
    if (!v)
        return;
    assert(v->references > 0);
    if (--v->references)
        return;
    list_remove(&v->living);
    settings_fini(&v->settings);
    free(v->imports);
    free(v->role);
    free(v);
}

void version_learn_imports(struct version *v, struct str list)
{
    if (list.n == 0 || list.n >= SETTINGS_IMPORTS_MAX || (v->imports && str_is(list, v->imports)))
        return;
    for (size_t k = 0; k < list.n; k++) {
        unsigned char c = (unsigned char)list.p[k];
        if (!(c >= '0' && c <= '9') && !((c | 0x20) >= 'a' && (c | 0x20) <= 'z') && c != '_' && c != '.' && c != ',')
            return;
    }
    char *copy = strndup(list.p, list.n);
    if (!copy)
        return;
    free(v->imports);
    v->imports = copy;
}

bool version_code_is_live(const char *code)
{
    LIST_EACH (&living, at) {
        const struct version *v = LIST_ENTRY(at, struct version, living);
        if (strcmp(v->code, code) == 0 || strcmp(v->opt, code) == 0)
            return true;
    }
    return false;
}

/* ---- functions ---- */

struct function *function_get(struct function *f)
{
    f->references++;
    return f;
}

void function_put(struct function *f)
{
    if (!f)
        return;
    assert(f->references > 0);
    if (--f->references)
        return;
    list_remove(&f->removed_link);
    version_put(f->current);
    account_put(f->account);
    pool_free(f->pool);
    versions_fini(&f->versions);
    free(f->learned);
    free(f);
}

static struct function *function_new(struct gateway *g, struct str name)
{
    struct function *f = calloc(1, sizeof(*f));
    if (!f)
        return NULL;
    bool fits = str_copy(name, f->name, sizeof(f->name));
    assert(fits);
    f->references = 1;
    list_init(&f->removed_link);
    f->pool = pool_new(g->pools, f);
    if (!f->pool) {
        free(f);
        return NULL;
    }
    return f;
}

/* ---- the table ---- */

struct registry *registry_new(struct gateway *g)
{
    struct registry *r = calloc(1, sizeof(*r));
    if (!r)
        return NULL;
    r->gateway = g;
    r->bucket_count = REGISTRY_BUCKETS_FIRST;
    r->buckets = calloc(r->bucket_count, sizeof(struct function *));
    if (!r->buckets) {
        free(r);
        return NULL;
    }
    id_random(&r->seed, sizeof(r->seed));
    return r;
}

void registry_free(struct registry *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->bucket_count; i++) {
        for (struct function *f = r->buckets[i], *next; f; f = next) {
            next = f->next;
            function_put(f);
        }
    }
    free(r->buckets);
    free(r);
}

static struct function **slot_of(const struct registry *r, struct function **buckets, size_t count, struct str name)
{
    return &buckets[str_hash(name, r->seed) & (count - 1)];
}

static struct function *look_up(const struct registry *r, struct str name)
{
    struct function *f = *slot_of(r, r->buckets, r->bucket_count, name);
    while (f && !str_is(name, f->name))
        f = f->next;
    return f;
}

static void grow(struct registry *r)
{
    size_t count = r->bucket_count * 2;
    struct function **buckets = calloc(count, sizeof(*buckets));
    if (!buckets)
        return; /* longer chains are slower, not wrong */
    for (size_t i = 0; i < r->bucket_count; i++) {
        for (struct function *f = r->buckets[i], *next; f; f = next) {
            struct function **slot = slot_of(r, buckets, count, str_from(f->name));
            next = f->next;
            f->next = *slot;
            *slot = f;
        }
    }
    free(r->buckets);
    r->buckets = buckets;
    r->bucket_count = count;
}

struct function *registry_find(struct registry *r, struct str name)
{
    struct function *f = look_up(r, name);
    return f && f->current ? f : NULL;
}

size_t registry_count(const struct registry *r)
{
    return r->served;
}

bool registry_is_full(const struct registry *r)
{
    return r->total >= r->gateway->config->functions_max;
}

struct function *registry_ensure(struct registry *r, struct str name)
{
    struct function *f = look_up(r, name);
    if (f)
        return f;
    if (registry_is_full(r))
        return NULL;
    f = function_new(r->gateway, name);
    if (!f)
        return NULL;
    if (r->total >= r->bucket_count)
        grow(r);
    struct function **slot = slot_of(r, r->buckets, r->bucket_count, name);
    f->next = *slot;
    *slot = f;
    r->total++;
    return f;
}

void registry_set_current(struct registry *r, struct function *f, struct version *v)
{
    assert(!f->removed);
    struct version *before = f->current;
    f->current = v;
    if (f->learned && v->settings.seccomp != SETTINGS_SECCOMP_LEARNING)
        *f->learned = (struct learned_calls){.told = 0}; /* the next learning begins anew */
    r->served += !before;
    if (before)
        registry_note_use(f, before);
    pool_version_changed(f->pool);
    version_put(before);
}

void registry_note_use(struct function *f, const struct version *v)
{
    struct versions_known *k = versions_find(&f->versions, v->number);
    if (!k || !v->used_ns)
        return;
    uint64_t now = clock_real_ms();
    uint64_t ago = (clock_mono_ns() - v->used_ns) / 1000000;
    uint64_t used = now > ago ? now - ago : 0;
    if (k->used_ms < used)
        k->used_ms = used;
}

void registry_remove(struct registry *r, struct function *f)
{
    struct function **at = slot_of(r, r->buckets, r->bucket_count, str_from(f->name));
    while (*at != f) {
        assert(*at);
        at = &(*at)->next;
    }
    *at = f->next;
    f->next = NULL;
    f->removed = true;
    list_push_back(&removed, &f->removed_link);
    if (r->gateway->face)
        r->gateway->face->forget(f);
    struct version *before = f->current;
    f->current = NULL;
    r->total--;
    r->served -= before != NULL;
    pool_version_changed(f->pool);
    version_put(before);
    if (f->account)
        account_detach(f->account);
    function_put(f);
}

void registry_walk(const struct registry *r, void (*on_function)(struct function *f, void *context), void *context)
{
    for (size_t i = 0; i < r->bucket_count; i++)
        for (struct function *f = r->buckets[i]; f; f = f->next)
            if (f->current)
                on_function(f, context);
}

void registry_walk_removed(void (*on_function)(struct function *f, void *context), void *context)
{
    LIST_EACH (&removed, at)
        on_function(LIST_ENTRY(at, struct function, removed_link), context);
}

/* ---- in name order ---- */

static int compare_names(const void *a, const void *b)
{
    return strcmp((*(struct function *const *)a)->name, (*(struct function *const *)b)->name);
}

void registry_each(struct registry *r, void (*on_function)(struct function *f, void *context), void *context)
{
    struct function **sorted = malloc((r->served + 1) * sizeof(struct function *));
    size_t n = 0;
    if (!sorted)
        return;
    for (size_t i = 0; i < r->bucket_count; i++)
        for (struct function *f = r->buckets[i]; f; f = f->next)
            if (f->current)
                sorted[n++] = f;
    qsort(sorted, n, sizeof(struct function *), compare_names);
    for (size_t i = 0; i < n; i++)
        on_function(sorted[i], context);
    free(sorted);
}
