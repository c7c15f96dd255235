/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The clock by which stored calls are due and age: milliseconds that only grow, at the pace of CLOCK_BOOTTIME, from one start of the gateway and of the machine to the
 * next. Wall time may be unset or jump by years and is asked for one thing only: how long the machine was off. Pure: times come in as arguments.
 */
#ifndef FAASD_GATEWAY_CALLS_CLOCK_H
#define FAASD_GATEWAY_CALLS_CLOCK_H

#include <stdint.h>

enum { CALLS_BOOT_ID_MAX = 40 };

/* One moment on all clocks. Stored with every commit, so that the next start knows where this one came to. */
struct calls_moment {
    uint64_t queue_ms;               /* this clock; 0 = never ran */
    uint64_t boot_ms;                /* CLOCK_BOOTTIME */
    uint64_t real_ms;                /* wall time */
    char boot_id[CALLS_BOOT_ID_MAX]; /* which boot boot_ms counts from: /proc/sys/kernel/random/boot_id; "" = unknown */
};

/* Wall time before this (2026-01-01) counts as not set. */
#define CALLS_REAL_SET_MS UINT64_C(1767225600000)
/* A machine that seems to have been off for longer has had its clock set instead: none of that time counts. */
#define CALLS_OFF_MAX_MS (UINT64_C(30) * 24 * 3600 * 1000)

struct calls_clock {
    uint64_t offset_ms; /* queue time = CLOCK_BOOTTIME + this, modulo 2^64 */
};

/* `now.queue_ms` is not read. Within one boot the time that passed is known exactly; across boots it is what wall time says, if that was set both times, did not run
 * backwards and passed by no more than CALLS_OFF_MAX_MS; otherwise none has passed: calls wait longer rather than expire. */
void calls_clock_resume(struct calls_clock *c, const struct calls_moment *last, const struct calls_moment *now);

static inline uint64_t calls_clock_at(const struct calls_clock *c, uint64_t boot_ms)
{
    return boot_ms + c->offset_ms;
}

#endif
