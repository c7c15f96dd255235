/* SPDX-License-Identifier: Apache-2.0 */
/* The id maps of a user namespace (user_namespaces(7)): which ids inside are which on the host, the same for users and groups. */
#ifndef FAASD_OS_IDMAP_H
#define FAASD_OS_IDMAP_H

#include "base/err.h"

#include <stdint.h>
#include <sys/types.h>

enum { IDMAP_RANGES_MAX = 2, IDMAP_TEXT_MAX = 80 };

struct idmap_entry {
    uint32_t inside;
    uint32_t outside;
};

struct idmap {
    unsigned count;
    struct idmap_entry entries[IDMAP_RANGES_MAX]; /* one id each */
};

/* "0 200001 1\n1000 200002 1\n" */
void idmap_format(const struct idmap *m, char out[IDMAP_TEXT_MAX]);

/* Writes both maps of `pid`, an unreaped child in a new user namespace; the caller holds CAP_SETUID and CAP_SETGID outside. */
int idmap_write(pid_t pid, const struct idmap *m, struct err *e);

#endif
