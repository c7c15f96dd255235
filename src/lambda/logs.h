/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CloudWatch Logs, read only: DescribeLogGroups, DescribeLogStreams, GetLogEvents and FilterLogEvents over the functions' own logs (lambda/log_events.h). One group for each function,
 * /aws/lambda/NAME. Its protocol is another than Lambda's: POST /, the operation in X-Amz-Target, errors with `__type`.
 */
#ifndef FAASD_LAMBDA_LOGS_H
#define FAASD_LAMBDA_LOGS_H

#include "gateway/face.h"

bool logs_claims(const struct http1_request *q); /* by X-Amz-Target */
/* As struct face.find; sets x->face to a face of its own. */
const struct route *logs_find(struct exchange *x);

#endif
