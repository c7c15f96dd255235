/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long a function is left alone between its requests, and what follows from it: for how long its last instance is worth keeping, and when one
 * should be started ahead of the next request. Pure: no clock, no allocation; tests and scripts/simulate drive it with a fake clock.
 *
 * From "Serverless in the Wild" (Shahrad et al., USENIX ATC 2020) come the two windows, taken from the low and the high end of a function's own idle times, and the
 * fixed keep-alive as long as too little is known. Different: the last HISTORY_IDLES idle times themselves instead of a histogram of one-minute
 * bins (256 bytes a function instead of a kilobyte, exact for periods of seconds and of hours, and old habits are forgotten), and the windows are not fixed
 * percentiles: every pair that the samples suggest is priced, and the cheapest wins that is no worse than the fixed keep-alive.
 */
#ifndef FAASD_GATEWAY_HISTORY_H
#define FAASD_GATEWAY_HISTORY_H

#include <stdbool.h>
#include <stdint.h>

enum { HISTORY_IDLES = 64, HISTORY_IDLES_MIN = 8 };

struct history {
    uint32_t idle_ms[HISTORY_IDLES]; /* a ring; longer than 49 days counts as that */
    uint32_t count, next;
    uint64_t quiet_since_ms; /* the function has had nothing to do since; 0 = it is busy, or never worked */
};

/* The function's last request is answered and none waits; the first one after that has come. Both cost next to nothing: they are on the hot path of a
 * function that is called now and then. Spells below HISTORY_SPELL_MS leave no trace: nothing could be saved in them. */
enum { HISTORY_SPELL_MS = 1000 };
void history_quiet(struct history *h, uint64_t now_ms);
void history_awake(struct history *h, uint64_t now_ms);

/* What to do in a quiet spell, as offsets from its begin. An instance is kept until keep_ms; then there is none until prewarm_ms, from when on one is held until
 * until_ms. prewarm_ms == until_ms: none is started ahead. */
struct history_plan {
    uint64_t keep_ms, prewarm_ms, until_ms;
};
/* `fixed_ms`: the keep-alive without any history, and the yardstick: the plan keeps an instance no longer in all, on the samples, and meets about as many
 * requests or more. `lead_ms`: how long a start takes. */
struct history_plan history_plan(const struct history *h, uint64_t fixed_ms, uint64_t lead_ms);

/* What the plan says at a moment of the spell that began at h->quiet_since_ms: an instance that became idle with it is due for `keep_ms`, `hold` instances are
 * wanted, and at `wake_ms` (0 = never) it says something else. */
struct history_advice {
    uint64_t keep_ms, wake_ms;
    uint32_t hold;
};
struct history_advice history_advise(const struct history *h, const struct history_plan *p, uint64_t now_ms);

#endif
