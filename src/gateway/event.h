/* SPDX-License-Identifier: Apache-2.0 */
/* The event of a request as its runtime takes it (CONTRACT 3): python, node and provided get JSON, native and exec get bytes; with payload http all of them get JSON that tells of the
 * whole request (gateway/payload.h). */
#ifndef FAASD_GATEWAY_EVENT_H
#define FAASD_GATEWAY_EVENT_H

#include "gateway/invocation.h"

/* Is a body what a function with these settings takes? False: *ret_at is the byte at which it is no JSON. */
bool event_is_admissible(const struct settings *s, struct str body, size_t *ret_at);
/* False: the body is not what such a function takes, or no event can be made of the request; the invocation has been ended. */
bool event_admit(struct invocation *inv, const struct settings *s);
/* What the function gets; borrowed from the invocation. An empty body is {} where JSON is due. */
struct str event_bytes(const struct invocation *inv, const struct settings *s);

#endif
