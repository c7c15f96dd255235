/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When the supervisor makes ahead what starts take from a stock (groups: os/cgroup.h, networks: sandbox/network.h): one piece blocks it for 0.3 ms, so only after the gateway has asked for
 * nothing for a while, one piece at a turn, after everything else that the turn brought. Whoever comes before that finds none and loses no more than without
 * a stock. Each start uses up one piece of each stock at most, so it causes as many at most.
 */
#ifndef FAASD_SUPERVISOR_AHEAD_H
#define FAASD_SUPERVISOR_AHEAD_H

#include <ev.h>
#include <stdbool.h>

struct supervisor;

enum { AHEAD_QUIET_MS = 20 }; /* a start and what follows it take a fraction of it */

struct ahead {
    struct supervisor *supervisor; /* borrowed */
    ev_timer timer;                /* runs while a piece is missing, anew with each request of the gateway */
    bool failed;                   /* the last piece: told once */
};

void ahead_init(struct ahead *a, struct supervisor *s);
void ahead_put_off(
    struct ahead *a); /* the gateway has asked for something; also the first time, once the base is open */
void ahead_fini(struct ahead *a);

#endif
