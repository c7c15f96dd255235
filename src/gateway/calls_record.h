/* SPDX-License-Identifier: Apache-2.0 */
/* What a destination (on_success, on_failure) is called with: Lambda's record of an asynchronous invocation. */
#ifndef FAASD_GATEWAY_CALLS_RECORD_H
#define FAASD_GATEWAY_CALLS_RECORD_H

#include "gateway/calls_job.h"

/* How many destinations may follow one another: a function that is its own destination comes to an end. */
enum { CALLS_HOPS_MAX = 16 };

/* Prints the record of a call that ended into *out: a whole stored request, head and body, for calls_entry. Payloads that are no JSON become strings; without a result
 * the response's parts are null. -ENOMEM. */
struct calls_record {
    const struct calls_destination *to;
    const struct calls_call *call;
    const struct calls_result *result;
    const char *id; /* the call's, as text */
    uint64_t real_ms;
};
int calls_record_print(const struct calls_record *r, struct buf *ret_head, struct buf *ret_body);

#endif
