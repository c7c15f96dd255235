/* SPDX-License-Identifier: Apache-2.0 */
/* Invoke and InvokeAsync: an invocation as any other, answered in Lambda's form. */
#ifndef FAASD_LAMBDA_INVOKE_H
#define FAASD_LAMBDA_INVOKE_H

#include "lambda/operation.h"

extern const struct lambda_operation lambda_invoke;
extern const struct lambda_operation lambda_invoke_async;

/* ---- for both ways to invoke ---- */

/* A header field's value; empty when it is absent. */
struct str lambda_field(const struct exchange *x, const char *name);
/* The client context. The drivers hand it on decoded (gateway/lambda_context.h), and leave out what is none. False: the exchange was ended. */
bool lambda_check_context(struct exchange *x);
/* The function that may be invoked by this request, and by which number; NULL: the exchange was ended. */
struct function *lambda_find_invoked(struct lambda_call *c, uint64_t *ret_number);

enum { LAMBDA_VERSION_MAX = 24 };
/* A version as Lambda names it: "$LATEST" for VERSIONS_LATEST_NUMBER. Its length. */
size_t lambda_print_version(uint64_t number, char out[LAMBDA_VERSION_MAX]);

/* struct face.answer_invocation and .print_arn. */
void lambda_answer_invocation(struct invocation *inv, const struct invocation_end *e, const struct invocation_reply *r);
size_t lambda_print_invoked(const struct exchange *x, const struct function *f, char out[LAMBDA_CONTEXT_INVOKED_MAX]);

#endif
