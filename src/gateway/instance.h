/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One sandbox of one version of a function, or one child of a template, from the SPAWN or PREPARE message to EXITED.
 *
 *   SPAWNING  SPAWN was sent                              timer: init_timeout
 *   STARTING  its descriptors are here, its code is not ready   timer: the rest of init_timeout
 *   IDLE      waits for a request                          needs no timer of its own: the pool's covers keep_warm
 *   TEMPLATE  forks others, never sees a request           the same
 *   BUSY      works on `invocation`                        timer: the function's timeout
 *   CLOSING   the reply is out, the sandbox or its process is not ready for the next request yet   timer: instance.c, closing_ms()
 *   ENDING    its process is being ended and the sandbox stays (drivers with end_worker); `invocation`, if any, is judged when it is dead
 *                                                          timer: INSTANCE_RESET_MS, then the sandbox goes too
 *   JUDGING   the request failed and the supervisor is asked why (USAGE)   timer: INSTANCE_JUDGE_MS
 *   STOPPING  KILL was sent, or its end was seen; `invocation` is answered when EXITED comes   timer: INSTANCE_STOP_MS, then KILL again
 *   GONE      in the graveyard, freed before the loop blocks again
 *
 * A child of a template (gateway/template.h) passes the same states: SPAWNING until its groups are prepared (MESSAGE_PREPARE), STARTING from FORK to its READY. It may be
 * BUSY before ADOPT was looked at: its groups hold it already, the supervisor only sees whether it is the process it claims to be.
 *
 * A process that is started again in its sandbox goes ENDING or JUDGING -> STARTING.
 *
 * Legal transitions stand in one table in instance.c, checked by the one setter. Files: instance.c the states and a request's way through them,
 * instance_start.c how one comes to be, instance_end.c how one ends and what its request is told.
 */
#ifndef FAASD_GATEWAY_INSTANCE_H
#define FAASD_GATEWAY_INSTANCE_H

#include "gateway/exec_channel.h"
#include "gateway/invocation.h"
#include "gateway/lambda_context.h"
#include "gateway/link.h"
#include "gateway/native_channel.h"
#include "gateway/pool.h"
#include "gateway/template.h"
#include "gateway/usage.h"

enum instance_state {
    INSTANCE_SPAWNING,
    INSTANCE_STARTING,
    INSTANCE_IDLE,
    INSTANCE_TEMPLATE,
    INSTANCE_BUSY,
    INSTANCE_CLOSING,
    INSTANCE_ENDING,
    INSTANCE_JUDGING,
    INSTANCE_STOPPING,
    INSTANCE_GONE,
};

enum { INSTANCE_RESET_MS = 5000, INSTANCE_JUDGE_MS = 2000, INSTANCE_STOP_MS = 2000, INSTANCE_EOF_GRACE_MS = 200 };
enum { INSTANCE_FAULT_TYPE_MAX = 129, INSTANCE_END_MAX = ERR_TEXT_MAX + LINE_READER_TAIL + 8 };

/* Why it is being stopped, or its process ended; decides what its request is told. The first reason stands. */
enum instance_doom {
    INSTANCE_NOT_DOOMED,
    INSTANCE_RETIRED,      /* not needed any more */
    INSTANCE_START_FAILED, /* its code could not be started */
    INSTANCE_TIMED_OUT,    /* it, or its start, took too long */
    INSTANCE_BAD_REPLY,    /* broke the protocol or a limit of it */
    INSTANCE_CRASHED,      /* its process ended */
    INSTANCE_CUT_OFF,      /* the drain's deadline has passed under its request */
};

struct instance;

/*
 * How a runtime is driven; one table per runtime (driver_exec.c, driver_native.c, driver_provided.c).
 *
 * The last four are optional. A driver whose process can be started again in the same sandbox (INIT_COMMAND_AGAIN) has end_worker and start_again: they are used instead
 * of stopping the instance after a timeout, a crash, a bad reply, and after each request with isolation=fork. The order is always
 *   end_worker (not when the process has ended by itself) -> instance_worker_ended, called by the driver -> the request is answered -> start_again.
 * After OutOfMemory, too many failures in a row, or when one of them fails, the whole sandbox is replaced.
 */
struct driver {
    void (*init)(struct instance *i); /* SPAWNING: names who hears its channels */
    /* STARTING: takes worker_fd over. -errno dooms the instance; a driver that knows better than the errno what to say calls instance_stop before. */
    int (*start)(struct instance *i, int worker_fd);
    void (*deliver)(struct instance *i, struct invocation *inv); /* BUSY */
    void (*fini)(struct instance *i);
    /* ENDING: kills every process of the worker (INIT_STOP), instance_worker_ended follows. False: this one can't be, the instance is stopped instead. */
    bool (*end_worker)(struct instance *i);
    /* ENDING: what usage_before_end asked for has come, and end_worker may have waited for it. False: as end_worker's. */
    bool (*on_counted)(struct instance *i);
    /* STARTING: no process of the last worker lives, /tmp is as it left it. instance_ready follows as after `start`. -errno dooms the instance. */
    int (*start_again)(struct instance *i);
    /* STARTING: init_timeout has passed. True: the driver deals with it (it may say instance_ready and start the process under the next request's timeout); false or
     * NULL: the instance is stopped and whoever waits for it told. */
    bool (*on_init_timeout)(struct instance *i);
};
extern const struct driver driver_exec;
extern const struct driver driver_native;   /* native, python and node: frames */
extern const struct driver driver_provided; /* the Lambda Runtime API */

/* What a failed initialisation said about itself, or how it ended. */
struct instance_fault {
    struct str type; /* one word shorter than INSTANCE_FAULT_TYPE_MAX; checked by whoever reports it */
    struct str message;
    struct str trace; /* a JSON array, or empty */
};

