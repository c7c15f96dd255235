/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network process (network/) and the resolver (resolver/) as child processes: started when the first function with network egress is, and again when one dies. They
 * speak with each other by a socket of their own; of the resolver only its end is seen here.
 *
 *   network, resolver   moved on by                                                                    guarded by
 *   both absent         network_process_demand -> both there                                           -
 *   both there          the resolver's exit -> it is missing; the network process's, a message that    none: they last as long as the way out
 *                       is none, one it does not take, an answer that is late -> both are missing
 *   missing             timer -> both there; after NETWORK_HOPELESS_DEATHS of the network process in   timer: network_process_pause_ms(), again and again
 *                       a row those that wait are refused, and who asks meanwhile
 *
 * What a dead network process leaves stands in the kernel: connections that are open stay open, nothing new is let through that was not before. The next one
 * takes the router's namespace over, begins with an empty filter and is told of all instances. Names have to be asked for again.
 */
#ifndef FAASD_SUPERVISOR_NETWORK_PROCESS_H
#define FAASD_SUPERVISOR_NETWORK_PROCESS_H

#include "base/err.h"

#include <ev.h>
#include <stdint.h>
#include <sys/types.h>

struct egress;
struct network_header;

enum {
    NETWORK_PAUSE_MS = 500,      /* before the next start, and twice as long with each death in a row, */
    NETWORK_DEATHS_MAX = 7,      /* up to 64 s */
    NETWORK_QUICK_MS = 1000,     /* one that has lived so long begins a new row */
    NETWORK_HOPELESS_DEATHS = 3, /* in a row: nobody waits for the next one any more */
    NETWORK_BATCH = 8,           /* messages of one loop turn */
    NETWORK_QUEUE_BYTES =
        32 << 20, /* of messages that were not taken: every instance's, once more than the most there can be */
};

struct network_child {
    struct network_process *process;
    const char *name;
    pid_t pid;
    int pidfd; /* owned; -1: it is not there */
    ev_io on_exit;
};

struct network_process {
    struct egress *egress;
    struct network_child network, resolver;
    unsigned quick_deaths; /* of the network process alone, in a row */
    uint64_t started_ns;   /* the same one's, monotonic */
    int link;              /* owned: to the network process */
    uint32_t uid;          /* the resolver's own, of the instances'; 0: it has none */
    ev_io on_message;
    ev_timer timer; /* runs while one of them is missing */
};

void network_process_init(struct network_process *p, struct egress *g);
/* They are there, or soon will be; -errno when they can't be started, or so many have died in a row that nobody is to wait for the next. */
int network_process_demand(struct network_process *p, struct err *e);
/* What it was told at its start is not true any more: it ends, and another one is started where there are instances. */
void network_process_renew(struct network_process *p);
void network_process_close(struct network_process *p);

/* How many died in a row with one more that has lived so long, and the pause that follows. */
unsigned network_process_count_death(unsigned quick_deaths, uint64_t lived_ms);
unsigned network_process_pause_ms(unsigned quick_deaths);

/* fd: goes with it, borrowed; -1 = none. Nothing while it is not there: it is told of all when it starts. */
void network_process_send(struct network_process *p, const struct network_header *m, int fd);
void network_process_replace(struct network_process *p, const char *why); /* it is not to be trusted any more */

#endif
