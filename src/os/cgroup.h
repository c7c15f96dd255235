/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Control groups, v2 and v1/hybrid behind one header. A tree is faasd's own directory in every hierarchy it uses; a group is one
 * directory in each, for one instance. On hybrid hosts limits are v1's and the atomic kill is the unified hierarchy's (cgroups(7),
 * Documentation/admin-guide/cgroup-v2.rst). Files: cgroup.c (life cycle), cgroup_v1.c, cgroup_v2.c, and what cgroup_internal.h lists.
 *
 * Freezing is cgroup.freeze's, never the v1 freezer's: what that one holds outlives SIGKILL and the death signal, what this one holds does not.
 *
 * A child of a template gets groups as well, and joins them by its own hand. What that costs it, after 200 ms of idleness and back to back:
 *   v1 `tasks`                                     0.03 ms    0.01 ms
 *   cgroup.procs, v1 or v2                         7 to 15 ms 0.02 ms   an RCU grace period, and cgroup_mutex is held for its length: every
 *                                                                       mkdir of a group and every other start on the host waits too
 *   cgroup.threads of a threaded group             0.1 ms     0.05 ms   a thread that moves itself needs no grace period
 * So on hybrid hosts, where the unified hierarchy limits nothing, a child's group is a threaded one beneath its template's: it can be frozen, and
 * cgroup.kill of the template's takes it along. It has no cgroup.kill of its own, so a child is killed through its lists, its pids limit set to 0 first.
 * On v2, where the limits are, only cgroup.procs will do, and children have to be forked ahead of need.
 * Making and removing a child's groups costs 350 us of processor time, most of it in the kernel's workers; having them again
 * (cgroup_renew) costs two writes, three after a kill through its lists, to files that are open from a group's second child on (cgroup_kept.c).
 */
#ifndef FAASD_OS_CGROUP_H
#define FAASD_OS_CGROUP_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum cgroup_controller { CGROUP_MEMORY, CGROUP_PIDS, CGROUP_CPU, CGROUP_CPUACCT, CGROUP_CPUSET, CGROUP_CONTROLLERS };

enum { CGROUP_NAME_MAX = 96, CGROUP_TASKS_MAX = CGROUP_CONTROLLERS, CGROUP_JOIN_MAX = CGROUP_TASKS_MAX + 1 };
enum { CGROUP_AHEAD_MAX = 2 }; /* a request and the instance beside it; a volley's others make their own */

struct cgroup_tree;
struct cgroup; /* one instance's group */

/* Finds how cgroups are mounted and makes the directory `name` ("faasd-<hash of the root>") beneath this process's own group in each hierarchy.
 * v2: moves this process into a leaf first where the "no internal processes" rule needs it. What is missing is told by cgroup_tree_has,
 * and why by cgroup_tree_refusal; fails only when nothing at all can be used. */
int cgroup_tree_open(struct cgroup_tree **ret_tree, const char *name, struct err *e);
/* A tree in no hierarchy, for a daemon that is to serve without any: its groups have no limits and nobody is found in them. NULL without memory. */
struct cgroup_tree *cgroup_tree_open_none(void);
bool cgroup_tree_is_none(const struct cgroup_tree *t);
bool cgroup_tree_has(const struct cgroup_tree *t, enum cgroup_controller c);
const char *cgroup_tree_refusal(const struct cgroup_tree *t);  /* the last thing that could not be had */
bool cgroup_tree_has_kill(const struct cgroup_tree *t);        /* cgroup.kill, v2 or unified */
bool cgroup_tree_has_freeze(const struct cgroup_tree *t);      /* cgroup.freeze, v2 or unified */
bool cgroup_tree_has_clone_into(const struct cgroup_tree *t);  /* CLONE_INTO_CGROUP */
bool cgroup_tree_is_v2(const struct cgroup_tree *t);           /* limits are v2's */
const char *cgroup_tree_describe(const struct cgroup_tree *t); /* "v2", "hybrid: limits v1, kill v2", ... */
/* Kills whatever a dead supervisor left in the tree's groups and removes them. Returns how many groups there were, those made ahead left out, or -errno. */
int cgroup_tree_sweep(struct cgroup_tree *t, struct err *e);
void cgroup_tree_close(struct cgroup_tree *t, bool remove); /* remove: the tree's own directories too */

