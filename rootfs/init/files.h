/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The contract `files`: the program finds its event in one file of /tmp and leaves its reply in another. They are plain files, because a program (or a child
 * of it, whose descriptors are others) may open them by name as often as it likes, seek, truncate, or replace them: no pipe and no descriptor under
 * /proc/self/fd bears all of that. The price is one copy of the event within the kernel; the reply is passed on without one.
 */
#ifndef FAASD_INIT_FILES_H
#define FAASD_INIT_FILES_H

/* Writes the event, the whole file behind `event_fd` (-1: empty), to INIT_FILE_REQ. 0 or a negative errno: -ENOSPC when /tmp is too small. */
long files_offer(int event_fd);

/* After the last process of the request is dead: writes what INIT_FILE_RES holds, nothing when there is no such file, to `out_fd`. 0 or a negative
 * errno: -EINVAL for anything but a regular file. */
long files_collect(int out_fd);

/* Takes both away. */
void files_remove(void);

#endif
