/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A function's reply in Lambda's payload format 2.0 (Function URLs; `payload: http`) as an HTTP reply. Pure.
 *
 * An object with a statusCode says all of it: statusCode, headers, cookies, body, isBase64Encoded; application/json where it names no Content-Type. Of every other JSON
 * value the reply is inferred: 200, application/json, a string without its quotes, anything else without blanks. No bytes at all are 200 without a body.
 */
#ifndef FAASD_GATEWAY_PAYLOAD_REPLY_H
#define FAASD_GATEWAY_PAYLOAD_REPLY_H

#include "gateway/invocation.h"
#include "gateway/reply_fields.h"

/* NULL, or why `text` is no such reply. What *ret_reply points to lives in `fields` and in *body, which is the caller's to free in any case. */
const char *payload_reply_build(struct str text, char fields[REPLY_FIELDS_MAX], struct buf *body,
                                struct invocation_reply *ret_reply);

#endif
