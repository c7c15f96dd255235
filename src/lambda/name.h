/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How Lambda's API names functions: NAME, NAME:QUALIFIER, ACCOUNT:function:NAME, REGION:ACCOUNT:function:NAME, arn:aws:lambda:REGION:ACCOUNT:function:NAME and each of them with
 * :QUALIFIER behind it. Pure.
 */
#ifndef FAASD_LAMBDA_NAME_H
#define FAASD_LAMBDA_NAME_H

#include "base/str.h"

enum {
    LAMBDA_NAME_MAX = 256,   /* of the whole */
    LAMBDA_REGION_MAX = 26,  /* with its NUL */
    LAMBDA_ACCOUNT_MAX = 13, /* with its NUL */
    LAMBDA_ARN_MAX = 384,    /* of a function's version or alias, with its NUL */
};

/* The service model's pattern, as its errors quote it. */
extern const char lambda_name_pattern[];

/* Parts of the text that was parsed; empty: not given. */
struct lambda_name {
    struct str name;
    struct str qualifier;
    struct str region, account;
};

/* False: the text does not match the pattern. */
bool lambda_name_parse(struct str text, struct lambda_name *ret);
bool lambda_name_matches(struct str text); /* the same as a question */

/* "eu-central-1" */
bool lambda_region_is_valid(struct str text);

#endif
