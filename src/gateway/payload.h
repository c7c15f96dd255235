/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Payload format 2.0 of Lambda's Function URLs (the setting `payload: http`, and every request that came by a Function URL): what such a request's function gets and how its reply is
 * read. A program of contract `cgi` is told of HTTP by CGI and answers so: for it nothing is translated.
 */
#ifndef FAASD_GATEWAY_PAYLOAD_H
#define FAASD_GATEWAY_PAYLOAD_H

#include "gateway/invocation.h"

bool payload_is_http(const struct invocation *inv, const struct settings *s);

/* Is its reply read so as well? Not where it goes out as it comes: there the function says status and headers in front of it, or not at all. */
bool payload_translates(const struct invocation *inv, const struct settings *s);

/* Makes inv->event, unless it is there already. False: the invocation has been ended, with 400, 413 or 503. */
bool payload_admit(struct invocation *inv);
/* Gives it back, at the invocation's end. */
void payload_release(struct invocation *inv);

/* What the function's reply means. NULL, or what is wrong with it. *ret_reply lives in static memory and in *body, which the caller frees. */
const char *payload_translate(const struct invocation_reply *r, uint64_t body_max, struct buf *body,
                              struct invocation_reply *ret_reply);

#endif
