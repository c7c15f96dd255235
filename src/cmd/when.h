/* SPDX-License-Identifier: Apache-2.0 */
/* Points in time as text. */
#ifndef FAASD_CMD_WHEN_H
#define FAASD_CMD_WHEN_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

/* RFC 3339 with a zone, "2026-11-21T09:00:00.123Z" or "...+01:00", as milliseconds since the epoch. */
bool when_parse(const char *text, uint64_t *ret_ms);

/* The value of --since or --until (struct option.on_value): such a time, or an age: "10m". `target`: uint64_t, milliseconds since the epoch. -EINVAL. */
int when_read_since(void *target, const char *text, struct err *e);

#endif
