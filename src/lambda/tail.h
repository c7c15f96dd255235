/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of an invocation's log as X-Amz-Log-Type: Tail asks for it: START, the function's lines, END and REPORT, the last LOG_TAIL_MAX bytes of them. It waits for what the kernel
 * counted, because REPORT tells it: some 100 us, RECORDS_SETTLE_MS (gateway/records.h) at the latest.
 */
#ifndef FAASD_LAMBDA_TAIL_H
#define FAASD_LAMBDA_TAIL_H

#include "gateway/invocation.h"
#include "gateway/log_tail.h"
#include "gateway/records.h"
#include "lambda/report.h"

/* Part of what its owner keeps until on_log, which comes exactly once, perhaps within lambda_tail_wait(), and is the last that is done with it. `log` is borrowed for the call. */
struct lambda_tail_waiter {
    void (*on_log)(struct lambda_tail_waiter *w, struct str log);
    struct exchange *x; /* borrowed: it has a log_tail, and is not ended before on_log */
    struct records_waiter waiter;
    struct lambda_report report;
    char version[24];
};

/* The invocation has been recorded, and may end before on_log. The caller has set on_log. */
void lambda_tail_wait(struct lambda_tail_waiter *w, const struct invocation *inv, const struct invocation_end *e);

/* Ends the exchange, now or then, with `reply` and X-Amz-Log-Result. */
void lambda_tail_answer(const struct invocation *inv, const struct invocation_end *e, const struct reply *reply);

#endif
