/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The prelude of application/vnd.awslambda.http-integration-response as it stands in front of a function's bytes: JSON with statusCode, headers and cookies, and eight NUL bytes. Pure.
 */
#ifndef FAASD_LAMBDA_PRELUDE_H
#define FAASD_LAMBDA_PRELUDE_H

#include "gateway/invocation.h"

enum { LAMBDA_PRELUDE_MAX = 1 << 20 }; /* of the 64 KiB of fields that a reply may have, escaped */

/* Of a reply's head. 0, or -errno: it is out of memory or too long. */
int lambda_prelude_print(const struct invocation_reply *r, struct buf *out);

#endif
