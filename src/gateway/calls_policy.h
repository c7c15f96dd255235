/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What follows an attempt at an asynchronous call: another one, and when, or the end. Pure. As Lambda does it: an attempt of the function that failed is followed by
 * async_retries more, after async_backoff, twice that, ...; a throttle or an error of faasd's own is no attempt and is repeated after async.retry_min, doubled up to
 * async.retry_max; both until the call is async_max_age old.
 */
#ifndef FAASD_GATEWAY_CALLS_POLICY_H
#define FAASD_GATEWAY_CALLS_POLICY_H

#include <stdbool.h>
#include <stdint.h>

enum calls_status {
    CALLS_QUEUED,
    CALLS_RUNNING, /* never stored: a call that was cut off by faasd's end is queued again */
    CALLS_SUCCEEDED,
    CALLS_FAILED,
    CALLS_CANCELLED,
    CALLS_EXPIRED, /* older than async_max_age before an attempt succeeded */
    CALLS_STATUSES
};
const char *calls_status_name(enum calls_status s);

/* How an attempt ended. */
enum calls_outcome {
    CALLS_OUTCOME_GOOD,
    CALLS_OUTCOME_BAD,      /* the function failed: an attempt */
    CALLS_OUTCOME_HOPELESS, /* it would fail each time: no such function, an event that it can't take */
    CALLS_OUTCOME_DELAYED,  /* throttled, or faasd could not start it: no attempt */
};
/* From a reply's status and, for an error of faasd's own, its type (NULL: the function itself replied). The function's own 5xx count as failures. */
enum calls_outcome calls_outcome_of(int status, const char *error_type);

struct calls_try {
    enum calls_outcome outcome;
    uint32_t attempts; /* this one included where it counts */
    uint32_t delays;   /* in a row, this one included */
    uint64_t age_ms;
    bool cancelled; /* somebody asked for it while it ran */
    uint32_t retries;
    uint64_t backoff_ms, max_age_ms, retry_min_ms, retry_max_ms;
};
struct calls_verdict {
    enum calls_status status; /* CALLS_QUEUED: again, after delay_ms */
    uint64_t delay_ms;
};
struct calls_verdict calls_judge(const struct calls_try *t);

#endif