struct cgroup_limits {
    uint64_t memory_bytes; /* swap is 0 on top */
    uint32_t pids;
    uint32_t
        cpus_milli; /* quota over 100 ms periods; 0 = none, and none is set for as many as the group may use anyway */
    uint32_t cpu_weight; /* 1-10000 */
    const char *cpuset;  /* NULL or "" = all */
};

/*
 * On hosts with v1 hierarchies a few empty groups without limits can be made ahead, as making one takes 0.2 to 0.3 ms: cgroup_create_clonable takes one when there is one,
 * cgroup_create_rest sets its limits. They have no function's name, so whoever took one calls cgroup_name when there is time for it (three system calls). The
 * directory in the unified hierarchy keeps the name that it was made with, "ahead.N", as v2 lets nobody rename one; for the same reason v2, where the limits are
 * then too, has no stock: its groups' names tell the administrator whose they are.
 */
bool cgroup_tree_has_stock(const struct cgroup_tree *t);          /* as much as there may be: on v2 always */
int cgroup_tree_make_stock(struct cgroup_tree *t, struct err *e); /* one group, only when some is missing */
int cgroup_name(struct cgroup *g,
                struct err *e); /* nothing when it was not made ahead. After a failure it can still be removed */

int cgroup_create(struct cgroup_tree *t, const char *name, const struct cgroup_limits *limits,
                  struct cgroup **ret_group, struct err *e);
/* The same in two halves, for who clones in between: the first makes what CLONE_INTO_CGROUP needs (v2 or unified, v2 with its limits), the
 * second the v1 directories with theirs. After a failed second half the group still has to be removed. */
int cgroup_create_clonable(struct cgroup_tree *t, const char *name, const struct cgroup_limits *limits,
                           struct cgroup **ret_group, struct err *e);
int cgroup_create_rest(struct cgroup *g, const struct cgroup_limits *limits, struct err *e);

/* For clone3(CLONE_INTO_CGROUP): the unified or v2 directory, -1 without one. Borrowed. */
int cgroup_clone_fd(const struct cgroup *g);
/* v1 `tasks` files that the child writes "0" to while still single-threaded; opened for the child, close them after the clone with cgroup_close_tasks. */
int cgroup_open_tasks(const struct cgroup *g, int fds[CGROUP_TASKS_MAX], unsigned *ret_count, struct err *e);
void cgroup_close_tasks(int fds[CGROUP_TASKS_MAX], unsigned count);
/* Closes what only the clone needed (cgroup_clone_fd is -1 from then on): a living group costs one descriptor, that of cgroup_oom_fd. A child's has on v2 that of
 * memory.peak too, and from its second child on, as one of the 64 that were used last, its attributes and the files by which a child joins: up to 17 more. */
void cgroup_settle(struct cgroup *g);
/* Puts a process into the unified or v2 directory where CLONE_INTO_CGROUP could not: slow (an RCU grace period, 15 ms after a pause). */
int cgroup_attach(struct cgroup *g, int pid, struct err *e);
/* Whether every line of `cgroups`, what /proc/PID/cgroup says, that this group limits or kills by names it. -EPERM with the one that does not. */
int cgroup_verify_member(const struct cgroup *g, int pid, const char *cgroups, struct err *e);
/* The same of a process that ends, or is dead and not waited for yet: v2 and the unified hierarchy still name its group, v1 names the root for all of them. */
int cgroup_verify_dead(const struct cgroup *g, int pid, struct err *e);

