/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What clients set on functions and read again, without anything here that acts on it, so that tools which always ask are answered: when a runtime is updated, what becomes of recursive loops, and
 * which code signing configuration a function has, which is none: there are none to name.
 */
#ifndef FAASD_LAMBDA_FUNCTION_OPTION_H
#define FAASD_LAMBDA_FUNCTION_OPTION_H

#include "lambda/operation.h"

extern const struct lambda_operation lambda_put_runtime_management, lambda_get_runtime_management, lambda_put_recursion,
    lambda_get_recursion, lambda_put_code_signing, lambda_get_code_signing, lambda_delete_code_signing;

#endif
