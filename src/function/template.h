/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The template: a worker that has run its init and from then on only forks (docs/PROTOCOL.md, "Templates"); inside the library only.
 * It reads nothing but FORK frames of fixed size and runs no more of the user's code, so nothing that a request does can reach it.
 */
#ifndef FAASD_FUNCTION_TEMPLATE_H
#define FAASD_FUNCTION_TEMPLATE_H

#include "faasd/frame.h"

#include <stdbool.h>

enum { TEMPLATE_TEXT_MAX = 256 };

/* faasd asked for one (FAASD_TEMPLATE=yes). */
bool faasd_template_is_wanted(void);

/* After init: "yes", or into `text` why this process can't be forked. */
const char *faasd_template_answer(char text[TEMPLATE_TEXT_MAX]);

enum template_outcome {
    TEMPLATE_BROKEN = -1, /* said why */
    TEMPLATE_ENDED = 0,   /* end of file */
    TEMPLATE_CHILD = 1,   /* this is a forked child: it has said READY on FAASD_FRAME_FD */
    TEMPLATE_REQUEST =
        2, /* faasd's first frame is no FORK, *ret_head is its head, already read: this process is to serve by itself */
};
enum template_outcome faasd_template_serve(int fd, struct faasd_frame *ret_head);

#endif
