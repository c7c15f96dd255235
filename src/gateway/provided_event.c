/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/provided_event.h"

#include "base/clock.h"
#include "codec/base64.h"
#include "codec/json_check.h"
#include "gateway/environment.h"
#include "gateway/event.h"

#include <stdio.h>

void provided_event_print_arn(const struct function *f, const struct settings *s, char out[PROVIDED_EVENT_ARN_MAX])
{
    const char *region = environment_find(s, "AWS_REGION");
    bool clean = region && region[0] && http1_field_is_valid(STR_LITERAL("x"), str_from(region));
    snprintf(out, PROVIDED_EVENT_ARN_MAX, "arn:aws:lambda:%.32s:000000000000:function:%s", clean ? region : "us-east-1",
             f->name);
}

static struct str request_field(const struct invocation *inv, const char *name)
{
    const struct http1_request *q = inv->exchange->request;
    const struct http1_field *f = http1_find_field(q->fields, q->field_count, name);
    return f ? f->value : (struct str){0};
}

/* Root=1-<8 hex digits of time>-<24 hex>;Parent=<16 hex>;Sampled=0, as X-Ray defines it. */
static struct str choose_trace(const struct invocation *inv, char out[PROVIDED_EVENT_TRACE_MAX])
{
    struct str given = request_field(inv, "x-amzn-trace-id");
    if (given.n && given.n < PROVIDED_EVENT_TRACE_MAX)
        return given;
    int n = snprintf(out, PROVIDED_EVENT_TRACE_MAX, "Root=1-%08x-%08x%016lx;Parent=%016lx;Sampled=0",
                     (unsigned)(clock_real_ms() / 1000), (unsigned)id_random_u64(), (unsigned long)id_random_u64(),
                     (unsigned long)id_random_u64());
    return (struct str){out, (size_t)n};
}

/* X-Amz-Client-Context is base64 of JSON; what is neither, or no header's value, is left out. */
static struct str decode_context(const struct invocation *inv, char out[PROVIDED_EVENT_CONTEXT_MAX])
{
    struct str given = request_field(inv, "x-amz-client-context");
    size_t n;
    if (given.n == 0 || !base64_decode(given, out, PROVIDED_EVENT_CONTEXT_MAX, &n))
        return (struct str){0};
    struct str text = {out, n};
    if (!json_check(text, NULL) || !http1_field_is_valid(STR_LITERAL("x"), text))
        return (struct str){0};
    return text;
}

/* The event is JSON. The type that curl gives to whatever -d holds would deny it. */
static struct str choose_type(const struct invocation *inv)
{
    struct str given = request_field(inv, "content-type");
    return str_is_nocase(given, "application/x-www-form-urlencoded") ? (struct str){0} : given;
}

void provided_event_build(const struct invocation *inv, const struct settings *s, const char *arn,
                          struct provided_event_space *space, struct runtime_api_event *ret_event)
{
    *ret_event = (struct runtime_api_event){
        .id = inv->exchange->id,
        .deadline_ms = s->timeout_ms ? clock_real_ms() + s->timeout_ms : 0,
        .function_arn = str_from(arn),
        .trace_id = choose_trace(inv, space->trace),
        .client_context = decode_context(inv, space->context),
        .content_type = choose_type(inv),
        .body = event_bytes(inv, s),
    };
}
