/* SPDX-License-Identifier: Apache-2.0 */
/* Part of supervisor/message.h, by which it is included: what all messages begin with, and the steps of a start. */
#ifndef FAASD_SUPERVISOR_MESSAGE_STEPS_H
#define FAASD_SUPERVISOR_MESSAGE_STEPS_H

#include <stdint.h>

struct message_header {
    uint32_t type;
    uint32_t size; /* of the whole message */
    uint64_t
        id; /* instance id, or the asker's own number for tree messages; chosen by the gateway, never 0, never reused in its life */
};

/* Asked after the fact, so that a start pays for nothing but its clock (supervisor/start_clocks.h). */
struct message_steps {
    struct message_header header; /* id: the asker's own */
    uint64_t instance;            /* whose sandbox; a child's is its template's */
};

enum { MESSAGE_STEPS_MAX = 108, MESSAGE_STEP_TEXT_MAX = 28 };
struct message_step {
    uint32_t at_ns, ns;               /* since the supervisor turned to the SPAWN; how long it took */
    char text[MESSAGE_STEP_TEXT_MAX]; /* "tmpfs /tmp"; terminated */
};

/* First the supervisor's own part, then what the child did meanwhile. Neither: the clocks of later starts took its place. */
struct message_steps_are {
    struct message_header header;
    uint32_t supervisor_count, sandbox_count;
    struct message_step steps[MESSAGE_STEPS_MAX];
};

#endif
