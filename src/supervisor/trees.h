/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Moving directories of code: staging -> versions (PUBLISH), either -> trash (DISCARD, RETIRE).
 *
 * PUBLISH must reach the disk before it is answered, and an fsync may take as long as the disk likes: a short-lived child does it, so that kills
 * and spawns go on. It syncs the two directories only: the unpacker synced the files, and a syncfs would wait for everybody else's writes.
 * DISCARD and RETIRE need no sync: after a power loss the entry is in its old place, where the next start finds it again.
 */
#ifndef FAASD_SUPERVISOR_TREES_H
#define FAASD_SUPERVISOR_TREES_H

#include "base/list.h"
#include "supervisor/message.h"

#include <ev.h>

struct supervisor;

enum {
    TREES_JOBS_MAX = 32,    /* publishes under way */
    TREES_JOB_SECONDS = 60, /* then the disk is not coming back */
};

struct trees {
    struct supervisor *supervisor;
    struct list jobs; /* struct job.link */
    unsigned job_count;
};

void trees_init(struct trees *t, struct supervisor *s);
void trees_handle(struct trees *t,
                  const struct message_tree *m); /* a checked message; answers with DONE, now or later */
void trees_abandon(struct trees *t);             /* the gateway is gone: what is under way ends unheard */
void trees_fini(struct trees *t);                /* kills what is under way */

#endif
