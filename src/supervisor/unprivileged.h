/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process of faasd's without power: this program executed anew, as another user, without capabilities on the host, with the descriptors it is given and no other, no
 * memory of this process's, and this process's death its own.
 */
#ifndef FAASD_SUPERVISOR_UNPRIVILEGED_H
#define FAASD_SUPERVISOR_UNPRIVILEGED_H

#include "base/err.h"

#include <stdint.h>
#include <sys/types.h>

enum { UNPRIVILEGED_FDS_MAX = 48 };

/* Everything the child needs, gathered before the fork. */
struct unprivileged_plan {
    const char *name;              /* argv[0], by which main() knows it */
    int fds[UNPRIVILEGED_FDS_MAX]; /* borrowed: what becomes fd 3 and on; 0 is /dev/null, 1 and 2 stay */
    unsigned count;                /* with 0, 1 and 2; room for one more */
    uid_t uid;
    gid_t gid;
    uint64_t kept; /* CAPS_BIT(): capabilities that it keeps, of the user namespace that `enter` goes to; 0 = none */
    void (*before)(void); /* in the child, with power still; NULL = nothing */
    int (*enter)(const void *owner,
                 struct err *e); /* in the child, with power still, its descriptors in place; NULL = nothing */
    const void *owner;           /* borrowed */
};

/* `program`: this program's descriptor. Its pidfd, CLOEXEC, or -errno. */
int unprivileged_start(struct unprivileged_plan *p, int program, pid_t *ret_pid, struct err *e);

#endif
