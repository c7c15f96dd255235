/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When each part of a sandbox's start was done, for `faasd invoke --trace`. It is in memory that the supervisor and the child between clone and exec share:
 * each writes its own half, and exec takes the child's away, so no code but ours ever held it. A mark is a clock read (the kernel's vDSO, no system call) and
 * a few bytes; 32 of them cost a start 4 us. Async-signal-safe throughout; a NULL clock is one that nobody keeps.
 */
#ifndef FAASD_SANDBOX_STEP_CLOCK_H
#define FAASD_SANDBOX_STEP_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

enum {
    STEP_CLOCK_PARENT_MAX = 12,
    STEP_CLOCK_CHILD_MAX = 96, /* a template with all its slots and mounts has 80; what comes beyond is not marked */
    STEP_CLOCK_TEXT_MAX = 28,
    STEP_CLOCK_BYTES = 4096, /* room for one */
};

struct step;

struct step_mark {
    uint32_t end_ns; /* since began_ns, at most 4.29 s */
    char text[STEP_CLOCK_TEXT_MAX];
};

struct step_clock {
    uint64_t began_ns; /* monotonic */
    uint32_t child_from_ns;
    uint32_t parent_count, child_count;
    struct step_mark parent[STEP_CLOCK_PARENT_MAX];
    struct step_mark child[STEP_CLOCK_CHILD_MAX];
};

void step_clock_begin(struct step_clock *c);                         /* forgets what was there */
void step_clock_mark_parent(struct step_clock *c, const char *what); /* that this is done now */
void step_clock_begin_child(struct step_clock *c);
void step_clock_mark_child(struct step_clock *c, const struct step *s);
/* By the parent, for the child's last step, from which it does not return: it was over when its error pipe closed. */
void step_clock_mark_exec(struct step_clock *c);

#endif
