/* SPDX-License-Identifier: Apache-2.0 */
/* What the host's kernel offers, found by trying, and what a sandbox loses without it: `faasd check`, and the plan's branches. */
#ifndef FAASD_SANDBOX_FEATURE_H
#define FAASD_SANDBOX_FEATURE_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct cgroup_tree;

enum feature {
    FEATURE_ROOT,
    FEATURE_IDS,
    FEATURE_USERNS,
    FEATURE_MOUNTNS,
    FEATURE_PIDNS,
    FEATURE_NETNS,
    FEATURE_IPCNS,
    FEATURE_UTSNS,
    FEATURE_CGROUPNS,
    FEATURE_CLONE3,
    FEATURE_PIDFD,
    FEATURE_CLONE_INTO_CGROUP,
    FEATURE_MOUNT_SETATTR,
    FEATURE_PROC_SUBSET,
    FEATURE_CGROUP_MEMORY,
    FEATURE_CGROUP_PIDS,
    FEATURE_CGROUP_CPU,
    FEATURE_CGROUP_CPUSET,
    FEATURE_CGROUP_KILL,
    FEATURE_CGROUP_FREEZE,
    FEATURE_CGROUP_OOM_GROUP,
    FEATURE_SECCOMP,
    FEATURE_NO_NEW_PRIVS,
    FEATURE_LANDLOCK,
    FEATURE_LANDLOCK_NET,
    FEATURE_LANDLOCK_SCOPE,
    FEATURE_MEMFD_NOEXEC,
    FEATURE_SWAP_LIMIT,
    FEATURE_EGRESS, /* this and the next: looked at by `faasd check` alone (cmd/check_egress.h) */
    FEATURE_FORWARDING,
    FEATURE_COUNT
};

enum feature_need {
    FEATURE_REQUIRED,
    FEATURE_DEGRADES,
    FEATURE_NICE
}; /* DEGRADES: serve refuses without it unless --allow-degraded. NICE: only said */

struct feature_set {
    bool found[FEATURE_COUNT];
    char detail[FEATURE_COUNT][64]; /* "ABI 7", "hybrid: v1", or why not: "EPERM" */
    int landlock_abi;
    bool
        limits_are_v1; /* where there are cgroup limits at all, they are of a hierarchy that nobody but root is given */
};

/* -EPERM, and what is missing, when this process is not root, or is root without what the supervisor and its children need of root's power. */
int feature_demand_root(struct err *e);

/* What would have to be done for it, a clause for the administrator or the user; NULL: there is nothing to say, or it is found. Borrowed until the next call. */
const char *feature_remedy(const struct feature_set *s, enum feature f);

/* Tries each in short-lived children; leaves nothing behind. */
int feature_probe(struct feature_set *ret_set, struct err *e);
/* Whether these groups have it; true of all that is not theirs. */
bool feature_is_in(enum feature f, const struct cgroup_tree *groups);
const char *feature_name(enum feature f); /* "cgroup memory limit" */
const char *feature_loss(enum feature f); /* what is lost without it, a clause */
enum feature_need feature_need(enum feature f);

#endif
