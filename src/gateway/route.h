/* SPDX-License-Identifier: Apache-2.0 */
/* The table of routes: method and path -> handler. Which listener kinds may reach a route stands in the table. */
#ifndef FAASD_GATEWAY_ROUTE_H
#define FAASD_GATEWAY_ROUTE_H

#include "gateway/exchange.h"

struct route;

/* Called when the head is complete. Either returns the route (x->sink set by its handler when it streams the body), or ends the exchange with 404, 405
 * (with Allow), 403, 401 or 421 and returns NULL. */
const struct route *route_find(struct exchange *x);
bool route_streams_body(const struct route *r); /* its handler runs now, before the body */
uint64_t route_body_max(const struct route *r,
                        const struct config *c);   /* limit of the body, else 413 RequestTooLarge */
const char *route_body_key(const struct route *r); /* the configuration key of that limit */
/* A request to /function/... that was accepted before and was not answered then (front_make_exchange). Ends it, in its time. */
void route_run_function(struct exchange *x);
void route_run(const struct route *r, struct exchange *x);

#endif
