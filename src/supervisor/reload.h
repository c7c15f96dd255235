/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SIGHUP: the configuration is read again, and is in use in both processes or in neither. The gateway is given it first; only when it has said that it took it (or is gone, so that the
 * next one begins with it) does the supervisor hold requests against it. What the gateway asked for before its answer is judged by the former one, as it meant it.
 *
 *   idle      begin -> asked, or idle again: it does not read
 *   asked     the gateway's answer, or its end -> idle
 *
 * Asked has a timer, RELOAD_ANSWER_SECONDS: a gateway that runs and says nothing is replaced, as one that was taken over could keep for ever what root takes back;
 * one that greets has a timer of its own. A signal meanwhile is raised again after it.
 */
#ifndef FAASD_SUPERVISOR_RELOAD_H
#define FAASD_SUPERVISOR_RELOAD_H

#include <ev.h>
#include <stdbool.h>

struct supervisor;
struct config;

enum { RELOAD_ANSWER_SECONDS = 30 /* as long as messages to it may wait (supervisor/channel.h) */ };

struct reload {
    struct supervisor *supervisor; /* borrowed */
    struct config *fresh;          /* owned; NULL: idle */
    bool again;
    ev_timer timer; /* runs while asked */
};

void reload_init(struct reload *r, struct supervisor *s);
/* Logs what comes of it, tells the service manager. */
void reload_begin(struct reload *r);
void reload_on_answer(struct reload *r, bool taken);
void reload_on_gateway_exit(struct reload *r); /* before another is started */
void reload_fini(struct reload *r);

#endif
