/* SPDX-License-Identifier: Apache-2.0 */
/* What a function's JSON says of its reply's head, as header lines: the same in payload format 2.0 and in the prelude of a streamed response. */
#ifndef FAASD_GATEWAY_REPLY_FIELDS_H
#define FAASD_GATEWAY_REPLY_FIELDS_H

#include "codec/json.h"

enum { REPLY_FIELDS_MAX = 65536 };

struct reply_fields {
    char *bytes; /* borrowed: REPLY_FIELDS_MAX of them */
    size_t len;
    bool has_type; /* Content-Type is among them */
};

/* `headers`: an object of strings, numbers and truths, or absent, or null; `cookies`: an array of strings, the same. Framing fields and those of faasd's own are dropped. False: a
 * member is no field, or there is no room. */
bool reply_fields_add(struct reply_fields *f, const struct json *headers, const struct json *cookies);

/* A whole number or its digits as a string, from 200 to 599; 0: it is neither. */
int reply_fields_status(const struct json *status);

#endif
