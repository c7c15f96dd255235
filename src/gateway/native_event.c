/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/native_event.h"

#include "gateway/lambda_context.h"
#include "gateway/trace.h"

#include <string.h>

/* The head is at most 64 KiB, plus "http." and two NULs for each of 128, plus our own. */
enum { FIELDS_IN_MAX = 65536 + 128 * 8 + 1024 + LAMBDA_CONTEXT_INVOKED_MAX + LAMBDA_CONTEXT_CLIENT_MAX };

struct pairs {
    char *bytes;
    size_t len;
};

static void add_pair(struct pairs *p, struct str prefix, struct str name, struct str value)
{
    if (prefix.n + name.n + value.n + 2 > FIELDS_IN_MAX - p->len)
        return; /* a peer address or id beyond the arithmetic of FIELDS_IN_MAX: there is none */
    char *at = p->bytes + p->len;
    memcpy(at, prefix.p, prefix.n);
    at += prefix.n;
    for (size_t k = 0; k < name.n; k++)
        *at++ = name.p[k] >= 'A' && name.p[k] <= 'Z' ? (char)(name.p[k] | 0x20) : name.p[k];
    *at++ = '\0';
    if (value.n)
        memcpy(at, value.p, value.n);
    at += value.n;
    *at++ = '\0';
    p->len = (size_t)(at - p->bytes);
}

/* By Lambda's name for it, _X_AMZN_TRACE_ID in the environment of its handlers. */
static void add_trace(struct pairs *p, const struct invocation *inv)
{
    struct trace_fields t;
    if (!trace_is_set(&inv->trace))
        return;
    trace_print(inv, &t);
    add_pair(p, STR_LITERAL(""), STR_LITERAL("trace_id"), str_from(t.xray));
}

static void add_trace_headers(struct pairs *p, const struct invocation *inv)
{
    struct trace_fields t;
    if (!trace_is_set(&inv->trace))
        return;
    trace_print(inv, &t);
    if (t.parent[0])
        add_pair(p, STR_LITERAL("http."), STR_LITERAL("traceparent"), str_from(t.parent));
    if (t.state.n)
        add_pair(p, STR_LITERAL("http."), STR_LITERAL("tracestate"), t.state);
    if (inv->has_xray)
        add_pair(p, STR_LITERAL("http."), STR_LITERAL("x-amzn-trace-id"), str_from(t.xray));
}

struct str native_event_build(const struct invocation *inv, const char *arn)
{
    static char bytes[FIELDS_IN_MAX];
    static char context[LAMBDA_CONTEXT_CLIENT_MAX];
    char invoked[LAMBDA_CONTEXT_INVOKED_MAX];
    const struct exchange *x = inv->exchange;
    const struct http1_request *q = x->request;
    struct pairs p = {.bytes = bytes, .len = 0};
    add_pair(&p, STR_LITERAL(""), STR_LITERAL("request_id"), (struct str){x->id, ID_UUID_MAX - 1});
    add_pair(&p, STR_LITERAL(""), STR_LITERAL("method"), q->method);
    add_pair(&p, STR_LITERAL(""), STR_LITERAL("path"), inv->path);
    add_pair(&p, STR_LITERAL(""), STR_LITERAL("query"), q->query);
    add_pair(&p, STR_LITERAL(""), STR_LITERAL("function_arn"), lambda_context_find_arn(x, inv->function, arn, invoked));
    struct str client = lambda_context_read_client(q, context);
    if (client.n)
        add_pair(&p, STR_LITERAL(""), STR_LITERAL("client_context"), client);
    add_trace(&p, inv);
    for (unsigned k = 0; k < q->field_count; k++)
        if (!trace_hides(inv, q->fields[k].name))
            add_pair(&p, STR_LITERAL("http."), q->fields[k].name, q->fields[k].value);
    add_trace_headers(&p, inv);
    return (struct str){bytes, p.len};
}
