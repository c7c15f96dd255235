/* SPDX-License-Identifier: Apache-2.0 */
/* What box.c (life and end) and box_spawn.c (birth) share. */
#ifndef FAASD_SUPERVISOR_BOX_INTERNAL_H
#define FAASD_SUPERVISOR_BOX_INTERNAL_H

#include "supervisor/box.h"

/* What the check from outside needs, kept until it has been made. */
struct box_trial {
    int code_fd; /* owned */
    struct message_spawn message;
    char hostname[65];
    char name[CGROUP_NAME_MAX];
    struct sandbox_spec spec; /* its strings point into this struct */
};
void box_trial_free(struct box_trial *t); /* NULL is fine */

struct box *boxes_find(struct boxes *b, uint64_t id);
void box_enter(struct box *x); /* into the table; from then on it counts */
void box_set_state(struct box *x, enum box_state to);
void box_start_timer(struct box *x, double after, double repeat);
void box_kill(struct box *x); /* nothing when it dies already */
void box_fail(struct box *x, const struct err *why);
void box_read_setup(struct box *x); /* reads error_fd as far as it goes; nothing once it is closed */

void box_on_exit(struct ev_loop *loop, ev_io *w, int events);
void box_on_oom(struct ev_loop *loop, ev_io *w, int events);
void box_on_timer(struct ev_loop *loop, ev_timer *w, int events);

#endif
