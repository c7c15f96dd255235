/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests that come by a Function URL: /url/ID/... , or by host ID.DOMAIN where `url_domain` is set. The function gets payload format 2.0 (gateway/payload.h); errors look as AWS's.
 */
#ifndef FAASD_LAMBDA_URL_FRONT_H
#define FAASD_LAMBDA_URL_FRONT_H

#include "gateway/face.h"

bool url_front_claims_path(const struct http1_request *q);
bool url_front_claims_host(const struct exchange *x);
/* As struct face.find; sets x->face to a face of its own. */
const struct route *url_front_find(struct exchange *x);

#endif
