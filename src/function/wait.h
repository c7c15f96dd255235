/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waiting for the next request. Under load it is there within microseconds, and a wake-up then costs both sides more than the request itself (in a
 * virtual machine it is an interrupt through the hypervisor). So a wait that follows a short one begins with looking, and gives the processor to whoever wants it
 * between two looks. The first one that takes longer ends this: an idle worker sleeps, and costs nothing.
 */
#ifndef FAASD_FUNCTION_WAIT_H
#define FAASD_FUNCTION_WAIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* How long a wait may last to count as short, and how long is looked at most: what a lone worker wastes once after its last request. With
 * 16 connections on two cores: 30% of the echo floor's throughput without looking, 33% with 70 us, 37% with 100, 42% with 200. */
enum { WAIT_SHORT_NS = 200000 };

/* The first wait is that of who starts to serve, the second is all that a process does again which was made for one request: neither is timed, and what it
 * takes to find out about the machine comes after them. */
enum { WAIT_PLAIN = 2 };

/* So many waits later the machine is asked again: which processors a group has, whoever runs the host may change at any time. */
enum { WAIT_DECIDED_FOR = 1024 };

/* All zero to begin with. */
struct wait {
    int64_t
        short_ns; /* WAIT_SHORT_NS, or FAASD_EAGER_US of the environment; 0 = never look: where there is one processor only, looking keeps it from the others */
    unsigned plain;       /* so many of the first waits are over */
    unsigned decided_for; /* so many more waits is short_ns taken as it is */
    bool eager;           /* the last wait was short */
};

/* As read(2) on a blocking stream socket. */
ssize_t faasd_wait_receive(struct wait *w, int fd, void *to, size_t room);

#endif
