/* SPDX-License-Identifier: Apache-2.0 */
/* Invoke and InvokeAsync: an invocation as any other, answered in Lambda's form. */
#ifndef FAASD_LAMBDA_INVOKE_H
#define FAASD_LAMBDA_INVOKE_H

#include "lambda/operation.h"

extern const struct lambda_operation lambda_invoke;

/* struct face.answer_invocation. */
void lambda_answer_invocation(struct invocation *inv, const struct invocation_end *e, const struct invocation_reply *r);

#endif
