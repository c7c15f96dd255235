/* SPDX-License-Identifier: Apache-2.0 */
/* Every operation of the API that faasd has. The handlers stand in the modules that their headers name; their tables of members beside them. */
#include "lambda/account.h"
#include "lambda/invoke.h"
#include "lambda/operation.h"
#include "lambda/stream.h"

const struct lambda_operation *const lambda_operations[] = {
    &lambda_invoke, /* first: it is looked for most */
    &lambda_invoke_async,
    &lambda_invoke_with_response_stream,
    &lambda_get_account_settings,
};
const size_t lambda_operation_count = sizeof(lambda_operations) / sizeof(lambda_operations[0]);