struct instance {
    struct link_waiter waiter; /* first: its id is the instance's */
    struct pool *pool;         /* borrowed: lives until its last instance is gone */
    struct function *function; /* counted */
    struct version *version;   /* counted */
    struct gateway *gateway;
    const struct driver *driver;
    char arn[LAMBDA_CONTEXT_ARN_MAX]; /* its function's name, as contexts tell it */
    enum instance_state state;
    struct list link;           /* struct pool.idle, .trials or .others */
    struct list host_idle_link; /* struct host.idle, while IDLE and counted */
    struct list thawed_link;    /* struct freezer.thawed, while IDLE, counted and not frozen */
    bool counted; /* of the current version: one of those the policy sees. Not so trials and those of older versions */
    bool frozen;  /* FREEZE was sent and no THAW since */
    bool used;    /* its present process has been given a request */
    ev_timer timer;
    int32_t pid;
    uint64_t spawned_ns, ready_ns; /* monotonic; ready_ns is 0 until its present process is ready */
    uint64_t started_ns;           /* monotonic: when its present process was asked for */
    uint64_t existing_ns;          /* monotonic: when its sandbox, or its groups, were there */
    uint64_t idle_since_ms;        /* boottime */
    bool told_provisioned;         /* its environment says so (gateway/version_warm.h) */
    uint64_t secrets_stamp;        /* of the secrets it was started with (gateway/secrets.h) */
    uint64_t requests;
    struct usage usage;
    struct invocation *invocation; /* BUSY, ENDING, JUDGING, STOPPING: owned until ended; else NULL */
    enum instance_doom doom;
    char doom_text[ERR_TEXT_MAX];
    bool kill_sent;
    bool ended_first;              /* its socket's end was seen before KILL was sent */
    bool holds_memory;             /* of the host's budget */
    uint32_t oom_seen, pids_seen;  /* of earlier requests, so that a failure is blamed on its own */
    struct buf fault_bytes;        /* owned: what `fault` points into */
    struct instance_fault fault;   /* what a failed initialisation said; type.n 0 = nothing */
    bool out_of_memory, host_full; /* GONE: why it never became ready; the latter says nothing about its function */
    bool killed_outside;           /* GONE: it was not ready yet, and neither faasd nor a limit killed it */
    struct buf end; /* owned: why it never became ready when it did not say so itself, with the end of its log */
    struct line_reader log;      /* init's and a worker's stdout and stderr */
    struct exec_channel channel; /* init's control socket */
    struct native_channel native;
    void *driver_state;           /* the driver's own, freed by its fini */
    struct init_done failed;      /* ENDING, JUDGING, STOPPING: how the program or worker ended */
    struct template *template;    /* owned: it is to be one, or is one. NULL for all others */
    struct template_child forked; /* a child's part, gateway/template.h; forked.template is NULL for all others */
    pool_on_trial *on_trial;      /* NULL once told, and for instances that the policy started */
    void *trial_owner;
};

struct instance_options {
    struct pool *pool; /* of the function */
    struct function *function;
    struct version *version;
    struct template *parent; /* a child of this one; NULL: a sandbox of its own */
    unsigned slots;          /* > 0: to be a template with so many, if its worker says that it can be */
    pool_on_trial *on_trial; /* NULL: not a trial */
    void *trial_owner;
};
/* Sends SPAWN or PREPARE. NULL when memory is out. */
struct instance *instance_start(struct gateway *g, const struct instance_options *o);
void instance_deliver(struct instance *i, struct invocation *inv); /* IDLE -> BUSY */
/* Kills it; what it works on is answered when it is dead. */
void instance_stop(struct instance *i, enum instance_doom why, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* For drivers. */
/* Its process has ended without having read the whole of the request at hand: another instance gets it. Nothing when there is none, when it is late already, or
 * when it came back too often (then it is answered as after any other crash). The instance is given up by the caller. */
void instance_hand_back(struct instance *i);
void instance_ready(struct instance *i); /* STARTING or CLOSING -> IDLE */
/* The invocation has ended: BUSY -> IDLE, or -> CLOSING until instance_ready when not clean. With isolation fork or sandbox, to ENDING or STOPPING. */
void instance_replied(struct instance *i, bool clean);
/* BUSY -> JUDGING: the program failed, ask for the kernel's side of it. */
void instance_judge(struct instance *i, const struct init_done *failed);
/* What it works on, or its start, can't go on: its process is ended where the driver can start it again, else the instance is stopped. */
void instance_give_up(struct instance *i, enum instance_doom why, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The worker's processes are dead and the sandbox lives (INIT_COMMAND_AGAIN), asked for by end_worker or not. */
void instance_worker_ended(struct instance *i, const struct init_done *done);
/* STARTING: the function's own initialisation failed and says why: whoever deployed it and whoever waits for it are told that, status 500 with its type. */
void instance_init_failed(struct instance *i, const struct instance_fault *f);
/* A socket of it is at its end: its exit status follows, or it is killed; `how` is for people. */
void instance_worker_closed(struct instance *i, const char *how);

/* STARTING -> TEMPLATE: it has one, its worker said that it can be forked, and there is room for a child. */
void instance_become_template(struct instance *i);

/* Forked, or to be forked, from a template. */
static inline bool instance_is_child(const struct instance *i)
{
    return i->forked.template_ready_ns != 0;
}

const char *instance_state_name(enum instance_state s);
/* Each request gets an instance, or a process in one, that has seen no other. exec starts a process for each request as it is. */
bool instance_settings_single_use(const struct settings *s);
bool instance_is_single_use(const struct instance *i);
void instance_free(struct instance *i);

#endif
