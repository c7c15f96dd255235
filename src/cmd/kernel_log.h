/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which system calls a filter has killed for: the kernel notes each one in its log (audit_seccomp(), "type=1326"), with its number and the time, and nobody else knows it: the program
 * is dead before it could tell. Reading the log takes root, or CAP_SYSLOG.
 */
#ifndef FAASD_CMD_KERNEL_LOG_H
#define FAASD_CMD_KERNEL_LOG_H

#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A record of /dev/kmsg (Documentation/ABI/testing/dev-kmsg). False: it tells of no such death. */
struct kernel_log_kill {
    uint64_t real_ms;      /* the kernel's coarse clock: up to KERNEL_LOG_COARSE_MS behind */
    uint32_t architecture; /* AUDIT_ARCH_* */
    int number;
};
enum { KERNEL_LOG_COARSE_MS = 10 };
bool kernel_log_parse_kill(struct str record, struct kernel_log_kill *ret_kill);

/* "mount (165), umount2 (166)": each call once that killed a process of this host between these times; empty when the log has none, of which it
 * keeps ten in five seconds (kernel.printk_ratelimit_burst, without an audit daemon). False: it can't be read. */
bool kernel_log_print_kills(uint64_t since_ms, uint64_t until_ms, char *out, size_t size);

#endif
