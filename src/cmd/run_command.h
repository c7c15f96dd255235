/* SPDX-License-Identifier: Apache-2.0 */
/* `faasd run -- CMD ARGS...`: which file is meant, and what its output says about how it ended. */
#ifndef FAASD_CMD_RUN_COMMAND_H
#define FAASD_CMD_RUN_COMMAND_H

#include "base/err.h"
#include "base/str.h"

#include <limits.h>
#include <stdbool.h>

enum { RUN_MARK_MAX = 64 };

/* The wrapper's file name in /var/task: the function's handler. */
#define RUN_WRAPPER "faasd-command"

struct run_command {
    char *const *argv;      /* borrowed */
    char program[PATH_MAX]; /* absolute, as the sandbox sees it; or the local file to send */
    bool local;             /* send it */
    char mark[RUN_MARK_MAX];
};

/* Without a slash: looked for in /usr/local/bin, /usr/bin, /bin and their sbin. With one: a path under /usr, /bin,
 * /sbin or /lib is the sandbox's own, anything else is a file to send. -ENOENT and -EACCES with a sentence. */
int run_command_find(struct run_command *c, char *const *argv, struct err *e);

/* Cuts "\n<mark> <status>\n" off the output. False when it is not there: the command took its shell with it. */
bool run_command_read_status(const struct run_command *c, struct str *output, int *ret_status);

/* "exited with status 3", "was killed by SIGSEGV" */
void run_command_describe(int status, char *out, size_t cap);

#endif
