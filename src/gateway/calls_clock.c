/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/calls_clock.h"

#include <stdbool.h>
#include <string.h>

static uint64_t count_off(const struct calls_moment *last, const struct calls_moment *now)
{
    if (last->real_ms < CALLS_REAL_SET_MS || now->real_ms < CALLS_REAL_SET_MS || now->real_ms < last->real_ms)
        return 0;
    uint64_t off = now->real_ms - last->real_ms;
    return off <= CALLS_OFF_MAX_MS ? off : 0;
}

void calls_clock_resume(struct calls_clock *c, const struct calls_moment *last, const struct calls_moment *now)
{
    bool same_boot = now->boot_id[0] && strcmp(last->boot_id, now->boot_id) == 0 && now->boot_ms >= last->boot_ms;
    uint64_t passed = same_boot ? now->boot_ms - last->boot_ms : count_off(last, now);
    /* 0 stands for "no time" in rows and timers */
    uint64_t queue_ms = last->queue_ms ? last->queue_ms + passed : 1;
    c->offset_ms = queue_ms - now->boot_ms;
}
