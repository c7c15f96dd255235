/* SPDX-License-Identifier: Apache-2.0 */
/* Create-, Get-, Update-, Delete- and ListFunctionUrlConfig(s). */
#ifndef FAASD_LAMBDA_URL_CONFIG_H
#define FAASD_LAMBDA_URL_CONFIG_H

#include "lambda/operation.h"

extern const struct lambda_operation lambda_create_url, lambda_get_url, lambda_update_url, lambda_delete_url,
    lambda_list_urls;

#endif
