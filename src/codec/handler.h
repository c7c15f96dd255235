/* SPDX-License-Identifier: Apache-2.0 */
/* Can the sandbox start this file? Asked at deploy time, inside a sandbox with the functions' own base tree, so that the answer is a sentence and not ENOENT later. */
#ifndef FAASD_CODEC_HANDLER_H
#define FAASD_CODEC_HANDLER_H

#include "base/err.h"

#include <stdbool.h>

/* `handler` within the unpacked tree must lead to a regular file of the tree that is a script whose interpreter exists, or an ELF program for this
 * machine whose loader exists; "/var/task/..." means the tree. Its mode becomes 0755 (zip archives often carry none). -EINVAL with a sentence. */
int handler_check(int tree, const char *handler, struct err *e);
/* The same, and NAME.py needs no `#!` line: init gives it to the host's Python. */
int handler_check_bare_python(int tree, const char *handler, struct err *e);

/* Does `path` within the tree name a regular file that starts as programs do? */
bool handler_is_likely(int tree, const char *path);

#endif
