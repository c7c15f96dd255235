/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/provided_event.h"

#include "base/clock.h"
#include "gateway/event.h"
#include "gateway/payload.h"
#include "gateway/trace.h"

#include <stdio.h>

static struct str request_field(const struct invocation *inv, const char *name)
{
    const struct http1_request *q = inv->exchange->request;
    const struct http1_field *f = http1_find_field(q->fields, q->field_count, name);
    return f ? f->value : (struct str){0};
}

/* The request's own trace, else a new one, because Lambda's runtimes expect one: Root=1-<8 hex digits of time>-<24 hex>;Parent=<16 hex>;Sampled=0. */
static struct str choose_trace(const struct invocation *inv, char out[PROVIDED_EVENT_TRACE_MAX])
{
    if (trace_is_set(&inv->trace))
        return (struct str){out, trace_print_xray(&inv->trace, out)};
    struct str given = request_field(inv, "x-amzn-trace-id");
    if (trace_hides(inv, STR_LITERAL("x-amzn-trace-id")))
        given.n = 0; /* it is none */
    if (given.n && given.n < PROVIDED_EVENT_TRACE_MAX)
        return given;
    int n = snprintf(out, PROVIDED_EVENT_TRACE_MAX, "Root=1-%08x-%08x%016lx;Parent=%016lx;Sampled=0",
                     (unsigned)(clock_real_ms() / 1000), (unsigned)id_random_u64(), (unsigned long)id_random_u64(),
                     (unsigned long)id_random_u64());
    return (struct str){out, (size_t)n};
}

/* The event is JSON. The type that curl gives to whatever -d holds would deny it. */
static struct str choose_type(const struct invocation *inv, const struct settings *s)
{
    if (payload_is_http(inv, s))
        return (struct str){0}; /* the body's, which is part of the event now */
    struct str given = request_field(inv, "content-type");
    return str_is_nocase(given, "application/x-www-form-urlencoded") ? (struct str){0} : given;
}

void provided_event_build(const struct invocation *inv, const struct settings *s, const char *arn,
                          struct provided_event_space *space, struct runtime_api_event *ret_event)
{
    *ret_event = (struct runtime_api_event){
        .id = inv->exchange->id,
        .deadline_ms = s->timeout_ms ? clock_real_ms() + s->timeout_ms : 0,
        .function_arn = lambda_context_find_arn(inv->exchange, inv->function, arn, space->arn),
        .trace_id = choose_trace(inv, space->trace),
        .client_context = lambda_context_read_client(inv->exchange->request, space->context),
        .content_type = choose_type(inv, s),
        .body = event_bytes(inv, s),
    };
}
