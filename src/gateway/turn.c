/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/turn.h"

#include "base/clock.h"
#include "gateway/gateway.h"

static bool is_from_here(const struct gateway *g, unsigned iteration)
{
    return iteration == ev_iteration(g->loop) && ev_depth(g->loop) > 0;
}

uint64_t turn_begin(struct gateway *g)
{
    g->turn.iteration = ev_iteration(g->loop);
    g->turn.mono_ns = clock_mono_ns();
    return g->turn.mono_ns;
}

uint64_t turn_now_ns(struct gateway *g)
{
    return is_from_here(g, g->turn.iteration) ? g->turn.mono_ns : turn_begin(g);
}

uint64_t turn_boot_ms(struct gateway *g)
{
    uint64_t now = turn_now_ns(g);
    if (!is_from_here(g, g->turn.boot_iteration)) {
        now = turn_begin(g);
        g->turn.boot_iteration = g->turn.iteration;
        g->turn.boot_ahead_ns = clock_boot_ns() - now;
    }
    return (now + g->turn.boot_ahead_ns) / 1000000;
}
