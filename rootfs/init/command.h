/* SPDX-License-Identifier: Apache-2.0 */
/* One command from the gateway: received, checked, and laid out for execve(2). */
#ifndef FAASD_INIT_COMMAND_H
#define FAASD_INIT_COMMAND_H

#include "sandbox/init_protocol.h"

struct command {
    uint32_t type; /* INIT_START, INIT_EXEC, or INIT_STOP, which has nothing of the rest */
    uint32_t flags;
    uint64_t request;
    int fd;                  /* EXEC: stdin, START: the worker's fd 3; -1: none came. The receiver's to close */
    const char *const *argv; /* both NULL-terminated, valid until the next command_receive */
    const char *const *envp;
};

/* Waits for the next command. 1, 0 when the other side closed, or a negative errno; -EPROTO for a record that is not exact. */
int command_receive(int control_fd, struct command *ret_command);

#endif
