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
    PROFILE_STRICT, /* native code that computes: no sockets, no other files' execution, no more than PROFILE_STRICT_CALLS_MAX calls */
    PROFILE_LEARNING, /* the default, told call by call */
    PROFILE_LEARNING_TEMPLATE,
    PROFILE_COUNT
};

enum { PROFILE_STRICT_CALLS_MAX = 45 };

struct profile_options {
    bool memfd_denied; /* the host has no vm.memfd_noexec: memfd_create answers ENOSYS */
};

int profile_build(enum profile p, const struct profile_options *o, struct seccomp_program *ret_program, struct err *e);

/*
 * Profiles that are listened to: what they take from the default is told (SECCOMP_TELL) and answered by the gateway (gateway/notices.h): denied in `strict` and `learned`, let go on in `learning`. Never told, and
 * always there, is what the sandbox's set-up and init themselves do.
 */
enum { PROFILE_CALL_WORDS = SECCOMP_CALL_WORDS };
/* `learned` is the default, or a template's, behind a filter of a function's list (seccomp_attach_calls). These are on every list: init's, and a template's children's. */
void profile_add_always(bool for_template, uint64_t calls[PROFILE_CALL_WORDS]);

/*
 * Executing in `strict`. A filter can't count, and what a pointer points at it can't see, so "once, by init" is said by a key: execveat(2) has five arguments, the kernel
 * ignores the register of a sixth, the filter compares it. Each sandbox gets a key of its own, 64 random bits, which only its set-up and its init know: init
 * can't be traced or read, shows it nowhere, and execve(2) clears the registers and the memory of what init starts.
 */
#define PROFILE_EXEC_PLACEHOLDER UINT64_C(0x5ea1ed0fca11ab1e)
int profile_seal(const struct seccomp_program *strict, uint64_t *ret_key, struct seccomp_program *ret_program,
                 struct err *e);

const char *profile_name(enum profile p); /* "strict" */
bool profile_find(const char *name, enum profile *ret_profile);
/* How many system calls of this architecture some row allows. */
unsigned profile_count_calls(enum profile p);

/* The table, for docs, `faasd check --system-calls` and the K1 sweep. */
const struct seccomp_rule *profile_rules(enum profile p, size_t *ret_count);

#endif
