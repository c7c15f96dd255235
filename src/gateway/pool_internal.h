/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the pool's files share:
 *   pools.c        the host: budgets over all functions, who makes room for whom, the graveyard
 *   pool.c         one function: its queue, its idle instances, what follows from a change of an instance's state
 *   pool_losses.c  what follows when one is lost: pauses, and what those who wait are told
 *   pool_version.c what becomes of instances and of what waits when a pool gets another version to serve
 *   pool_template.c when templates go, and the idle children of one that retires
 *   pool_number.c  the pools of one function: which of them may start something, and which one is over
 *   pool_history.c when the function is left alone, and what its earlier idle times say about that
 *   pool_start.c   what is started: an instance of its own, a template, a child of one; trials
 *   pool_report.c  counts and lists for people
 *   pool_idle.c    what min_warm costs
 *   pool_limit.c   Lambda's reserved concurrency
 */
#ifndef FAASD_GATEWAY_POOL_INTERNAL_H
#define FAASD_GATEWAY_POOL_INTERNAL_H

#include "base/clock.h"
#include "gateway/freezer.h"
#include "gateway/history.h"
#include "gateway/instance.h"
#include "gateway/policy.h"
#include "gateway/pool_events.h"

/* The host's share: budgets over all functions. */
struct pools {
    struct gateway *gateway;
    struct list idle;      /* struct instance.host_idle_link, most recently used first: who makes room for others */
    struct list templates; /* struct template.host_link: open or retiring */
    struct list changed;   /* struct pool.changed_link: to be looked at before the loop blocks */
    struct list hungry;    /* struct pool.hungry_link: requests wait for memory that others hold, the longest first */
    struct list over;      /* the same link: freed when the instances in the graveyard are */
    struct list warm;      /* struct pool.warm_link: they keep instances ready */
    struct list graveyard; /* struct instance.link */
    ev_prepare turn_end;
    struct freezer freezer;
    uint64_t memory_bytes;   /* limits of all that were neither killed nor are gone: what the supervisor counts */
    uint64_t kept_bytes;     /* of the budget, what functions have reserved and do not hold */
    uint64_t promised_bytes; /* all that current versions have reserved */
    unsigned instances;      /* the same, counted */
    unsigned alive;          /* all that are not gone */
    bool separable;          /* children of one template can be kept apart (Landlock ABI 6) */
};

struct pool {
    struct pools *pools;
    struct function *function; /* its owner */
    struct version *version;   /* counted: what it serves. NULL: nothing (any more), or it is still being read */
    uint64_t number;           /* a numbered version's own pool; 0: the function's, which serves $LATEST */
    struct pool *home;         /* the function's; the limits that hold over all of its pools are counted there */
    struct list numbered;      /* home: struct pool.numbered_link */
    struct list numbered_link;
    bool loading;             /* numbered: the store reads its version; requests wait in the queue */
    bool closed;              /* numbered: takes no more requests, goes with its last instance */
    bool ended;               /* numbered: among struct pools.over */
    bool sheds;               /* home: more instances work than the function may have now; what gets free goes */
    struct list idle;         /* struct instance.link, counted ones, most recently used first; unused ones last */
    struct list trials;       /* IDLE, of versions that are not current yet */
    struct list others;       /* every other state, and older versions */
    struct list templates;    /* struct template.link: hoped for, open, retiring, of any version */
    struct list changed_link; /* struct pools.changed */
    struct list hungry_link;  /* struct pools.hungry */
    unsigned counts[INSTANCE_GONE + 1]; /* of counted instances, by state */
    unsigned stopping;                  /* counted or not */
    struct list queue;                  /* struct invocation.queue_link, oldest first */
    unsigned queued;
    unsigned queued_background; /* of them, asynchronous calls */
    ev_timer wake;      /* the earliest of: queue_timeout of the oldest request, keep_warm, the end of a backoff */
    unsigned failures;  /* instances lost in a row without a good reply between */
    uint64_t failed_ms; /* boottime: the last of them */
    uint64_t backoff_until_ms; /* boottime */
    uint64_t start_failed_ns;  /* monotonic: the first of a row of failed starts (pool_losses.c); 0 = none */
    uint64_t used_ms;          /* boottime: the end of the last request; 0 = none yet */
    struct policy_peak peak;   /* of requests at once, where instances are used up */
    struct history history;    /* of its idle times */
    struct history_plan plan;  /* of the present spell, when `planned` */
    bool planned;
    uint64_t lead_ms;     /* how long its last start took */
    unsigned starts_lost; /* in a row, to kills from outside, with requests left waiting for the next one */
    bool doubts_forks; /* the last fork was lost: who waits is served by instances of their own, until one is ready */
    bool makes_spares; /* the current version's instances are made ahead of need */
    bool short_of_memory;                /* the last decision was held back by the host's budget */
    uint64_t memory_bytes;               /* home: the function's part of pools.memory_bytes */
    uint64_t kept_bytes, promised_bytes; /* home: of those of pools */
    struct list warm_link;               /* struct pools.warm, while warm_min is not 0 */
    uint32_t warm_min;    /* instances kept ready: min_warm of the current version, or what version_warm.h says; and */
    uint64_t warm_bytes;  /* the memory limit of one */
    uint64_t idle_at_ns;  /* monotonic: until when idle_mib_us counts */
    uint64_t idle_mib_us; /* not billed yet */
};

static inline uint64_t pool_now_ms(const struct pool *p)
{
    return turn_boot_ms(p->pools->gateway);
}

/* ---- pools.c ---- */

