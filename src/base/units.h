/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sizes and times as people write them (CONTRACT 1): "64K 128M 1G" with optional "i", "B", "iB" (all 2^10 steps);
 * "250ms 3s 1m30s 2h 1d". A bare number is refused, "0" excepted, with what was probably meant.
 */
#ifndef FAASD_BASE_UNITS_H
#define FAASD_BASE_UNITS_H

#include "base/err.h"
#include "base/str.h"

int units_parse_size(struct str text, uint64_t *ret_bytes, struct err *e); /* -EINVAL with a sentence */
int units_parse_time(struct str text, uint64_t *ret_ms, struct err *e);

enum { UNITS_TEXT_MAX = 32 };
void units_format_size(
    uint64_t bytes, char out[UNITS_TEXT_MAX]); /* the largest unit that divides it: "128M", "1500" bytes as "1500B" */
void units_format_time(uint64_t ms, char out[UNITS_TEXT_MAX]); /* "250ms", "3s", "1m30s", "0s" */

#endif
