/* SPDX-License-Identifier: Apache-2.0 */
/* What a forked child does between fork(2) and its READY; inside the library only. */
#ifndef FAASD_FUNCTION_CHILD_H
#define FAASD_FUNCTION_CHILD_H

#include "faasd/frame.h"

enum { CHILD_TEXT_MAX = 256 };

struct fork_order {
    struct faasd_fork body;
    int fds
        [FAASD_FORK_FDS_MAX +
         1]; /* the child's socket, then the files by which it joins its groups; one more shows that there are too many */
    unsigned fd_count;
};

/* Once in the template: what children need to know and can't ask for less. */
void faasd_child_prepare(void);

/* All its descriptors; it has none afterwards. */
void faasd_child_close_order(struct fork_order *order);

/* 0: *ret_log_fd is the read end of what stdout and stderr are now, still to be sent. -1: `text` says what failed; *ret_log_fd is -1 or as above. In
 * either case FAASD_FRAME_FD is the child's socket and the other descriptors of the order are closed. */
int faasd_child_become(struct fork_order *order, int *ret_log_fd, char text[CHILD_TEXT_MAX]);

/* The hooks of faasd_after_fork(), in order. 0, or -1 and `text`. */
int faasd_child_run_hooks(char text[CHILD_TEXT_MAX]);

#endif
