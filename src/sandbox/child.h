/* SPDX-License-Identifier: Apache-2.0 */
/* The interpreter of plans: what runs between clone and exec. Async-signal-safe throughout: no malloc, no stdio, no log. */
#ifndef FAASD_SANDBOX_CHILD_H
#define FAASD_SANDBOX_CHILD_H

#include "os/seccomp.h"
#include "sandbox/plan.h"
#include "sandbox/step_clock.h"

struct child {
    const struct plan *plan;
    const char *root;                     /* the plan's, until STEP_PIVOT */
    const struct seccomp_program *filter; /* for STEP_SECCOMP */
    bool is_listened_to;                  /* its descriptor goes to the gateway, over SLOT_CONTROL */
    uint64_t answer;                      /* enum init_notices, for the gateway */
    uint64_t exec_key; /* by which that filter lets init, and init its worker, be executed; 0 = it has none */
    const struct sandbox_secret *secrets; /* for STEP_SECRET */
    struct step_clock *clock;             /* when each step was done; NULL = not kept */
    int fd[SLOT_COUNT];                   /* -1 = none */
    bool has_network;                     /* it was cloned in one made ahead: STEP_NETWORK has nothing left to do */
    unsigned task_count;                  /* v1 `tasks` files, from STEP_WAIT_PARENT to STEP_JOIN_CGROUPS */
    int tasks[CGROUP_TASKS_MAX];
    int roots[SANDBOX_SLOTS_MAX]; /* detached, from STEP_CLONE_ROOT to their STEP_SLOT */
};

void child_init(struct child *c, const struct plan *plan);

/* All steps in order; the first failure ends it with the step's name before the cause. STEP_EXEC_INIT does not return when it works. */
int child_run(struct child *c, struct err *e);

/* child_run; a failure goes to SLOT_ERROR as one struct err, and the process ends. */
void child_main(struct child *c) __attribute__((noreturn));

const char *step_name(enum step_op op);

#endif
