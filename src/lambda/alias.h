/* SPDX-License-Identifier: Apache-2.0 */
/* Create-, Get-, Update-, Delete- and ListAlias(es). */
#ifndef FAASD_LAMBDA_ALIAS_H
#define FAASD_LAMBDA_ALIAS_H

#include "lambda/operation.h"

extern const struct lambda_operation lambda_create_alias, lambda_get_alias, lambda_update_alias, lambda_delete_alias,
    lambda_list_aliases;

#endif
