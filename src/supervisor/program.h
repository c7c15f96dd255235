/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The faasd program as unpackers and deleters are shown it: a copy in state/ (run/ is often mounted noexec), because a file that a package upgrade has replaced can't be
 * mounted any more (attaching a mount of a deleted file gives ENOENT), and the new one may be another release.
 */
#ifndef FAASD_SUPERVISOR_PROGRAM_H
#define FAASD_SUPERVISOR_PROGRAM_H

#include "base/err.h"

/* Copies the running program to state/program. Returns an O_PATH descriptor of the copy, or -errno. */
int program_keep(int state_fd, struct err *e);
void program_discard(int state_fd); /* at a clean end; one that stays is replaced by the next start */

#endif
