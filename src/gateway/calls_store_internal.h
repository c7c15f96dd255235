/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of the calls' store: the loop's side is calls_store.c, the thread's calls_thread.c. */
#ifndef FAASD_GATEWAY_CALLS_STORE_INTERNAL_H
#define FAASD_GATEWAY_CALLS_STORE_INTERNAL_H

#include "gateway/calls_lease.h"
#include "gateway/calls_store.h"
#include "gateway/store_ring.h"

#include <pthread.h>

enum { CALLS_REOPEN_MS = 30000, CALLS_MEND_AGAIN_MS = 1000 };

/*
 *   CLOSED    no thread, or one without a database: jobs open it          CALLS_REOPEN_MS when there are calls to be run, else the next job
 *   OPENING   an OPEN job is with the thread; all others wait             none: the disk answers or the machine is lost
 *   OPEN      jobs go to the thread                                       none needed
 */
enum calls_store_state { CALLS_STORE_CLOSED, CALLS_STORE_OPENING, CALLS_STORE_OPEN };

struct calls_store {
    struct gateway *gateway;
    struct calls_store_options options; /* its texts are these: */
    char dir[CONFIG_PATH_MAX];
    char boot_id[CALLS_BOOT_ID_MAX];

    /* both sides */
    struct store_queue jobs;    /* loop -> thread */
    struct store_queue results; /* thread -> loop: never full, as no more jobs than its slots are under way */
    _Atomic bool resting;       /* the thread sleeps, or is about to: it wants the bell */
    _Atomic bool stop;
    int wake_fd, done_fd; /* owned; -1 before the first job */

    /* the loop's */
    enum calls_store_state state;
    pthread_t thread;
    bool started;
    ev_io done_watcher;
    ev_timer reopen;
    unsigned under_way;              /* with the thread */
    struct calls_job *first, **last; /* waiting for a slot or for the database */
    char said[ERR_TEXT_MAX];         /* the failure that was logged last */

    /* the thread's */
    struct calls_db *db; /* NULL until it is open */
    struct calls_clock clock;
    struct calls_leases leases;
    struct err lost; /* code != 0: it was damaged while it was open, and why it could not be mended; db is NULL then */
    uint64_t lost_at_ms; /* CLOCK_BOOTTIME: when that was tried last */
};

void *calls_thread_main(void *store);

#endif
