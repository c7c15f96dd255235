/* SPDX-License-Identifier: Apache-2.0 */
/* A request as an event of the Runtime API: what GET next tells beside the body. */
#ifndef FAASD_GATEWAY_PROVIDED_EVENT_H
#define FAASD_GATEWAY_PROVIDED_EVENT_H

#include "gateway/invocation.h"
#include "gateway/runtime_api.h"

enum {
    PROVIDED_EVENT_ARN_MAX = 160,
    PROVIDED_EVENT_TRACE_MAX = 256,
    PROVIDED_EVENT_CONTEXT_MAX = 4096, /* Lambda takes 3583 bytes of base64 */
};

/* What the event's fields point to when they don't point into the request. */
struct provided_event_space {
    char trace[PROVIDED_EVENT_TRACE_MAX];
    char context[PROVIDED_EVENT_CONTEXT_MAX];
};

/* arn:aws:lambda:REGION:000000000000:function:NAME; the region is the function's own AWS_REGION, else us-east-1. */
void provided_event_print_arn(const struct function *f, const struct settings *s, char out[PROVIDED_EVENT_ARN_MAX]);

/* The trace is the caller's X-Amzn-Trace-Id or a new one. The event points into the request, `arn` and `space`. */
void provided_event_build(const struct invocation *inv, const struct settings *s, const char *arn,
                          struct provided_event_space *space, struct runtime_api_event *ret_event);

#endif
