/* SPDX-License-Identifier: Apache-2.0 */
/* The writable directories of a sandbox, empty again between two programs. Only init runs when these are called. */
#ifndef FAASD_INIT_TMP_H
#define FAASD_INIT_TMP_H

#include <stdbool.h>
#include <stdint.h>

struct tmp_state {
    bool exists;
    bool empty; /* known to be; false also when the filesystem does not count its inodes */
    bool full;  /* no free block or no free inode */
    uint64_t used_bytes;
};

/* One statfs(2). */
struct tmp_state tmp_look(const char *path);

/* Removes everything beneath; what is mounted directly in it stays. 0 or a negative errno: something could not be removed. */
int tmp_empty(const char *path);

#endif
