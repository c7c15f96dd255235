/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The clocks of the newest starts (sandbox/step_clock.h), kept by instance beyond its life, until later starts take their place: whoever wants to know where
 * a start's time went asks afterwards. The pages are shared with each child until it execs, and resident from the start, so that no instance is charged for them.
 */
#ifndef FAASD_SUPERVISOR_START_CLOCKS_H
#define FAASD_SUPERVISOR_START_CLOCKS_H

#include "sandbox/step_clock.h"
#include "supervisor/message.h"

enum { START_CLOCKS_MAX = 16, START_CLOCKS_CHILDREN = 8 };

struct start_clocks {
    char *pages; /* owned; NULL = none */
    unsigned next;
    uint64_t instance[START_CLOCKS_MAX]; /* 0: forgotten */
    uint64_t children[START_CLOCKS_MAX]
                     [START_CLOCKS_CHILDREN]; /* of a template: its first, whose requests waited for its start too */
    bool in_use[START_CLOCKS_MAX];            /* a child may write to it */
};

int start_clocks_init(struct start_clocks *c); /* -ENOMEM */
void start_clocks_fini(struct start_clocks *c);

/* Begun. NULL when so many starts are under way that each has one: this start goes without. */
struct step_clock *start_clocks_take(struct start_clocks *c, uint64_t instance);
/* Nobody writes to it any more; it is kept. *ret is NULL afterwards; NULL before is fine. */
void start_clocks_leave(struct start_clocks *c, struct step_clock **ret);

/* A child is forked in the sandbox of `template`: asked for the child, the template's steps are told. */
void start_clocks_note_child(struct start_clocks *c, uint64_t template, uint64_t child);

/* The instance that the steps of this one are kept under: itself, or its template. */
uint64_t start_clocks_sandbox(const struct start_clocks *c, uint64_t instance);

/* Fills in the steps; none when they are not kept, or its start is not over. */
void start_clocks_tell(const struct start_clocks *c, uint64_t instance, struct message_steps_are *m);
void start_clocks_forget(struct start_clocks *c); /* the gateway that counted these instances is gone */

#endif
