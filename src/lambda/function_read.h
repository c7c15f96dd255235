/* SPDX-License-Identifier: Apache-2.0 */
/* GetFunction, GetFunctionConfiguration, ListFunctions, ListVersionsByFunction. */
#ifndef FAASD_LAMBDA_FUNCTION_READ_H
#define FAASD_LAMBDA_FUNCTION_READ_H

#include "lambda/operation.h"

extern const struct lambda_operation lambda_get_function, lambda_get_function_configuration, lambda_list_functions,
    lambda_list_versions;

/* Of a store task that failed. */
void lambda_fail_store(struct exchange *x, const struct err *e);

#endif
