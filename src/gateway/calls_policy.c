/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/calls_policy.h"

#include <stddef.h>
#include <string.h>

const char *calls_status_name(enum calls_status s)
{
    static const char *const NAMES[CALLS_STATUSES] = {
        [CALLS_QUEUED] = "queued", [CALLS_RUNNING] = "running",     [CALLS_SUCCEEDED] = "succeeded",
        [CALLS_FAILED] = "failed", [CALLS_CANCELLED] = "cancelled", [CALLS_EXPIRED] = "expired",
    };
    return NAMES[s];
}

enum calls_outcome calls_outcome_of(int status, const char *error_type)
{
    if (!error_type)
        return status < 500 ? CALLS_OUTCOME_GOOD : CALLS_OUTCOME_BAD;
    if (status == 429 || status == 503)
        return CALLS_OUTCOME_DELAYED;
    return status < 500 ? CALLS_OUTCOME_HOPELESS : CALLS_OUTCOME_BAD;
}

static uint64_t doubled(uint64_t first_ms, uint32_t times, uint64_t most_ms)
{
    uint64_t ms = first_ms;
    while (times-- && ms < most_ms)
        ms *= 2;
    return ms < most_ms ? ms : most_ms;
}

struct calls_verdict calls_judge(const struct calls_try *t)
{
    bool delayed = t->outcome == CALLS_OUTCOME_DELAYED;
    if (t->outcome == CALLS_OUTCOME_GOOD)
        return (struct calls_verdict){.status = CALLS_SUCCEEDED};
    if (t->cancelled)
        return (struct calls_verdict){.status = CALLS_CANCELLED};
    if (t->outcome == CALLS_OUTCOME_HOPELESS || (!delayed && t->attempts > t->retries))
        return (struct calls_verdict){.status = CALLS_FAILED};
    uint64_t delay = delayed ? doubled(t->retry_min_ms, t->delays - 1, t->retry_max_ms)
                             : doubled(t->backoff_ms, t->attempts - 1, t->max_age_ms);
    /* There would be no attempt any more: it is told now rather than then. */
    if (t->age_ms + delay >= t->max_age_ms)
        return (struct calls_verdict){.status = CALLS_EXPIRED};
    return (struct calls_verdict){.status = CALLS_QUEUED, .delay_ms = delay};
}
