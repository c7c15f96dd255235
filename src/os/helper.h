/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A child that does for this process, once, what is better done without its power: it gives that up and answers through a pipe. It has a copy of this process's memory and
 * descriptors, and lives for milliseconds.
 */
#ifndef FAASD_OS_HELPER_H
#define FAASD_OS_HELPER_H

#include "base/err.h"

#include <stdint.h>
#include <sys/types.h>

struct helper {
    const char *what; /* for errors: "the child that ..."; borrowed */
    int in;           /* its answers; -1 when it was not started */
    int pidfd;
    uint64_t deadline_ns;
};

/* `run` is called in the child with the pipe's other end, and the child ends when it returns. Every signal is blocked there. */
int helper_start(struct helper *h, unsigned timeout_ms, void (*run)(void *owner, int out), void *owner, struct err *e);
/* Blocks until all of it has come: -EIO when the child is dead before, -ETIMEDOUT after the time that it has for all its answers together. */
int helper_read(struct helper *h, void *out, size_t n, struct err *e);
void helper_end(struct helper *h); /* whatever it does; then it is reaped */

/* In the child, or in any process of one thread: ends with who started it, can be traced by nobody, gains nothing by execve, is an ordinary user, `id`, without groups or capabilities. With id 0, for who
 * has no other: without capabilities. */
int helper_give_up_power(uint32_t id, struct err *e);

#endif
