/* SPDX-License-Identifier: Apache-2.0 */
/* One program: started, waited for, and everything that it left running killed. */
#ifndef FAASD_INIT_PAYLOAD_H
#define FAASD_INIT_PAYLOAD_H

#include "command.h"

#include <stdbool.h>

/* Once, before the first program: the descriptor that tells of dead children.
 * 0 or a negative errno. */
int payload_open(void);

/* What it starts is executed by this key from now on (sandbox/profile.h), by path; 0 = as anybody does. */
void payload_set_key(uint64_t key);

/* out_fd, err_fd: write ends of the program's stdout and stderr; -1 = init's own (workers). They and the command's descriptor stay the
 * caller's. Returns the child's pid or a negative errno. */
long payload_start(const struct command *c, int out_fd, int err_fd);

enum { PAYLOAD_EVERYBODY = 0 };

struct payload_control {
    int fd;
    bool listen; /* a record interrupts the wait, not only the socket's end */
};

/* Waits until the program `pid` (PAYLOAD_EVERYBODY: all that descends from init) has ended, reaping what else ends meanwhile, and fills status, error,
 * flags and usage. False when the control socket wants attention first. */
bool payload_wait(long pid, const struct payload_control *control, struct init_done *done);

/* SIGKILL to every process but init. */
void payload_kill(void);

/* Kills and reaps every process but init; adds what they used. */
void payload_kill_rest(struct init_done *done);

#endif