/* Gives up idle instances of others, then templates that nobody lives by, until one more instance of `v` fits. Made ahead of need it takes the place only of what
 * has been idle for POOLS_SPARE_AFTER_MS: two functions in use would else take each other's spares away over and over. */
enum { POOLS_SPARE_AFTER_MS = 10000 };
bool pools_make_room(struct pools *p, const struct pool *for_pool, const struct version *v, bool ahead);
/* An instance of `p` takes up its memory, or gives it back. */
void pools_take_memory(struct pool *p, struct instance *i);
void pools_give_memory(struct pool *p, struct instance *i); /* once, then nothing */
/* The current version changed: so did what it has reserved. */
void pools_settle_reserve(struct pool *p);
/* Could `v` reserve what it asks for? 0, or -EINVAL with a sentence for the deployer. */
int pools_check_reserve(const struct pool *p, const struct version *v, struct err *e);
int pools_check_kept(const struct pool *p, uint32_t instances, uint64_t each_bytes, struct err *e); /* the same */
/* The host's budget kept it from starting what a request waits for, or does no more. */
void pools_set_hungry(struct pool *p, bool hungry);
void pools_wake_hungry(struct pools *p); /* something was given back, or can be given up */
/* `i` could serve its own queue, which is never empty: somebody else has waited for its memory for POOLS_YIELD_AFTER_MS, and longer than they. */
enum { POOLS_YIELD_AFTER_MS = 500 };
bool pools_should_yield(const struct instance *i);
/* Looked at before the loop blocks. */
void pools_note_change(struct pool *p);

/* ---- pool.c ---- */

/* Of the current version, starting, serving or ready to; templates are none of them. */
unsigned pool_total(const struct pool *p);
/* Carries the policy out, until it asks for nothing more. */
void pool_evaluate(struct pool *p);
struct policy_view pool_look(const struct pool *p);
void pool_arm_wake(struct pool *p, uint64_t at_ms); /* boottime; 0 = never */
struct invocation *pool_dequeue(struct pool *p);    /* the oldest that waits, the caller's now; NULL = none */
void pool_enqueue(struct pool *p, struct invocation *inv);

/* ---- pool_losses.c ---- */

/* Something of it serves, or will: a template under way does not count, each child of it is still to come. */
bool pool_has_servers(const struct pool *p);

/* ---- pool_template.c ---- */

/* Idle children of templates that retire: none of those that the policy sees as idle. */
unsigned pool_count_old(const struct pool *p);
struct instance *pool_find_oldest_idle(const struct pool *p); /* of all others, the least recently used; NULL = none */
/* `i` has become idle: it is to give way to others, or others to it. */
bool pool_replaces_old(const struct pool *p, const struct instance *i);
void pool_look_at_templates(struct pool *p, const struct policy_view *v);

/* ---- pool_version.c ---- */

/* What it serves from now on (counted by the pool); NULL: nothing, what waits is placed elsewhere or told so. */
void pool_serve(struct pool *p, struct version *v);
void pool_close(struct pool *p); /* a numbered one: no more requests; it goes with its last instance */

/* ---- pool_number.c ---- */

/* Of a version that is not the current one, read by the store for now. NULL when memory is out. */
struct pool *pool_new_numbered(struct pool *home, uint64_t number);

/* A request that is there knows which version it wants; does this pool serve that? */
bool pool_serves(const struct pool *p, const struct invocation *inv);
/* max_concurrency, less what the function's other pools hold and can't give up. */
uint32_t pool_concurrency(const struct pool *p);
uint32_t pool_queue_room(const struct pool *p); /* `queue`, less what waits in the other pools */
/* One instance more of this pool: others' idle ones go where max_concurrency says so. False: not now. `ahead` of need nobody goes. */
bool pool_make_place(struct pool *p, bool ahead);
/* Another pool of the function has waited long without a single instance: whoever gets free makes place. */
bool pool_must_yield(const struct pool *p);
/* Something of `p` got free: those of the function's other pools look whether it helps them. */
void pool_tell_others(struct pool *p);
/* What is kept ready of the function's versions has changed. */
void pools_settle_warm(struct pool *home);
/* Nothing of it is left, and no failure that it has to remember. */
bool pool_is_over(const struct pool *p);

/* ---- pool_history.c ---- */

void pool_note_work(struct pool *p);  /* a request has come */
void pool_note_quiet(struct pool *p); /* the last one is answered */
void pool_note_start(struct pool *p, const struct instance *i);
void pool_plan_spell(struct pool *p); /* once a spell, when it has lasted for HISTORY_SPELL_MS */
/* Shortens keep_warm, or asks for an instance ahead of need, as the plan says. */
void pool_look_at_history(const struct pool *p, struct policy_view *v);

/* ---- pool_idle.c ---- */

void pool_note_idle(struct pool *p);   /* before the number of idle instances changes, where there is a warm_min */
void pool_settle_warm(struct pool *p); /* the current version changed; before its instances are sorted out */
void pool_bill_idle(struct pool *p);

/* ---- pool_start.c ---- */

enum pool_start {
    POOL_STARTED,
    POOL_START_WAITS, /* for a template under way, or for a slot of one: something will change by itself */
    POOL_NO_ROOM,     /* in the host's budget */
    POOL_NO_PLACE,    /* within max_concurrency: the function's other versions work */
    POOL_NO_MEMORY,
};
bool pool_may_fork(const struct pool *p, struct version *v); /* from templates; else v->no_template says why not */
enum pool_start pool_start_one(struct pool *p, bool ahead);  /* ahead of need: see pools_make_room */

#endif
