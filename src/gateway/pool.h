/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The instances of every function and the requests that wait for one. Mechanics only: what to start, stop or refuse is
 * decided by the pure function of gateway/policy.h.
 */
#ifndef FAASD_GATEWAY_POOL_H
#define FAASD_GATEWAY_POOL_H

#include "gateway/registry.h"

struct pools *pools_new(struct gateway *g);
void pools_free(struct pools *p);

struct pool *pool_new(struct pools *p, struct function *f); /* NULL when memory is out */
void pool_free(struct pool *p);

/* Takes the invocation over: delivers it to the most recently used idle instance, or queues it, or ends it with 429 or 503. Called by gateway/version_pool.h, which knows
 * the pool that serves what the invocation wants. */
struct invocation;
void pool_submit(struct pool *p, struct invocation *inv);

/* Asynchronous calls that wait in a queue of the function, its numbered versions' included, are refused with 503: faasd is shutting down, and they are durable. */
void pool_withdraw_background(struct pool *p);

/* The drain's deadline has passed: requests that somebody waits for are refused with 503 where they are queued, and where they run their instances are killed, after
 * which they are answered the same. Returns how many. */
unsigned pools_cut_off(struct pools *p);

/* The current version changed (or the function was removed: current is NULL): idle instances of other versions stop now, busy ones after their request;
 * what waits in the queue goes to the new one, or to the pool of the number that it asked for. */
void pool_version_changed(struct pool *p);

/* Starts one instance of `v`, which need not be current yet, and calls back once: e->code 0 when it is ready (it then waits in the pool of `f` as an idle instance and is kept
 * if `v` becomes current), otherwise the reason. `said` is the same whole, with the words of the function itself or the end of its log (struct instance_fault, gateway/instance.h); NULL: there is no more
 * than *e has. Both are borrowed for the call. Where instances are forked: when the template is ready and one child of it, too. */
struct instance_fault;
typedef void pool_on_trial(void *owner, const struct err *e, const struct instance_fault *said);
void pool_trial(struct pool *p, struct version *v, pool_on_trial *on_done, void *owner);

/* A secret of the current version has changed. One instance is started with the new one first, as a trial is; when it is ready it takes the place of all that have a
 * former one, which go as with a new version: so no request waits for a start that it would not have waited for. Calls back once, perhaps from inside the call:
 * e->code 0 when that is done, or when there was none to replace; otherwise why the new one could not be started, and those with a former secret stay. */
void pool_renew(struct pool *p, pool_on_trial *on_done, void *owner);

struct pool_counts {
    unsigned starting, idle, busy, stopping, queued;
    unsigned templates; /* others are forked from these: they serve nothing themselves, and are in none of the above */
    unsigned frozen;    /* of the idle ones */
    unsigned queued_background; /* of the queued ones, asynchronous calls */
    uint64_t memory_bytes;      /* limits of all instances together */
};
/* Of a function's own pool: those of its numbered versions are counted in. */
void pool_count(const struct pool *p, struct pool_counts *ret_counts);
void pools_count(const struct pools *p, struct pool_counts *ret_counts); /* of the whole host */

/* Memory of the host's budget for a sandbox that is no instance. False: there is not enough free. */
bool pools_lend(struct pools *p, uint64_t bytes);
void pools_take_back(struct pools *p, uint64_t bytes);

/* Puts what idle instances of min_warm cost by now into the accounts (gateway/records.h). */
void pools_bill_idle(struct pools *p);

/* All instances of a function, of older versions too, by what they are doing. */
enum pool_state { POOL_STARTING, POOL_IDLE, POOL_FROZEN, POOL_BUSY, POOL_STOPPING, POOL_TEMPLATE, POOL_STATES };
void pool_count_states(const struct pool *p, unsigned counts[POOL_STATES]);

/* For `ls -v`, tests and the bench: calls back per instance. */
struct pool_instance_info {
    uint64_t id;
    int32_t pid; /* init, or a template's child itself, on the host */
    const char *state;
    bool frozen, forked;
    uint64_t version_number;
    uint64_t age_ms, requests;
};
void pool_each_instance(const struct pool *p, void (*on_instance)(const struct pool_instance_info *i, void *context),
                        void *context);

#endif
