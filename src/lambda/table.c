/* SPDX-License-Identifier: Apache-2.0 */
/* Every operation of the API that faasd has. The handlers stand in the modules that their headers name; their tables of members beside them. */
#include "lambda/account.h"
#include "lambda/alias.h"
#include "lambda/concurrency.h"
#include "lambda/event_invoke.h"
#include "lambda/event_source.h"
#include "lambda/function_change.h"
#include "lambda/function_option.h"
#include "lambda/function_read.h"
#include "lambda/invoke.h"
#include "lambda/layer.h"
#include "lambda/operation.h"
#include "lambda/permission.h"
#include "lambda/provisioned.h"
#include "lambda/stream.h"
#include "lambda/tag.h"
#include "lambda/url_config.h"
#include "lambda/version.h"

const struct lambda_operation *const lambda_operations[] = {
    &lambda_invoke, /* first: it is looked for most */
    &lambda_invoke_async,
    &lambda_invoke_with_response_stream,
    &lambda_get_account_settings,
    &lambda_create_function,
    &lambda_get_function,
    &lambda_get_function_configuration,
    &lambda_list_functions,
    &lambda_update_function_code,
    &lambda_update_function_configuration,
    &lambda_delete_function,
    &lambda_publish_version,
    &lambda_list_versions,
    &lambda_create_alias,
    &lambda_get_alias,
    &lambda_update_alias,
    &lambda_delete_alias,
    &lambda_list_aliases,
    &lambda_create_url,
    &lambda_get_url,
    &lambda_update_url,
    &lambda_delete_url,
    &lambda_list_urls,
    &lambda_add_permission,
    &lambda_remove_permission,
    &lambda_get_policy,
    &lambda_publish_layer_version,
    &lambda_get_layer_version,
    &lambda_get_layer_version_by_arn, /* before the next, whose path is the same without a query */
    &lambda_list_layers,
    &lambda_list_layer_versions,
    &lambda_delete_layer_version,
    &lambda_add_layer_version_permission,
    &lambda_remove_layer_version_permission,
    &lambda_get_layer_version_policy,
    &lambda_create_event_source,
    &lambda_get_event_source,
    &lambda_update_event_source,
    &lambda_delete_event_source,
    &lambda_list_event_sources,
    &lambda_put_runtime_management,
    &lambda_get_runtime_management,
    &lambda_put_recursion,
    &lambda_get_recursion,
    &lambda_put_code_signing,
    &lambda_get_code_signing,
    &lambda_delete_code_signing,
    &lambda_put_concurrency,
    &lambda_get_concurrency,
    &lambda_delete_concurrency,
    &lambda_put_provisioned,
    &lambda_get_provisioned,
    &lambda_delete_provisioned,
    &lambda_list_provisioned,
    &lambda_put_event_invoke,
    &lambda_update_event_invoke,
    &lambda_get_event_invoke,
    &lambda_delete_event_invoke,
    &lambda_list_event_invokes,
    &lambda_tag_resource,
    &lambda_untag_resource,
    &lambda_list_tags,
};
const size_t lambda_operation_count = sizeof(lambda_operations) / sizeof(lambda_operations[0]);
