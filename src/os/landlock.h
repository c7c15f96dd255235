/* SPDX-License-Identifier: Apache-2.0 */
/* Landlock (landlock(7)): a second layer over the mount namespace and the filter. Everything here is async-signal-safe. */
#ifndef FAASD_OS_LANDLOCK_H
#define FAASD_OS_LANDLOCK_H

#include "base/err.h"

#include <stdbool.h>

enum landlock_right {
    LANDLOCK_RIGHT_READ = 1,
    LANDLOCK_RIGHT_EXECUTE = 2,
    LANDLOCK_RIGHT_WRITE = 4 /* files and directories beneath: create, remove, write, truncate */
};

struct landlock_path {
    const char *path; /* missing ones are skipped */
    unsigned rights;  /* enum landlock_right */
};

struct landlock_spec {
    const struct landlock_path *paths;
    unsigned path_count;
    bool deny_tcp; /* ABI >= 4: no bind, no connect */
    bool scope;    /* ABI >= 6: no signals to, no abstract sockets of, processes outside */
};

int landlock_abi(void); /* 0 = the kernel has none */

/* Restricts this thread and its descendants as far as the ABI goes; no_new_privs must be set. 0 also when the ABI is 0. */
int landlock_restrict(const struct landlock_spec *s, struct err *e);

#endif
