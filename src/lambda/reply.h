/* SPDX-License-Identifier: Apache-2.0 */
/* What handlers answer with. One buffer for all replies: a reply is begun, filled and sent without a return to the loop. */
#ifndef FAASD_LAMBDA_REPLY_H
#define FAASD_LAMBDA_REPLY_H

#include "codec/json.h"
#include "gateway/exchange.h"

/* The outermost object is open; lambda_reply_json() closes it. */
struct json_writer *lambda_reply_begin(void);
void lambda_reply_json(struct exchange *x, int status);
void lambda_reply_empty(struct exchange *x, int status);

enum { LAMBDA_TIME_MAX = 32 };
/* "2026-01-01T00:00:00.000+0000": of functions, aliases, URLs, layers. Others are numbers of seconds: json_put_milli(). */
void lambda_put_time(struct json_writer *w, const char *key, uint64_t real_ms);

#endif
