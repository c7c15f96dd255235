/* SPDX-License-Identifier: Apache-2.0 */
/* Put, Update, Get, Delete and ListFunctionEventInvokeConfigs: what holds for asynchronous calls of a qualifier (gateway/async_config.h). */
#ifndef FAASD_LAMBDA_EVENT_INVOKE_H
#define FAASD_LAMBDA_EVENT_INVOKE_H

#include "lambda/operation.h"

extern const struct lambda_operation lambda_put_event_invoke, lambda_update_event_invoke, lambda_get_event_invoke,
    lambda_delete_event_invoke, lambda_list_event_invokes;

#endif
