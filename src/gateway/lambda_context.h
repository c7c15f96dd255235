/* SPDX-License-Identifier: Apache-2.0 */
/* What Lambda's contexts tell of a request beside its event: the same for the Runtime API's headers and the fields of INVOKE frames. */
#ifndef FAASD_GATEWAY_LAMBDA_CONTEXT_H
#define FAASD_GATEWAY_LAMBDA_CONTEXT_H

#include "gateway/registry.h"
#include "gateway/versions.h"

struct http1_request;

enum {
    LAMBDA_CONTEXT_ARN_MAX = 160,
    LAMBDA_CONTEXT_INVOKED_MAX = LAMBDA_CONTEXT_ARN_MAX + VERSIONS_ALIAS_MAX, /* with ":QUALIFIER" */
    LAMBDA_CONTEXT_CLIENT_MAX = 4096,                                         /* Lambda takes 3583 bytes of base64 */
};

/* arn:aws:lambda:REGION:000000000000:function:NAME; the region is the function's own AWS_REGION, else us-east-1. */
void lambda_context_print_arn(const struct function *f, const struct settings *s, char out[LAMBDA_CONTEXT_ARN_MAX]);

/* The same as the caller named it: with ":QUALIFIER" where `qualifier` (percent-encoded as it came) is one; `arn` itself where it is empty. */
struct str lambda_context_qualify(const char *arn, struct str qualifier, char out[LAMBDA_CONTEXT_INVOKED_MAX]);

/* X-Amz-Client-Context is base64 of JSON. What is neither, or could be no header's value, is left out, as is one that there is not: n is 0. */
struct str lambda_context_read_client(const struct http1_request *q, char out[LAMBDA_CONTEXT_CLIENT_MAX]);

#endif
