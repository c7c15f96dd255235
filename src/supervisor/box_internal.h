/* SPDX-License-Identifier: Apache-2.0 */
/* What box.c (life and end), box_spawn.c (birth) and box_child.c (children of templates) share. */
#ifndef FAASD_SUPERVISOR_BOX_INTERNAL_H
#define FAASD_SUPERVISOR_BOX_INTERNAL_H

#include "supervisor/box.h"
#include "supervisor/claim.h"

enum {
    BOX_LOOK_FIRST_MS = 1,
    BOX_LOOK_ALONE_MS = 20, /* a killed process takes some ms to die on a busy host */
    BOX_LOOK_MAX_MS = 1000,
    BOX_LOOK_DYING_TRIES =
        7, /* 1 + 2 + ... + 64 ms: then a process that has left its groups and does not die is nobody's to wait for */
};

/* What the start and the check from outside need, kept until both have been made. */
struct box_trial {
    int code_fd;    /* owned, as are the next */
    int secrets_fd; /* while it waits for its network; -1 */
    int layer_fds[MESSAGE_LAYERS_MAX];
    struct message_spawn message;
    char hostname[65];
    char name[CGROUP_NAME_MAX];
    char runtime_prefix[CONFIG_PATH_MAX];
    struct sandbox_spec spec; /* its strings point into this struct */
};

/* What a box keeps from its SPAWN because children may be forked in it. */
struct box_template {
    struct cgroup_limits limits; /* of each child; cpuset points into this struct */
    char cpuset[64];
    char function[SETTINGS_NAME_MAX];
    struct list children; /* struct box.sibling */
    struct claim_template claim;
    /* By slot: the groups of the last child in it, for the next one. Owned; NULL: none. A dead child that its template has not waited for yet still counts in
     * them, so nobody gets them before that. */
    struct cgroup *spares[MESSAGE_SLOTS_MAX];
    bool files_sent[MESSAGE_SLOTS_MAX]; /* those of the slot's present groups went to the gateway */
};
void box_trial_free(struct box_trial *t); /* NULL is fine */

struct box *boxes_find(struct boxes *b, uint64_t id);
/* Room for one more, of so much memory (0: a helper, which does not count). */
int boxes_check_room(const struct boxes *b, uint64_t memory_bytes, bool is_helper, struct err *e);
void box_enter(struct box *x); /* into the table; from then on it counts */
void box_set_state(struct box *x, enum box_state to);
void box_start_timer(struct box *x, double after, double repeat);
void box_strike(struct box *x); /* SIGKILL for whoever is in it */
void box_kill(struct box *x);   /* nothing when it dies already */
void box_fail(struct box *x, const struct err *why);
void box_read_setup(struct box *x);    /* reads error_fd as far as it goes; nothing once it is closed */
void box_look_at_setup(struct box *x); /* the same, and moves on when the set-up is complete */
void box_watch_oom(struct box *x);
void box_end(struct box *x, int status); /* everybody in it is dead: tells it, and removes or frees it */

struct cgroup_limits box_limits_of(const struct message_spawn *m);      /* cpuset points into *m */
struct box_template *box_template_new(const struct message_spawn *m);   /* NULL: no memory */
void box_template_free(struct box_template *t);                         /* NULL is fine */
void box_template_end(struct box *x);                                   /* its sandbox is dead: so are all children */
int box_template_remove_spares(struct box *x);                          /* 0, or -EBUSY: come again */
bool box_child_recycle(struct box *x, const struct cgroup_usage *used); /* true: the template has taken the group */
void box_child_look(
    struct box *x); /* DYING: ends it when nobody is left, else kills again and comes back by the timer */

void box_on_exit(struct ev_loop *loop, ev_io *w, int events);
void box_on_oom(struct ev_loop *loop, ev_io *w, int events);
void box_on_timer(struct ev_loop *loop, ev_timer *w, int events);

#endif
