/* SPDX-License-Identifier: Apache-2.0 */
/* The gateway's own process, as the kernel counts it. */
#ifndef FAASD_GATEWAY_PROCESS_STATS_H
#define FAASD_GATEWAY_PROCESS_STATS_H

#include <stdint.h>

struct process_stats {
    uint64_t cpu_ns;
    uint64_t started_ms; /* real time */
    uint64_t max_fds;
    uint64_t resident_bytes, virtual_bytes, open_fds; /* 0 = not known */
};

/* Before the gateway is confined, which lets it open nothing of /proc any more. What can't be opened is not known later. */
void process_stats_open(void);
void process_stats_read(struct process_stats *ret_stats);

#endif
