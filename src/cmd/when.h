/* SPDX-License-Identifier: Apache-2.0 */
/* Points in time as text. */
#ifndef FAASD_CMD_WHEN_H
#define FAASD_CMD_WHEN_H

#include <stdbool.h>
#include <stdint.h>

/* RFC 3339 with a zone, "2026-11-21T09:00:00.123Z" or "...+01:00", as milliseconds since the epoch. */
bool when_parse(const char *text, uint64_t *ret_ms);

#endif
