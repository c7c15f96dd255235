/* SPDX-License-Identifier: Apache-2.0 */
/* What the operations on functions take, as the service model has it. */
#ifndef FAASD_LAMBDA_FUNCTION_MEMBERS_H
#define FAASD_LAMBDA_FUNCTION_MEMBERS_H

#include "lambda/operation.h"

extern const struct lambda_member function_create_members[], function_update_code_members[],
    function_update_configuration_members[], function_qualified_members[], function_list_members[],
    function_list_versions_members[], function_publish_members[], function_code_members[]; /* ZipFile, S3Bucket ... */

#define LAMBDA_PAGE                                                                                                    \
    {.name = "Marker", .in = LAMBDA_IN_QUERY},                                                                         \
    {                                                                                                                  \
        .name = "MaxItems", .in = LAMBDA_IN_QUERY, .type = LAMBDA_INTEGER, .bounded = true, .min = 1, .max = 10000     \
    }
#define LAMBDA_DESCRIPTION                                                                                             \
    {                                                                                                                  \
        .name = "Description", .bounded = true, .min = 0, .max = 256                                                   \
    }

#endif
