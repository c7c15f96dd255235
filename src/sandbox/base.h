/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of struct sandbox_base, for spawn.c and verify.c. */
#ifndef FAASD_SANDBOX_BASE_H
#define FAASD_SANDBOX_BASE_H

#include "os/ns.h"
#include "sandbox/network.h"
#include "sandbox/plan.h"
#include "sandbox/profile.h"

struct sandbox_base {
    struct feature_set features;
    uint32_t code_owner;
    struct plan plan;    /* how the tree was built */
    struct ns_home home; /* where the supervisor lives */
    int tree_fd;         /* the mount namespace whose root the tree is; owned, as are the next three */
    int init_fd;         /* sealed memfd */
    int self_fd;
    int memfd_noexec_fd; /* /proc/sys/vm/memfd_noexec; -1 where the kernel has none */
    struct network_stock networks;
    struct seccomp_program filters[PROFILE_COUNT];
    uint64_t always[2][PROFILE_CALL_WORDS]; /* what is on every list of learned calls: of a function, of a template */
};

#endif
