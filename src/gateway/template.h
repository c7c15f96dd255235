/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Templates: an instance whose process initialised the function once and forks others, instead of serving (faasd/frame.h, FORK). This module holds
 * what the instance's states do not: its slots, its children, and when it must not fork any more. The pool decides when a child is wanted, and is the only caller.
 *
 *   HOPED FOR  its instance is SPAWNING or STARTING: whether it can be forked is not known   the instance's timer
 *   OPEN       INSTANCE_TEMPLATE: takes forks                                              none: the pool's covers keep_warm
 *   RETIRING   takes no more; stopped when its last child is gone                          none: each child's state has one, idle ones are replaced (pool_template.c)
 *
 * A child (struct template_child, in struct instance) holds its slot from PREPARE to EXITED: until then a process may still write to the slot's /tmp.
 *
 *   PREPARE -> SPAWNED with the files by which it joins its groups -> FORK on the template's socket -> READY on the child's own, with the kernel's word
 *   for who sent it and the pipe that is its log -> ADOPT. What the child says is a stranger's word until the supervisor has looked (it says nothing, or kills).
 *
 * A template is a stranger too once user code ran in it: it is sent nothing but FORK and may say nothing. It is never frozen: it has one thread, which
 * waits in read(2), or it would not be a template.
 */
#ifndef FAASD_GATEWAY_TEMPLATE_H
#define FAASD_GATEWAY_TEMPLATE_H

#include "base/list.h"
#include "codec/settings.h"
#include "faasd/frame.h"
#include "gateway/gateway.h"

struct instance;

/* The files by which a slot's last child joined its groups, while the next one will have the same. */
struct template_files {
    int fds[FAASD_FORK_FDS_MAX - 1]; /* owned */
    unsigned count;                  /* 0: they are not kept */
};

struct template
{
    struct instance *instance; /* the one that is it; owns this */
    struct list link;          /* struct pool.templates */
    struct list host_link;     /* struct pools.templates */
    struct list children;      /* struct template_child.link */
    unsigned child_count;      /* from PREPARE to EXITED */
    unsigned slots;            /* how many it was made with, at most MESSAGE_SLOTS_MAX */
    uint32_t slots_used;       /* bit N: slot N */
    uint32_t forks;            /* since it opened */
    uint64_t opened_ms;        /* boottime; 0 = not yet */
    uint64_t used_ms;          /* boottime: the last time that it, or a child of it, was asked for */
    bool retiring;
    struct template_files files[MESSAGE_SLOTS_MAX]; /* by slot */
};

struct template_child {
    struct template *template;                       /* NULL: no child, or its template is gone */
    struct list link;                                /* struct template.children */
    uint64_t template_ready_ns, template_spawned_ns; /* monotonic; 0: no child */
    unsigned slot;
};

/* ---- what is wanted: pure ---- */

/* Roots for children. `separable`: the kernel can keep them apart from each other (Landlock ABI 6); without that at most one may live at a time. */
unsigned template_slots(const struct settings *s, bool separable);

enum { TEMPLATE_LANDLOCK_ABI = 6 };

/* ---- life ---- */

struct template *template_new(struct instance *i, unsigned slots); /* NULL when memory is out */
void template_free(struct template *t); /* NULL is fine; what children it still has are orphans then */
void template_open(struct template *t); /* its instance is INSTANCE_TEMPLATE now */

/* A child may be started now. Retires the template when it has forked often enough or is old enough. */
bool template_may_fork(struct template *t);
/* All its slots hold children that live on: only another template could give one more. */
bool template_is_full(const struct template *t);
/* No more forks; it goes with its last child. */
void template_retire(struct template *t, const char *why);
/* It broke the protocol: it goes now, and its children with it. */
void template_kill(struct template *t, const char *why);
/* Its process has ended, its sandbox stays while children live. */
void template_on_lost(struct template *t, const char *how);
/* Nobody lives by it and nothing was asked of it since: when it may go. */
bool template_is_idle(const struct template *t);

/* ---- children, at their turns ---- */

void template_adopt_child(struct template *t, struct instance *child); /* SPAWNING: takes a slot */
/* The files that its slot's last child had are here: they need not be sent again. */
bool template_has_files(const struct instance *child);
void template_forget_files(struct instance *child); /* others came, and were not taken over */
/* STARTING: sends FORK with the files by which it joins its groups, count 0: those of the slot's last child. 0 or -errno. Takes the files over. */
int template_fork(struct instance *child, const int *join_fds, unsigned count);
void template_child_ready(struct instance *child, int32_t pid); /* tells the supervisor who it is */
/* It did not get ready. `answered`: it said itself why, so the template is not to blame. */
void template_child_failed(struct instance *child, bool answered);
void template_child_crashed(struct instance *child, int wait_status); /* -1: unknown */
void template_child_gone(struct instance *child);                     /* gives its slot back */

#endif
