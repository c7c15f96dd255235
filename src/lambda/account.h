/* SPDX-License-Identifier: Apache-2.0 */
/* What this host gives to functions, as the account's limits. */
#ifndef FAASD_LAMBDA_ACCOUNT_H
#define FAASD_LAMBDA_ACCOUNT_H

#include "lambda/operation.h"

extern const struct lambda_operation lambda_get_account_settings;

#endif
