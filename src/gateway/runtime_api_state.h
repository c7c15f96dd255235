/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a runtime may ask of the Runtime API when: pure, one object per runtime process after another.
 *
 *   OFF          no runtime process                                      needs no timer: nothing may come
 *   STARTED      it runs and has not asked for an event                  the instance's: init_timeout, or the request's timeout
 *   INIT_FAILED  it has said so; its end follows                         the driver's: PROVIDED_EXIT_MS
 *   READY        it waits for an event                                   needs none: GET next may wait for ever
 *   RUNNING      it has one                                              the instance's: the function's timeout
 *   RESPONDING   an answer's head was accepted, its body is under way    the same
 *   RESPONDED    the answer is complete, it has not asked again          the instance's: it is started again when it does not
 *
 *             begin           next              next
 *   OFF ─────────▶ STARTED ─────────▶ READY ◀──────────────── RESPONDED
 *    ▲                │   next, event │ event                     ▲
 *    │ end            └───────────────┴──────▶ RUNNING ──answer──▶ RESPONDING
 */
#ifndef FAASD_GATEWAY_RUNTIME_API_STATE_H
#define FAASD_GATEWAY_RUNTIME_API_STATE_H

#include "base/id.h"
#include "base/str.h"

enum runtime_api_state {
    RUNTIME_API_OFF,
    RUNTIME_API_STARTED,
    RUNTIME_API_INIT_FAILED,
    RUNTIME_API_READY,
    RUNTIME_API_RUNNING,
    RUNTIME_API_RESPONDING,
    RUNTIME_API_RESPONDED,
};

/* What becomes of a request of the runtime's. */
enum runtime_api_answer {
    RUNTIME_API_ACCEPT,     /* init/error, response and error: the body is wanted */
    RUNTIME_API_SERVE,      /* next: the event goes out now */
    RUNTIME_API_WAIT,       /* next: there is none yet */
    RUNTIME_API_FORBIDDEN,  /* 403 InvalidStateTransition */
    RUNTIME_API_INVALID_ID, /* 400 InvalidRequestID */
};

struct runtime_api_machine {
    enum runtime_api_state state;
    bool has_event;       /* one was delivered and is not answered yet */
    char id[ID_UUID_MAX]; /* of that event */
};

void runtime_api_machine_begin(
    struct runtime_api_machine *m);                          /* a process was started; an event that is due stays due */
void runtime_api_machine_end(struct runtime_api_machine *m); /* it is dead or doomed, and so is its event */

/* An event for the runtime, in READY, or in STARTED or OFF, where the first next gets it. True: whoever waits in next is to get it now. */
bool runtime_api_machine_deliver(struct runtime_api_machine *m, const char *id);

enum runtime_api_answer runtime_api_machine_next(struct runtime_api_machine *m);
/* The head of a response or error came. `id` is what stands in its path. */
enum runtime_api_answer runtime_api_machine_respond(struct runtime_api_machine *m, struct str id);
void runtime_api_machine_responded(
    struct runtime_api_machine *m); /* RESPONDING: the body is complete, or will never be */
enum runtime_api_answer runtime_api_machine_init_error(struct runtime_api_machine *m);

const char *runtime_api_state_name(enum runtime_api_state s); /* "Running": for messages */

#endif
