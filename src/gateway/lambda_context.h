/* SPDX-License-Identifier: Apache-2.0 */
/* What Lambda's contexts tell of a request beside its event: the same for the Runtime API's headers and the fields of INVOKE frames. */
#ifndef FAASD_GATEWAY_LAMBDA_CONTEXT_H
#define FAASD_GATEWAY_LAMBDA_CONTEXT_H

#include "gateway/exchange.h"
#include "gateway/registry.h"
#include "gateway/versions.h"

enum {
    LAMBDA_CONTEXT_ARN_MAX = 160,
    LAMBDA_CONTEXT_INVOKED_MAX = LAMBDA_CONTEXT_ARN_MAX + VERSIONS_ALIAS_MAX, /* with ":QUALIFIER" */
    LAMBDA_CONTEXT_CLIENT_MAX = 4096,                                         /* Lambda takes 3583 bytes of base64 */
};

/* arn:aws:lambda:REGION:ACCOUNT:function:NAME; the region is the function's own AWS_REGION, else that of the configuration. */
void lambda_context_print_arn(const struct config *c, const struct function *f, const struct settings *s,
                              char out[LAMBDA_CONTEXT_ARN_MAX]);

/* The same in a region that is known. */
void lambda_context_print_arn_in(const struct config *c, const struct function *f, struct str region,
                                 char out[LAMBDA_CONTEXT_ARN_MAX]);

/* The same as this request's caller named it: with ":QUALIFIER" where there was one; of a face's request, as that tells it. `arn`: what the above has printed. */
struct str lambda_context_find_arn(const struct exchange *x, const struct function *f, const char *arn,
                                   char room[LAMBDA_CONTEXT_INVOKED_MAX]);

/* X-Amz-Client-Context is base64 of JSON. What is neither, or could be no header's value, is left out, as is one that there is not: n is 0. */
struct str lambda_context_read_client(const struct http1_request *q, char out[LAMBDA_CONTEXT_CLIENT_MAX]);

#endif
