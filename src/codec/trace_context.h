/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two headers by which a request's trace goes from one service to the next: W3C `traceparent` (https://www.w3.org/TR/trace-context/, version 00, and
 * later ones as it says) and AWS X-Ray's `X-Amzn-Trace-Id` (docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html). Pure: no I/O, no allocation.
 */
#ifndef FAASD_CODEC_TRACE_CONTEXT_H
#define FAASD_CODEC_TRACE_CONTEXT_H

#include "base/str.h"

enum { TRACE_PARENT_MAX = 56 /* 55 characters and a NUL */, TRACE_XRAY_MAX = 256, TRACE_STATE_MAX = 512 };

/* Both trace ids are 16 bytes; X-Ray's first four are the seconds since the epoch. */
struct trace_ids {
    uint8_t trace[16];
    uint8_t span[8];
    uint8_t flags; /* W3C's: 1 = sampled */
};

/* False: it is not one, or all zero. */
bool trace_parse_parent(struct str value, struct trace_ids *ret_ids);
void trace_print_parent(const struct trace_ids *ids, char out[TRACE_PARENT_MAX]);

/* "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1", in any order; Self and other members may be there and are dropped. Without
 * Parent the span is zero. False: no Root, or one that is malformed. */
bool trace_parse_xray(struct str value, struct trace_ids *ret_ids);
/* Returns the length. */
size_t trace_print_xray(const struct trace_ids *ids, char out[TRACE_XRAY_MAX]);

/* May it be passed on? Printable, at most TRACE_STATE_MAX bytes, members KEY=VALUE with commas between. */
bool trace_state_is_valid(struct str value);

bool trace_is_set(const struct trace_ids *ids); /* the trace id is not all zero */

#endif
