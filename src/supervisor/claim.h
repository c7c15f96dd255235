/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is a process the child of a template that it is said to be? Its number came from the gateway, which read it from the kernel's credentials on the
 * child's socket; template and gateway may both be hostile. What is believed is what /proc and the groups show.
 */
#ifndef FAASD_SUPERVISOR_CLAIM_H
#define FAASD_SUPERVISOR_CLAIM_H

#include "base/err.h"
#include "os/cgroup.h"

/* What is known of a template's init and holds as long as it lives: its pid namespace, and that it is under a filter and no_new_privs. */
struct claim_template {
    dev_t device;
    ino_t inode;      /* 0: not looked at yet */
    int namespace_fd; /* owned: the same, where the kernel tells of it who is in it; -1: it does not, or not looked at yet */
};

void claim_template_fini(struct claim_template *t);

struct claim {
    pid_t pid;
    int pidfd;  /* of pid, opened before the check */
    pid_t init; /* of the template's sandbox, not waited for yet, so that its number is its own */
    int init_pidfd;
    uint32_t host_uid;               /* of the template's sandbox */
    struct cgroup *group;            /* made for this child */
    struct claim_template *template; /* looked at once */
};

/* It is in each of its groups, and nobody else is who was there before it (it may have started processes meanwhile, with its first request); it is
 * in the template's pid namespace (or one beneath it, which its filter lets nobody make), with whose init it shares no_new_privs and the filter, has the template's id and no capability. -EPERM with what is wrong, -ESRCH when it is dead. */
int claim_check(const struct claim *c, struct err *e);
/* It is ending or dead, nobody has waited for it yet, and it has the template's id, which no process of another sandbox has, and ends in the child's unified group
 * (where there is one: v1 hierarchies forget who ends). Otherwise -EPERM, or -ESRCH when it does not end or nothing is left of it. */
int claim_check_dead(const struct claim *c, struct err *e);

#endif
