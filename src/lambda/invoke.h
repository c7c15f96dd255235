/* SPDX-License-Identifier: Apache-2.0 */
/* Invoke and InvokeAsync: an invocation as any other, answered in Lambda's form. */
#ifndef FAASD_LAMBDA_INVOKE_H
#define FAASD_LAMBDA_INVOKE_H

#include "lambda/operation.h"

extern const struct lambda_operation lambda_invoke;
extern const struct lambda_operation lambda_invoke_async;

enum { LAMBDA_VERSION_MAX = 24 };
/* Which version it ran, as X-Amz-Executed-Version has it: "$LATEST" where that was asked for, whatever its number; its length. */
size_t lambda_print_version(const struct invocation *inv, char out[LAMBDA_VERSION_MAX]);

/* struct face.answer_invocation and .print_arn. */
void lambda_answer_invocation(struct invocation *inv, const struct invocation_end *e, const struct invocation_reply *r);
size_t lambda_print_invoked(const struct exchange *x, const struct function *f, char out[LAMBDA_CONTEXT_INVOKED_MAX]);

#endif
