/* SPDX-License-Identifier: Apache-2.0 */
/* Giving capabilities up for good (capabilities(7)). Async-signal-safe. */
#ifndef FAASD_OS_CAPS_H
#define FAASD_OS_CAPS_H

#include "base/err.h"

/* Empties the bounding and the ambient set and locks the secure bits, so that no execve and no uid 0 brings one back. Needs CAP_SETPCAP,
 * so before caps_drop_all. */
int caps_drop_bounding(struct err *e);

/* Empties permitted, effective and inheritable. */
int caps_drop_all(struct err *e);

/* The same but for one, which stays permitted and effective (and dies at the next execve). */
int caps_drop_all_but(unsigned capability, struct err *e);

/* -EPERM when permitted, effective or inheritable is not empty. */
int caps_check_none(struct err *e);

#endif
