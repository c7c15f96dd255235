/* SPDX-License-Identifier: Apache-2.0 */
/* Put, Get, Delete and ListProvisionedConcurrencyConfigs: instances of a version that are kept ready (gateway/version_warm.h), by its number or by an alias. */
#ifndef FAASD_LAMBDA_PROVISIONED_H
#define FAASD_LAMBDA_PROVISIONED_H

#include "lambda/operation.h"

extern const struct lambda_operation lambda_put_provisioned, lambda_get_provisioned, lambda_delete_provisioned,
    lambda_list_provisioned;

#endif
