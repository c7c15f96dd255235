/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One sandbox of one version of a function, from the SPAWN message to EXITED.
 *
 *   SPAWNING  SPAWN was sent                              timer: init_timeout
 *   STARTING  its descriptors are here, its code is not ready   timer: the rest of init_timeout
 *   IDLE      waits for a request                          needs no timer of its own: the pool's covers keep_warm
 *   BUSY      works on `invocation`                        timer: the function's timeout
 *   CLOSING   the reply is out, the sandbox is being made clean for the next request (exec)   timer: INSTANCE_RESET_MS
 *   JUDGING   the request failed and the supervisor is asked why (USAGE)   timer: INSTANCE_JUDGE_MS
 *   STOPPING  KILL was sent, or its end was seen; `invocation` is answered when EXITED comes   timer: INSTANCE_STOP_MS, then KILL again
 *   GONE      in the graveyard, freed before the loop blocks again
 *
 * Legal transitions stand in one table in instance.c, checked by the one setter.
 */
#ifndef FAASD_GATEWAY_INSTANCE_H
#define FAASD_GATEWAY_INSTANCE_H

#include "gateway/exec_channel.h"
#include "gateway/invocation.h"
#include "gateway/link.h"
#include "gateway/native_channel.h"
#include "gateway/pool.h"

enum instance_state {
    INSTANCE_SPAWNING,
    INSTANCE_STARTING,
    INSTANCE_IDLE,
    INSTANCE_BUSY,
    INSTANCE_CLOSING,
    INSTANCE_JUDGING,
    INSTANCE_STOPPING,
    INSTANCE_GONE,
};

enum { INSTANCE_RESET_MS = 5000, INSTANCE_JUDGE_MS = 2000, INSTANCE_STOP_MS = 2000, INSTANCE_EOF_GRACE_MS = 50 };

/* Why it is being stopped; decides what its request is told. The first reason stands. */
enum instance_doom {
    INSTANCE_NOT_DOOMED,
    INSTANCE_RETIRED,      /* not needed any more */
    INSTANCE_START_FAILED, /* its code could not be started, or took longer than init_timeout */
    INSTANCE_TIMED_OUT,
    INSTANCE_BAD_REPLY, /* broke the protocol or a limit of it */
    INSTANCE_CRASHED,   /* its process ended */
};

struct instance;

/* How a runtime is driven; one table per runtime (driver_exec.c, driver_native.c). */
struct driver {
    void (*init)(struct instance *i);                /* SPAWNING: names who hears its channels */
    int (*start)(struct instance *i, int worker_fd); /* STARTING: takes worker_fd over; -errno dooms the instance */
    void (*deliver)(struct instance *i, struct invocation *inv); /* BUSY */
    void (*fini)(struct instance *i);
};
extern const struct driver driver_exec;
extern const struct driver driver_native;

struct instance {
    struct link_waiter waiter; /* first: its id is the instance's */
    struct pool *pool;         /* borrowed: lives until its last instance is gone */
    struct function *function; /* counted */
    struct version *version;   /* counted */
    struct gateway *gateway;
    const struct driver *driver;
    enum instance_state state;
    struct list link;           /* struct pool.idle, .trials or .others */
    struct list host_idle_link; /* struct pools.idle, while IDLE and counted */
    bool counted; /* of the current version: one of those the policy sees. Not so trials and those of older versions */
    ev_timer timer;
    int32_t pid;
    uint64_t spawned_ns, ready_ns; /* monotonic */
    uint64_t idle_since_ms;        /* boottime */
    uint64_t requests;
    struct invocation *invocation; /* BUSY, JUDGING, STOPPING: owned until ended; else NULL */

    enum instance_doom doom;
    char doom_text[ERR_TEXT_MAX];
    bool kill_sent;
    uint32_t oom_seen, pids_seen; /* of earlier requests, so that a failure is blamed on its own */

    struct line_reader log;      /* init's and a native worker's stdout and stderr */
    struct exec_channel channel; /* init's control socket */
    struct native_channel native;
    struct init_done failed; /* JUDGING: how the request's program ended */

    pool_on_trial *on_trial; /* NULL once told, and for instances that the policy started */
    void *trial_owner;
};

struct instance_options {
    struct function *function;
    struct version *version;
    pool_on_trial *on_trial; /* NULL: not a trial */
    void *trial_owner;
};
/* Sends SPAWN. NULL when memory is out. */
struct instance *instance_start(struct gateway *g, const struct instance_options *o);
/* IDLE -> BUSY. */
void instance_deliver(struct instance *i, struct invocation *inv);
/* Kills it; what it works on is answered when it is dead. */
void instance_stop(struct instance *i, enum instance_doom why, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* For drivers. */
void instance_ready(struct instance *i); /* STARTING or CLOSING -> IDLE */
void instance_replied(
    struct instance *i,
    bool clean); /* the invocation has ended: BUSY -> IDLE, or -> CLOSING until instance_ready when not clean */
void instance_judge(
    struct instance *i,
    const struct init_done *failed); /* BUSY -> JUDGING: the program failed, ask for the kernel's side of it */
void instance_worker_closed(
    struct instance *i,
    const char *how); /* a socket of it is at its end: its exit status follows, or it is killed; `how` is for people */

const char *instance_state_name(enum instance_state s);

/* What the pool is told (pool.c). on_state: `i` went from `before` to its present state; counts move. */
void pool_on_instance_state(struct pool *p, struct instance *i, enum instance_state before);
void pool_on_instance_ready(struct pool *p, struct instance *i);  /* IDLE now: give it work or a place to wait */
void pool_on_instance_served(struct pool *p, struct instance *i); /* a request was answered well: no crash loop */
/* Every process of it is dead; `failed_start`: it never became ready, reason in i->doom_text. The instance is freed by the pool after this loop turn. */
void pool_on_instance_gone(struct pool *p, struct instance *i, bool failed_start);
void instance_free(struct instance *i);

#endif
