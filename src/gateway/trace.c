/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/trace.h"

#include "base/clock.h"
#include "base/put.h"

#include <string.h>

static struct str find_field(const struct invocation *inv, const char *name)
{
    const struct http1_request *q = inv->exchange->request;
    const struct http1_field *f = http1_find_field(q->fields, q->field_count, name);
    return f ? f->value : (struct str){0};
}

static bool is_off(const struct invocation *inv)
{
    return inv->exchange->gateway->config->tracing == CONFIG_TRACING_OFF;
}

static void set_span(uint8_t span[8])
{
    uint64_t random = id_random_u64();
    memcpy(span, &random, sizeof(random));
    span[0] |= 1; /* all zero is none */
}

/* X-Ray wants the time in it, W3C that the rest is random: both are content. */
static void make_ids(struct trace_ids *ids)
{
    uint64_t seconds = clock_real_ms() / 1000;
    for (unsigned i = 0; i < 4; i++)
        ids->trace[i] = (uint8_t)(seconds >> (24 - 8 * i));
    uint64_t random[2] = {id_random_u64(), id_random_u64()};
    memcpy(ids->trace + 4, random, 12);
    ids->flags = 0;
}

/* Most requests come without a trace: one look at the names is all they pay. */
void trace_begin(struct invocation *inv)
{
    const struct config *c = inv->exchange->gateway->config;
    if (c->tracing == CONFIG_TRACING_OFF)
        return;
    struct trace_ids other;
    inv->has_parent = trace_parse_parent(find_field(inv, "traceparent"), &inv->trace);
    inv->has_xray = trace_parse_xray(find_field(inv, "x-amzn-trace-id"), inv->has_parent ? &other : &inv->trace);
    if (!inv->has_parent && !inv->has_xray) {
        bool always = c->tracing == CONFIG_TRACING_ALWAYS;
        if (!always && !inv->exchange->face)
            return;
        make_ids(&inv->trace);
        inv->has_parent = always;
        inv->has_xray = true;
    }
    set_span(inv->trace.span);
}

bool trace_hides(const struct invocation *inv, struct str field)
{
    /* Their lengths tell nearly all other names apart. */
    if (field.n != 11 && field.n != 10 && field.n != 15)
        return false;
    if (is_off(inv))
        return false;
    return str_is_nocase(field, "traceparent") || str_is_nocase(field, "tracestate") ||
           str_is_nocase(field, "x-amzn-trace-id");
}

void trace_print(const struct invocation *inv, struct trace_fields *ret_fields)
{
    ret_fields->parent[0] = '\0';
    ret_fields->xray[0] = '\0';
    ret_fields->state = (struct str){0};
    if (!trace_is_set(&inv->trace))
        return;
    trace_print_xray(&inv->trace, ret_fields->xray);
    if (!inv->has_parent)
        return;
    trace_print_parent(&inv->trace, ret_fields->parent);
    struct str state = find_field(inv, "tracestate");
    if (trace_state_is_valid(state))
        ret_fields->state = state;
}

char *trace_put_lines(const struct invocation *inv, char *to)
{
    if (inv->has_parent) {
        char text[TRACE_PARENT_MAX];
        trace_print_parent(&inv->trace, text);
        to = PUT_LITERAL(to, "traceparent: ");
        to = put_text(to, text);
        to = PUT_LITERAL(to, "\r\n");
    }
    if (inv->has_xray) {
        char text[TRACE_XRAY_MAX];
        trace_print_xray(&inv->trace, text);
        to = PUT_LITERAL(to, "X-Amzn-Trace-Id: ");
        to = put_text(to, text);
        to = PUT_LITERAL(to, "\r\n");
    }
    return to;
}
