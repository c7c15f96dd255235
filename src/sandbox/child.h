/* SPDX-License-Identifier: Apache-2.0 */
/* The interpreter of plans: what runs between clone and exec. Async-signal-safe throughout: no malloc, no stdio, no log. */
#ifndef FAASD_SANDBOX_CHILD_H
#define FAASD_SANDBOX_CHILD_H

#include "os/seccomp.h"
#include "sandbox/plan.h"
#include "sandbox/step_clock.h"

#include <sys/mount.h>

/* Of a device that is bound because none can be made. */
enum { CHILD_NODE_ATTRIBUTES = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC };

struct child {
    struct plan *plan;
    const struct plan_input *input;       /* what it was begun with, to go on with; NULL: it is whole */
    unsigned done;                        /* steps */
    const char *root;                     /* the plan's, until STEP_PIVOT */
    const struct seccomp_program *filter; /* for STEP_SECCOMP */
    const uint64_t *calls; /* those of a list, and with the next all that stays allowed; NULL = no list */
    const uint64_t *always;
    bool is_listened_to; /* its descriptor goes to the gateway, over SLOT_CONTROL */
    uint64_t answer;     /* enum init_notices, for the gateway */
    uint64_t exec_key;   /* by which that filter lets init, and init its worker, be executed; 0 = it has none */
    const struct sandbox_secret *secrets; /* for STEP_SECRET */
    struct step_clock *clock;             /* when each step was done; NULL = not kept */
    int fd[SLOT_COUNT];                   /* -1 = none */
    bool has_network;                     /* it was cloned in one made ahead: STEP_NETWORK has nothing left to do */
    unsigned task_count;                  /* v1 `tasks` files, from STEP_WAIT_PARENT to STEP_JOIN_CGROUPS */
    int tasks[CGROUP_TASKS_MAX];
    int roots[SANDBOX_SLOTS_MAX]; /* detached, from STEP_CLONE_ROOT to their STEP_SLOT */
};

void child_init(struct child *c, struct plan *plan, const struct plan_input *input);

/* All steps of the base plan in order; the first failure ends it with the step's name before the cause. */
int child_build_base(struct child *c, struct err *e);

/* The steps of a plan that was begun; when they have given the host's power up, it is planned to its end and run so. Failures go to SLOT_ERROR as one struct err, and the process ends. */
void child_main(struct child *c) __attribute__((noreturn));

const char *step_name(enum step_op op);

#endif
