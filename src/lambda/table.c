/* SPDX-License-Identifier: Apache-2.0 */
/* Every operation of the API that faasd has. The handlers stand in the modules that their headers name; their tables of members beside them. */
#include "lambda/account.h"
#include "lambda/invoke.h"
#include "lambda/operation.h"
#include "lambda/permission.h"
#include "lambda/stream.h"
#include "lambda/url_config.h"

const struct lambda_operation *const lambda_operations[] = {
    &lambda_invoke, /* first: it is looked for most */
    &lambda_invoke_async,
    &lambda_invoke_with_response_stream,
    &lambda_get_account_settings,
    &lambda_create_url,
    &lambda_get_url,
    &lambda_update_url,
    &lambda_delete_url,
    &lambda_list_urls,
    &lambda_add_permission,
    &lambda_remove_permission,
    &lambda_get_policy,
};
const size_t lambda_operation_count = sizeof(lambda_operations) / sizeof(lambda_operations[0]);
