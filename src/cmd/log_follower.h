/* SPDX-License-Identifier: Apache-2.0 */
/* A process that prints a function's log lines on stdout while this one does something else. */
#ifndef FAASD_CMD_LOG_FOLLOWER_H
#define FAASD_CMD_LOG_FOLLOWER_H

#include "base/err.h"

#include <stdint.h>
#include <sys/types.h>

struct log_follower {
    pid_t pid; /* -1: none */
    int fd;    /* pidfd: readable when it has ended */
};

/* From since_ms (real time) on. It ends with the daemon, with this process, or by log_follower_stop(). */
int log_follower_start(struct log_follower *f, const char *socket, const char *function, uint64_t since_ms,
                       struct err *e);
void log_follower_stop(struct log_follower *f); /* waits for it */

#endif