/* Readable (POLLIN for an eventfd, POLLPRI for memory.events) when the OOM killer struck: v1 kills one task only, so the owner answers with cgroup_kill. *ret_priority says which. -1: none. */
int cgroup_oom_fd(struct cgroup *g, bool *ret_priority);
bool cgroup_oom_fd_tell(struct cgroup *g); /* after it woke: true when a process was really killed for memory */

/* Every process in it: atomically where cgroup.kill exists. Otherwise those that a list shows, after forking was forbidden: come again until cgroup_is_empty. */
int cgroup_kill(struct cgroup *g, struct err *e);
/* Whether one thread is all there is: cheap, so that false may also mean that it was not found out. */
bool cgroup_has_one(const struct cgroup *g);
/* Whether `pid` is all there is in the unified or v2 directory, and one thread all that is counted: cheap, for a group that keeps its files, so that
 * false may also mean that it was not found out. From then on, until a kill through the lists or the next renewal, cgroup_is_empty asks that directory alone. */
bool cgroup_holds_only(struct cgroup *g, pid_t pid);
bool cgroup_is_empty(const struct cgroup *g); /* nobody is in it who could still run; zombies don't count */
/* Processes with a thread in it, from each hierarchy, so that one may come more than once. At most `max`. */
unsigned cgroup_list(const struct cgroup *g, pid_t *ret_pids, unsigned max);
/* Whether `pid` is in it in each hierarchy; with it, as cgroup_list, others that are in any. */
bool cgroup_holds(const struct cgroup *g, pid_t pid, pid_t *ret_others, unsigned max, unsigned *ret_count);
/* -ENOTSUP where the host can't. Frozen processes can be killed. Takes effect some microseconds later. Nothing when it is so already. */
int cgroup_freeze(struct cgroup *g, bool frozen, struct err *e);

struct cgroup_usage {
    uint64_t memory_peak_bytes, cpu_ns;
    uint64_t shmem_bytes; /* read only where memory ran out: it is the dearest of them */
    uint32_t oom_kills, pids_denied;
};

/* Groups for a child of a template, with limits of its own. `who` may join: processes of that host id, and on v2 those beneath faasd's directory,
 * for which files are handed to that group id (one that no process has who can see cgroupfs). The template's group outlives it. */
struct cgroup_joiner {
    uint32_t uid, gid;
};
int cgroup_create_child(const struct cgroup *template, const char *name, const struct cgroup_limits *limits,
                        const struct cgroup_joiner *who, struct cgroup **ret_group, struct err *e);
/* The files that the child, while single-threaded, writes "0" to. Opened with the powers of `who`, for which the caller becomes it for a moment: root,
 * with one thread. Close them with cgroup_close_tasks. */
int cgroup_open_join(struct cgroup *g, const struct cgroup_joiner *who, int fds[CGROUP_JOIN_MAX], unsigned *ret_count,
                     struct err *e);
/* The same groups for one child after another. Park: the child is dead; whoever still holds the files from then on gets little memory in it. Renew:
 * as a new one has it. After a failure of either it is only good for cgroup_remove. */
int cgroup_park(struct cgroup *g,
                const struct cgroup_usage *used); /* used: what cgroup_read_usage said after the child's end */
int cgroup_renew(struct cgroup *g, const struct cgroup_limits *limits);

void cgroup_read_usage(struct cgroup *g, struct cgroup_usage *ret_usage); /* what can't be read stays 0 */

/* Removes the directories; -EBUSY while a dying process is still in them (try again later). Frees `g` only on success. */
int cgroup_remove(struct cgroup *g);

/* What the host offers, without keeping anything or moving this process: for `faasd check`. */
struct cgroup_survey {
    bool has[CGROUP_CONTROLLERS];
    bool v2_limits[CGROUP_CONTROLLERS]; /* that controller is v2's */
    bool kill, freeze, oom_group, swap_limit, clone_into;
    bool limits_are_v1; /* the memory controller has a v1 hierarchy, whether this process may use it or not */
    char describe[64];  /* as cgroup_tree_describe, or why there is nothing */
};
void cgroup_survey(struct cgroup_survey *ret_survey);

#endif
