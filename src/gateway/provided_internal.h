/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the two files of the runtime `provided` share:
 *   driver_provided.c  its process: starts, ends, events that go in
 *   provided_answer.c  what the runtime says by its API
 */
#ifndef FAASD_GATEWAY_PROVIDED_INTERNAL_H
#define FAASD_GATEWAY_PROVIDED_INTERNAL_H

#include "gateway/handover.h"
#include "gateway/instance.h"
#include "gateway/runtime_api.h"

enum awaited { AWAITS_NOTHING, AWAITS_EXIT, AWAITS_CRASH };

struct provided {
    struct instance *instance;
    struct runtime_api api;
    struct handover handover; /* brings the listening socket */
    ev_timer timer;           /* what stands in `awaits` */
    enum awaited awaits;
    struct buf prelude; /* of a response that is passed on as it comes, while it is not complete */
    bool init_failed;   /* the last initialisation: the next one runs within a request */
    bool stopping;      /* the process is being killed on our own account, not the instance's: its end is no crash */
};

static inline struct provided *provided_of(struct instance *i)
{
    return i->driver_state;
}

/* ---- driver_provided.c ---- */

/* A line of the platform's in the function's log, as Lambda writes them. */
void provided_note(struct instance *i, const char *format, ...) __attribute__((format(printf, 2, 3)));
void provided_await(struct provided *p, enum awaited what, unsigned ms); /* AWAITS_NOTHING: stops waiting */

/* ---- provided_answer.c ---- */

extern const struct runtime_api_events PROVIDED_API_EVENTS;            /* owner: the instance */
void provided_on_timer(struct ev_loop *loop, ev_timer *w, int events); /* what was awaited has not come */

#endif
