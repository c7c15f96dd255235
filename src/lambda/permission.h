/* SPDX-License-Identifier: Apache-2.0 */
/* AddPermission, RemovePermission and GetPolicy. */
#ifndef FAASD_LAMBDA_PERMISSION_H
#define FAASD_LAMBDA_PERMISSION_H

#include "lambda/operation.h"

extern const struct lambda_operation lambda_add_permission, lambda_remove_permission, lambda_get_policy;

#endif
