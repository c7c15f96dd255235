/* SPDX-License-Identifier: Apache-2.0 */
/* Giving capabilities up for good (capabilities(7)). Async-signal-safe. */
#ifndef FAASD_OS_CAPS_H
#define FAASD_OS_CAPS_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Sets of them: a bit each. */
#define CAPS_BIT(capability) (UINT64_C(1) << (capability))

/* Empties the bounding and the ambient set and locks the secure bits, so that no execve and no uid 0 brings one back. Needs CAP_SETPCAP,
 * so before caps_drop_all. */
int caps_drop_bounding(struct err *e);

/* The same but for those that caps_keep_across_exec is to keep: the permitted set survives the next change of ids, and the ambient set is not locked yet. */
int caps_drop_bounding_but(uint64_t kept, struct err *e);

/* Empties permitted, effective and inheritable. */
int caps_drop_all(struct err *e);

/* The same but for these, which stay permitted and effective (and die at the next execve). */
int caps_drop_all_but(uint64_t kept, struct err *e);

/* The same but for these, which stay in every set, the ambient one included, and so with every program that is executed: execve(2) with no_new_privs
 * leaves the ambient set alone. Locks the secure bits. After caps_drop_bounding_but and the change of ids. */
int caps_keep_across_exec(uint64_t kept, struct err *e);

/* Whether this process has it in its effective set. */
bool caps_has(unsigned capability);

/* -EPERM when permitted, effective or inheritable of the process (0: this one) is not empty. Ambient ones are both permitted and inheritable. */
int caps_check_none(pid_t pid, struct err *e);

#endif
