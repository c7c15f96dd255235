/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CreateFunction, UpdateFunctionCode, UpdateFunctionConfiguration, DeleteFunction: each a deploy of the control API (gateway/deploy.h) with a request of its own, whose reply becomes the
 * answer. What goes on in it:
 *
 *   read the row of $LATEST (updates)   none: the store answers every task
 *   the deploy, which is fed with the archive as it is decoded   the deploy's timers
 *   read the row that it made           none: the store answers every task
 */
#ifndef FAASD_LAMBDA_FUNCTION_CHANGE_H
#define FAASD_LAMBDA_FUNCTION_CHANGE_H

#include "lambda/operation.h"

extern const struct lambda_operation lambda_create_function, lambda_update_function_code,
    lambda_update_function_configuration, lambda_delete_function;

#endif
