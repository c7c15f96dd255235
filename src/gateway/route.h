/* SPDX-License-Identifier: Apache-2.0 */
/* The table of routes: method and path -> handler. Which listener kinds may reach a route stands in the table. */
#ifndef FAASD_GATEWAY_ROUTE_H
#define FAASD_GATEWAY_ROUTE_H

#include "gateway/access.h"
#include "gateway/exchange.h"

/* Which limit a body has. OWN: what the route itself says. */
/* CODE: the same, and it may be more than request_bytes. */
enum route_body { ROUTE_BODY_REQUEST, ROUTE_BODY_ARCHIVE, ROUTE_BODY_ASYNC, ROUTE_BODY_OWN, ROUTE_BODY_CODE };

struct route {
    const char *method; /* NULL: any */
    const char *
        pattern; /* '*' is one path segment: the first a function's or secret's name or a call's id, the next its handler's business */
    void (*run)(struct exchange *x, struct str name);
    enum access_level access;
    enum route_body body;
    bool streams;      /* `run` is called before the body */
    uint64_t body_max; /* for ROUTE_BODY_OWN and CODE; and what it is called */
    const char *body_key;
};

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
