/* SPDX-License-Identifier: Apache-2.0 */
/* How a runtime of `provided` ended, in the words that Lambda has for it (errorType and errorMessage). */
#ifndef FAASD_GATEWAY_VERDICT_RUNTIME_H
#define FAASD_GATEWAY_VERDICT_RUNTIME_H

#include "gateway/verdict.h"

enum { VERDICT_RUNTIME_MAX = 192 };

/* Returns the type: "Runtime.ExitError", or "Runtime.InvalidEntrypoint" when it could not be executed. out: "Runtime exited with error: exit status 3" */
const char *verdict_describe_runtime(const struct init_done *done, char out[VERDICT_RUNTIME_MAX]);

/* Ends the invocation: 502 with that type, or OutOfMemory when the kernel says so. */
void verdict_runtime(struct invocation *inv, const struct init_done *done, const struct verdict_facts *facts);

#endif
