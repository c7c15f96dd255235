/* SPDX-License-Identifier: Apache-2.0 */
/* Resource limits (getrlimit(2)). Async-signal-safe. */
#ifndef FAASD_OS_RLIMIT_H
#define FAASD_OS_RLIMIT_H

#include "base/err.h"

#include <stdint.h>

/* Soft and hard limit of RLIMIT_x to `value`, or to the present hard limit where that is lower and may not be raised. */
int rlimit_set(int resource, uint64_t value, struct err *e);
const char *rlimit_name(int resource); /* "NOFILE" */

#endif
