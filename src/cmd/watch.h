/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What changes beneath a path, for `faasd dev`: a directory with all that lies in it, or one file. inotify(7), with its corners covered:
 * new and moved directories, editors that write a new file over the old one, a queue that ran over, a top that is replaced as a whole.
 * What .faasdignore names is not looked at.
 */
#ifndef FAASD_CMD_WATCH_H
#define FAASD_CMD_WATCH_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>

struct watch;

enum { WATCH_DIRECTORIES_MAX = 16384, WATCH_NAMES_BYTES_MAX = 2048 };

/* `path` is kept as a copy. -errno with a sentence: no such path, or no watches left (fs.inotify.max_user_watches). */
int watch_open(struct watch **ret_watch, const char *path, struct err *e);
void watch_close(struct watch *w); /* NULL is fine */

/* Readable when something has happened; another one after each watch_read(). -1 while the path itself is gone: ask watch_read() again from time
 * to time. */
int watch_fd(const struct watch *w);

/* Reads what has happened without waiting. 1: something that counts has changed since the last call, its names, relative to the path, added to `names`, each
 * ended by a newline and once; more than WATCH_NAMES_BYTES_MAX of them are left out. 0: nothing. -errno: it can't be watched any more. */
int watch_read(struct watch *w, struct buf *names, struct err *e);

#endif
