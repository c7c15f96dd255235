/* SPDX-License-Identifier: Apache-2.0 */
/* A few files as a tar stream, without a directory to take them from: ustar, as POSIX pax(1) says. */
#ifndef FAASD_CMD_TAR_FILE_H
#define FAASD_CMD_TAR_FILE_H

#include "base/err.h"
#include "base/str.h"

#include <stdint.h>

/* One executable file (mode 0755) whose bytes come from `in_fd`, read to `size`; -EINVAL when the name does not fit
 * (100 bytes). */
int tar_file_add(int out_fd, const char *name, int in_fd, uint64_t size, struct err *e);
int tar_file_add_text(int out_fd, const char *name, struct str text, struct err *e);
int tar_file_end(int out_fd, struct err *e);

#endif
