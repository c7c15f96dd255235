/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The service manager's watchdog (sd_watchdog_enabled(3)): told that we live only while the gateway's loop answers. Every quarter of WATCHDOG_USEC the gateway is
 * asked (PING); the answer to the last question is what allows the next word to the manager. Without WATCHDOG_USEC nothing runs.
 */
#ifndef FAASD_SUPERVISOR_WATCHDOG_H
#define FAASD_SUPERVISOR_WATCHDOG_H

#include <ev.h>
#include <stdbool.h>

struct supervisor;

struct watchdog {
    struct supervisor *supervisor; /* borrowed */
    ev_timer timer;                /* runs from the first HELLO to the end */
    double seconds;                /* between questions; 0: nobody watches */
    bool answered;
};

void watchdog_init(struct watchdog *w, struct supervisor *s);
void watchdog_start(struct watchdog *w);     /* requests are accepted */
void watchdog_on_answer(struct watchdog *w); /* PONG */
void watchdog_fini(struct watchdog *w);

#endif
