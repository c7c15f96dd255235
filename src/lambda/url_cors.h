/* SPDX-License-Identifier: Apache-2.0 */
/* The Cors member of a Function URL (https://fetch.spec.whatwg.org/#http-cors-protocol): what a browser is told. Pure. */
#ifndef FAASD_LAMBDA_URL_CORS_H
#define FAASD_LAMBDA_URL_CORS_H

#include "codec/http1.h"
#include "lambda/url.h"

enum { URL_CORS_FIELDS_MAX = 3 * URL_CORS_MAX };

/* A preflight: it is answered without the function. */
bool url_cors_is_preflight(const struct http1_request *q);
/* Complete header lines for the answer to q: none when it comes from no page, or from one that is not allowed. Returns their length. */
size_t url_cors_print(const struct url_cors *c, const struct http1_request *q, char out[URL_CORS_FIELDS_MAX]);

#endif
