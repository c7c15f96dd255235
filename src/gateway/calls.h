/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asynchronous calls: accepted once they are on disk, then run until they succeed, fail for good, or are too old. What is still to be done stands in the database
 * (calls_store.h); memory holds those that run, and for each function with calls waiting a lane that knows when the next is due.
 *
 *   queued     in the database                       its lane's timer, or the end of one of the lane's that run
 *   running    fetched: in a lane's hands            the function's own timeout; what it waits for before, its pool's queue_timeout
 *   settling   an attempt is over, not yet on disk   CALLS_AGAIN_MS where the disk refuses it, until it takes it
 *   ended      in the database for async.keep        the sweep
 *
 * A call counts against its function's concurrency until what came of it is on disk: so no more can be run twice after a crash than ran.
 */
#ifndef FAASD_GATEWAY_CALLS_H
#define FAASD_GATEWAY_CALLS_H

#include "gateway/calls_job.h"
#include "gateway/exchange.h"

struct calls;

/* Before gateway_confine(): reads which boot this is. */
struct calls *calls_new(struct gateway *g, struct err *e);
void calls_start(struct calls *c); /* after it */
/* g->draining is set: nothing is started any more, what waits in pools goes back, what runs is finished. */
void calls_drain(struct calls *c);
/* What ended is on disk afterwards; the rest is run at the next start. NULL is fine. */
void calls_close(struct calls *c);

/* Of the database as of the last answer from it; all zero while nothing was called asynchronously. */
const struct calls_totals *calls_totals(const struct calls *c);
unsigned calls_running(const struct calls *c);
uint64_t calls_waiting(const struct calls *c); /* queued ones that do not run */
/* How long ago the oldest call was accepted that has not ended, in ms; 0: there is none, or the database can't tell. Calls back once, on the loop, at once where there
 * is no database. */
typedef void calls_on_age(void *owner, uint64_t age_ms);
void calls_ask_age(struct calls *c, calls_on_age *on_age, void *owner);

/* ---- handlers of gateway/route.c; each takes the exchange over ---- */

/* POST /async-function/NAME...: the function exists and this client may invoke it. */
void calls_accept(struct exchange *x, struct str function);
/* The same for a request of a face: it is run as one to `path` ("function/NAME:QUALIFIER", without its slash), and the answer is 202 alone. */
void calls_accept_as(struct exchange *x, struct str function, struct str path);
/* GET /async-function/NAME/ID: the same. What came of the call, or how far it is. */
void calls_answer(struct exchange *x, struct str function, struct str id);
void calls_api_stats(struct exchange *x, struct str none);
void calls_api_show(struct exchange *x, struct str id);
void calls_api_result(struct exchange *x, struct str id);
void calls_api_cancel(struct exchange *x, struct str id);
void calls_api_redrive(struct exchange *x, struct str id);

#endif
