/* SPDX-License-Identifier: Apache-2.0 */
/* What a destination is called with: Lambda's record of an asynchronous invocation (on_success, on_failure), or its event (dead_letter). */
#ifndef FAASD_GATEWAY_CALLS_RECORD_H
#define FAASD_GATEWAY_CALLS_RECORD_H

#include "gateway/calls_job.h"

/* The region that a call of Lambda's API was signed for stands in its stored head, for ARNs; the function does not see it. */
#define CALLS_REGION_FIELD "X-Faasd-Region"
struct str calls_record_region(struct str head); /* empty: there is none */

/* How many destinations may follow one another: a function that is its own destination comes to an end. */
enum { CALLS_HOPS_MAX = 16 };

struct calls_record {
    const struct calls_told *told;
    const struct calls_destination *to;
    const struct calls_call *call;
    const struct calls_result *result;
    const char *id; /* the call's, as text */
    uint64_t real_ms;
};

/* Prints a whole stored request for calls_entry. Of a record, payloads that are no JSON become strings, and where the function was not run the response's parts are null. An event goes on
 * as it is; what AWS tells in a message's attributes (RequestID, ErrorCode, ErrorMessage) stands in the client context, as `custom`. -ENOMEM. */
int calls_record_print(const struct calls_record *r, struct buf *ret_head, struct buf *ret_body);

#endif
