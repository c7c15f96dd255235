/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of struct sandbox_base, for spawn.c and verify.c. */
#ifndef FAASD_SANDBOX_BASE_H
#define FAASD_SANDBOX_BASE_H

#include "os/ns.h"
#include "sandbox/network.h"
#include "sandbox/plan.h"
#include "sandbox/profile.h"

/* A function's own, kept for its next instances: making one takes a millisecond. */
enum { LEARNED_FILTERS = 16 };
struct learned_filter {
    bool for_template;
    uint64_t calls[PROFILE_CALL_WORDS];
    struct seccomp_program program; /* no code: the place is free */
};

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
    struct learned_filter learned[LEARNED_FILTERS];
    unsigned next_learned; /* whose place the next new one takes */
};

/* Borrowed until the next call. */
int sandbox_base_find_learned(struct sandbox_base *b, bool for_template, const uint64_t calls[PROFILE_CALL_WORDS],
                              const struct seccomp_program **ret_program, struct err *e);

#endif
