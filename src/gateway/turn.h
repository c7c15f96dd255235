/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The time of the event at hand. A request asks for it a dozen times, and nothing of that cares for when within one event: so a clock is read once where an event that
 * may belong to a request begins, and once in each turn of the loop for all others, when the first of them asks. Outside of the loop it is read each time.
 */
#ifndef FAASD_GATEWAY_TURN_H
#define FAASD_GATEWAY_TURN_H

#include <stdint.h>

struct gateway;

struct turn {
    unsigned iteration;      /* of the loop, that mono_ns is from */
    unsigned boot_iteration; /* and boot_ahead_ns */
    uint64_t mono_ns;
    uint64_t boot_ahead_ns; /* of boottime before monotonic: only a suspended host changes it */
};

uint64_t turn_begin(struct gateway *g);   /* an event begins; returns its time as turn_now_ns() does */
uint64_t turn_now_ns(struct gateway *g);  /* as clock_mono_ns(), never before what an earlier call said */
uint64_t turn_boot_ms(struct gateway *g); /* as clock_boot_ns() / 1000000, of the same moment */

#endif
