/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The three clocks and what each is for (CONTRACT 7): monotonic for deadlines of running work, boottime for ages
 * (keep_warm, backoff), real time only to print and to tell functions their deadline.
 */
#ifndef FAASD_BASE_CLOCK_H
#define FAASD_BASE_CLOCK_H

#include <stdint.h>

enum { CLOCK_RFC3339_MAX = 32 };

uint64_t clock_mono_ns(void);
uint64_t clock_boot_ns(void);
uint64_t clock_real_ms(void); /* since the epoch */

/* "2026-11-21T09:00:00.123Z"; async-signal-safe (no tz database). */
void clock_format_rfc3339(uint64_t real_ms, char out[CLOCK_RFC3339_MAX]);

#endif
