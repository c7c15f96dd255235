/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The trace that a request belongs to (codec/trace_context.h), by the key `tracing`:
 *   continue  a valid header goes on with a span id of faasd's in it; without one there is no trace, but for requests of a face (gateway/face.h): as AWS does, they get a new one,
 *             not sampled, as X-Amzn-Trace-Id alone
 *   always    the same, and where none came a new one is begun, not sampled
 *   off       headers pass as they came
 * Except with `off`, what came in `traceparent`, `tracestate` and `X-Amzn-Trace-Id` is taken out of the request's fields, and only what is valid goes on: the
 * function, in its headers and by its contract, and the caller, in the reply, see the trace with the span that is the function's.
 */
#ifndef FAASD_GATEWAY_TRACE_H
#define FAASD_GATEWAY_TRACE_H

#include "gateway/invocation.h"

/* Sets inv->trace. */
void trace_begin(struct invocation *inv);

/* Is this one of the request's fields that the function does not get as it came? */
bool trace_hides(const struct invocation *inv, struct str field);

/* What it gets instead. */
struct trace_fields {
    char parent[TRACE_PARENT_MAX]; /* "" = none */
    char xray[TRACE_XRAY_MAX];     /* "" = none */
    struct str state;              /* borrowed from the request; empty = none */
};
void trace_print(const struct invocation *inv, struct trace_fields *ret_fields);

/* Header lines for the caller: none without a trace. At most TRACE_LINES_MAX bytes; returns the next place. */
enum { TRACE_LINES_MAX = 192 };
char *trace_put_lines(const struct invocation *inv, char *to);

#endif
