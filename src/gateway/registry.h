/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Functions and their revisions in memory: what requests are routed by. The store holds the durable copy; this one is changed only after the
 * row is committed. A version is immutable and counted: instances and invocations hold a reference, the last put frees it.
 */
#ifndef FAASD_GATEWAY_REGISTRY_H
#define FAASD_GATEWAY_REGISTRY_H

#include "base/list.h"
#include "gateway/gateway.h"
#include "gateway/versions.h"

struct function;

enum { VERSION_RUNTIME_MAX = 64 };

struct version {
    char revision[MESSAGE_DIGEST_MAX]; /* of code and settings */
    char code[MESSAGE_DIGEST_MAX];     /* names versions/DIGEST */
    char opt[MESSAGE_DIGEST_MAX];      /* the same for /opt; "" = it is empty */
    char *role;                        /* owned; the ARN that Lambda's API was told; NULL = none */
    uint64_t number;                   /* 1, 2, 3 ... per function */
    uint64_t created_ms;               /* real time */
    uint64_t code_bytes;
    uint64_t used_ns;         /* monotonic: when the last request for it came; 0 = none yet */
    struct settings settings; /* owned */
    char *imports; /* owned; python: what its workers were seen to import, comma separated; NULL = nothing yet */
    unsigned references;
    bool network_explained;                 /* why a connection failed was said in its log */
    bool opt_bootstrap;                     /* provided: /opt/bootstrap is started, its own files have none */
    char runtime_used[VERSION_RUNTIME_MAX]; /* what a worker said it runs on: "CPython 3.11.2"; "" = none has yet */
    char no_template
        [ERR_TEXT_MAX]; /* why it is not forked although its settings allow it; "" = it is, or nobody knows yet */
    struct list living; /* the registry module's list of every version that anybody holds */
};

/* Counters of one function since the gateway started, for `faasd stats` and /v1/system. */
struct function_counters {
    uint64_t succeeded, function_errors, crashed, out_of_memory, timed_out, throttled, refused, cold_starts;
    uint64_t duration_ns; /* run time, summed */
};

struct function {
    char name[SETTINGS_NAME_MAX];
    struct version *current;  /* counted: $LATEST; NULL only while the first deploy is under way or after removal */
    struct pool *pool;        /* owned, gateway/pool.h: made by pool_new when the function is made */
    struct versions versions; /* what qualifiers name; holds the current one's number, too */
    struct function_counters counters;
    struct account *account;       /* counted, gateway/account.h; NULL until its first instance or request */
    struct learned_calls *learned; /* owned (gateway/notices.h): what `faasd learn` has seen; NULL until it runs */
    unsigned references;           /* a removed function lives until its last invocation and instance are gone */
    bool removed;
    bool limited;   /* Lambda's reserved concurrency: `limit` stands in place of max_concurrency and of reserved */
    uint32_t limit; /* 0: it is not run (gateway/pool_limit.h) */
    struct list removed_link; /* the registry module's list of those that are removed and still live */
    struct function *next;    /* hash chain of the registry */
};

/* Instances at most, of all its versions together; `s` is the current version's. */
static inline uint32_t function_concurrency(const struct function *f, const struct settings *s)
{
    return f->limited ? f->limit : s->max_concurrency;
}

/* Instances whose memory is kept for it. */
static inline uint32_t function_reserved(const struct function *f, const struct settings *s)
{
    return f->limited ? f->limit : s->reserved;
}

static inline bool function_is_stopped(const struct function *f)
{
    return f->limited && f->limit == 0;
}

struct registry *registry_new(struct gateway *g);
void registry_free(struct registry *r);

/* A function without a current version (its first deploy is under way) is not there yet: only registry_ensure sees it. */
struct function *registry_find(struct registry *r, struct str name); /* NULL: no such function; borrowed */
size_t registry_count(const struct registry *r);
/* Every function with a current version, in no order: costs nothing beyond the calls. */
void registry_walk(const struct registry *r, void (*on_function)(struct function *f, void *context), void *context);
/* Those that are removed and whose last requests still run. */
void registry_walk_removed(void (*on_function)(struct function *f, void *context), void *context);
/* Calls back in name order; the callback must not add or remove. Nobody is called when memory is out. */
void registry_each(struct registry *r, void (*on_function)(struct function *f, void *context), void *context);

/* The function by that name, made (with a pool, without a version) when absent; NULL when functions_max is reached or memory is out. */
struct function *registry_ensure(struct registry *r, struct str name);
bool registry_is_full(const struct registry *r); /* else NULL means that there is no memory */
/* Makes `v` (its reference is taken over) what new requests get, and tells the pool. */
void registry_set_current(struct registry *r, struct function *f, struct version *v);
/* When it was last asked for is noted beside its number. */
void registry_note_use(struct function *f, const struct version *v);
void registry_remove(struct registry *r, struct function *f); /* new requests get 404; what runs finishes */

struct version *version_new(void); /* one reference, all zero; NULL when memory is out */
/* Does any living version, current or still finishing, run from this tree? Such a tree must not be deleted. */
bool version_code_is_live(const char *code);
struct version *version_get(struct version *v);
/* For the next worker's FAASD_IMPORTS. What is no list of module names, or too long, is not kept. */
void version_learn_imports(struct version *v, struct str list);
void version_put(struct version *v); /* NULL is fine */
struct function *function_get(struct function *f);
void function_put(struct function *f);

#endif
