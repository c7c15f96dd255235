/* SPDX-License-Identifier: Apache-2.0 */
/* The lines of a file from the last to the first, read in blocks, so that the newest few of a long log cost one read. */
#ifndef FAASD_GATEWAY_STORE_LOG_TAIL_H
#define FAASD_GATEWAY_STORE_LOG_TAIL_H

#include "base/str.h"

#include <sys/types.h>

enum { STORE_LOG_TAIL_BLOCK = 65536 };

struct store_log_tail {
    int fd;         /* borrowed */
    off_t position; /* of data[begin] in the file */
    char *data;     /* owned */
    size_t cap;
    size_t begin, end; /* what is held: data[begin..end) */
};

/* 0 or -errno. */
int store_log_tail_open(struct store_log_tail *t, int fd);
void store_log_tail_close(struct store_log_tail *t);
/* 1: *ret_line is the line before the last one given, without its newline, valid until the next call. 0: that was all. Or -errno. Bytes behind the last newline count as a line. */
int store_log_tail_next(struct store_log_tail *t, struct str *ret_line);

#endif
