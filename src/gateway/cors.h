/* SPDX-License-Identifier: Apache-2.0 */
/* The setting `cors` of a function (https://fetch.spec.whatwg.org/#http-cors-protocol): which web pages may call it, and read what it answers. */
#ifndef FAASD_GATEWAY_CORS_H
#define FAASD_GATEWAY_CORS_H

#include "gateway/exchange.h"

enum { CORS_FIELDS_MAX = SETTINGS_CORS_MAX + 1024 };

/* For a function whose `cors` is set. True: the request was a preflight and is answered; it needs no credential, because browsers send none with it. Otherwise the reply,
 * whatever it will be, says whether the page may read it (x->cors_origin). */
bool cors_apply(struct exchange *x, const struct settings *s);

/* The lines for a reply to x, none when no page is allowed or `given`, the reply's own lines, say something of Access-Control-Allow-Origin: two would be none to a
 * browser. Returns their length. */
size_t cors_print(const struct exchange *x, struct str given, char out[CORS_FIELDS_MAX]);

#endif
