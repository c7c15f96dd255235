/* SPDX-License-Identifier: Apache-2.0 */
/* Whom an asynchronous call's end is told to, as the API names it: the ARN of a Lambda function. AWS's other services are not here. */
#ifndef FAASD_LAMBDA_DESTINATION_H
#define FAASD_LAMBDA_DESTINATION_H

#include "codec/settings.h"
#include "gateway/registry.h"

enum { DESTINATION_FAULT_MAX = 1024 };

struct destination_context {
    struct registry *registry; /* the function has to be there */
    const struct config *config;
    const char *region; /* of the request */
};

/* "arn:aws:lambda:R:A:function:NAME[:QUALIFIER]" -> "NAME[:QUALIFIER]"; empty -> "". False: `fault` is a sentence for InvalidParameterValueException. */
bool destination_parse(const struct destination_context *d, struct str arn, char target[SETTINGS_TARGET_MAX],
                       char fault[DESTINATION_FAULT_MAX]);

/* The same back. */
enum { DESTINATION_ARN_MAX = 128 + SETTINGS_TARGET_MAX };
const char *destination_print(const struct destination_context *d, const char *target, char out[DESTINATION_ARN_MAX]);

#endif
