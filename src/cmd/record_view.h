/* SPDX-License-Identifier: Apache-2.0 */
/* One record of GET /v1/invocations/ID, for people. */
#ifndef FAASD_CMD_RECORD_VIEW_H
#define FAASD_CMD_RECORD_VIEW_H

#include "cmd/client.h"
#include "codec/json.h"

#include <stdio.h>

/* Could this be an invocation's id? If not, says so: CMD_USAGE is due. */
bool record_check_id(const char *command, const char *id);
/* The record's text in `out`; an exit status, everything but CMD_OK has been said. */
int record_fetch(const char *command, const struct client_target *target, const char *id, struct buf *out);

/* Every member on a line of its own. */
void record_view_print(const struct json *record, FILE *to);
/* Why it failed and what to change. */
void record_view_why(const struct json *record, FILE *to);
/* Where its time went, as bars. */
void record_view_waterfall(const struct json *record, FILE *to);

/* "12.3 ms", "1.2 s"; "-" without a number. */
enum { RECORD_VIEW_TIME_MAX = 32 };
void record_view_time(const struct json *ms, char out[RECORD_VIEW_TIME_MAX]);

#endif
