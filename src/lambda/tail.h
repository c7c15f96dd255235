/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An answer that waits for what the kernel counted, because its log's REPORT line tells it: X-Amz-Log-Type: Tail. The reply is copied and the exchange is ended when the record is settled
 * (gateway/records.h), after RECORDS_SETTLE_MS at the latest.
 */
#ifndef FAASD_LAMBDA_TAIL_H
#define FAASD_LAMBDA_TAIL_H

#include "gateway/invocation.h"

/* Ends the exchange, now or then, with `reply` and X-Amz-Log-Result. The invocation has been recorded. */
void lambda_tail_answer(struct invocation *inv, const struct invocation_end *e, const struct reply *reply);

#endif
