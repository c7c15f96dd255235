/* SPDX-License-Identifier: Apache-2.0 */
/* A request as an event of the Runtime API: what GET next tells beside the body. */
#ifndef FAASD_GATEWAY_PROVIDED_EVENT_H
#define FAASD_GATEWAY_PROVIDED_EVENT_H

#include "gateway/invocation.h"
#include "gateway/lambda_context.h"
#include "gateway/runtime_api.h"

enum {
    PROVIDED_EVENT_TRACE_MAX = 256,
};

/* What the event's fields point to when they don't point into the request. */
struct provided_event_space {
    char arn[LAMBDA_CONTEXT_INVOKED_MAX];
    char trace[PROVIDED_EVENT_TRACE_MAX];
    char context[LAMBDA_CONTEXT_CLIENT_MAX];
};

/* The trace is the request's (gateway/trace.h) or a new one. The event points into the request, `arn` and `space`. */
void provided_event_build(const struct invocation *inv, const struct settings *s, const char *arn,
                          struct provided_event_space *space, struct runtime_api_event *ret_event);

#endif
