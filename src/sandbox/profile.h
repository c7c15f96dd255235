/* SPDX-License-Identifier: Apache-2.0 */
/* The seccomp profiles of sandboxes: which system calls exist inside, each with its reason (docs/ARCHITECTURE.md). */
#ifndef FAASD_SANDBOX_PROFILE_H
#define FAASD_SANDBOX_PROFILE_H

#include "os/seccomp.h"

#include <stdbool.h>

enum profile {
    PROFILE_DEFAULT,
    PROFILE_SHELL,    /* default plus the terminal ioctls */
    PROFILE_TEMPLATE, /* default plus what a child needs to enter its own root and to narrow itself */
    PROFILE_COUNT
};

struct profile_options {
    bool memfd_denied; /* the host has no vm.memfd_noexec: memfd_create answers ENOSYS */
};

int profile_build(enum profile p, const struct profile_options *o, struct seccomp_program *ret_program, struct err *e);

/* The table, for docs, `faasd run --plan` and the K1 sweep. */
const struct seccomp_rule *profile_rules(enum profile p, size_t *ret_count);

#endif
