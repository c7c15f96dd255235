/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gateway as a child process.
 *
 *   state     valid               moved on by                         guarded by
 *   ABSENT    nothing             gateway_process_start -> GREETING   -
 *   GREETING  pidfd               HELLO -> RUNNING, exit -> ABSENT    timer: no HELLO within GATEWAY_HELLO_SECONDS -> killed
 *   RUNNING   pidfd               exit -> ABSENT                      none: it lasts as long as the service
 *   KILLED    pidfd               exit -> ABSENT                      none: SIGKILL can't be refused
 *   WAITING   nothing             timer -> GREETING                   timer: the pause before the next start
 */
#ifndef FAASD_SUPERVISOR_GATEWAY_PROCESS_H
#define FAASD_SUPERVISOR_GATEWAY_PROCESS_H

#include "base/err.h"

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct supervisor;

enum { GATEWAY_HELLO_SECONDS = 60 /* 10,000 functions load in about one; a disk may be slow */ };

enum gateway_state { GATEWAY_ABSENT, GATEWAY_GREETING, GATEWAY_RUNNING, GATEWAY_KILLED, GATEWAY_WAITING };

struct gateway_process {
    struct supervisor *supervisor;
    enum gateway_state state;
    pid_t pid;
    int pidfd;             /* owned */
    uint64_t started_ns;   /* monotonic */
    bool was_killed;       /* by us: why was logged then */
    unsigned quick_deaths; /* in a row, each within a second of its start */
    ev_io on_exit;
    ev_timer timer;
};

void gateway_process_init(struct gateway_process *g, struct supervisor *s);

/* Forks and executes it, and opens the channel to it. */
int gateway_process_start(struct gateway_process *g, struct err *e);
void gateway_process_greeted(struct gateway_process *g);
void gateway_process_kill(struct gateway_process *g); /* its end is reported as any other */

/* After an unasked end: starts it again, at once unless it keeps dying at its start. */
void gateway_process_restart(struct gateway_process *g);
void gateway_process_close(struct gateway_process *g); /* stops watching, kills and reaps */

/* How long to wait before the next start after that many quick deaths in a row: 0, 0, 50, 100, ... 2000. */
unsigned gateway_process_pause_ms(unsigned quick_deaths);

/* A sealed memfd with these bytes, its offset at 0. */
int gateway_process_make_memfd(const char *name, const void *bytes, size_t n, struct err *e);

#endif
