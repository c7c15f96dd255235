/* SPDX-License-Identifier: Apache-2.0 */
/* How Lambda's API names layers: NAME, arn:aws:lambda:REGION:ACCOUNT:layer:NAME and, of a version, that with :NUMBER behind it. Pure. */
#ifndef FAASD_LAMBDA_LAYER_NAME_H
#define FAASD_LAMBDA_LAYER_NAME_H

#include "base/str.h"
#include "lambda/name.h"

#include <stdint.h>

enum {
    LAYER_NAME_MAX = 141,
    LAYER_ARN_MAX = 256, /* of a version, with its NUL */
};

/* The model's patterns. */
#define LAYER_NAME_PATTERN        "(arn:[a-zA-Z0-9-]+:lambda:[a-zA-Z0-9-]+:\\d{12}:layer:[a-zA-Z0-9-_]+)|[a-zA-Z0-9-_]+"
#define LAYER_NAME_ERE            "arn:[a-zA-Z0-9-]+:lambda:[a-zA-Z0-9-]+:[0-9]{12}:layer:[a-zA-Z0-9_-]+|[a-zA-Z0-9_-]+"
#define LAYER_VERSION_ARN_PATTERN "arn:[a-zA-Z0-9-]+:lambda:[a-zA-Z0-9-]+:\\d{12}:layer:[a-zA-Z0-9-_]+:[0-9]+"
#define LAYER_VERSION_ARN_ERE     "arn:[a-zA-Z0-9-]+:lambda:[a-zA-Z0-9-]+:[0-9]{12}:layer:[a-zA-Z0-9_-]+:[0-9]+"

struct layer_name {
    char name[LAYER_NAME_MAX];
    uint64_t number;                /* 0: none was given */
    char region[LAMBDA_REGION_MAX]; /* "": none was given */
    char account[LAMBDA_ACCOUNT_MAX];
};

bool layer_name_parse(struct str text, struct layer_name *ret); /* false: it is none */
/* With the number, unless it is 0. */
const char *layer_name_print(const char *region, const char *account, const char *name, uint64_t number,
                             char out[LAYER_ARN_MAX]);

#endif
