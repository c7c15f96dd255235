/* SPDX-License-Identifier: Apache-2.0 */
/* Kernel keyrings (keyrings(7)): they belong to no namespace, so a process keeps its maker's unless it joins a fresh one. Async-signal-safe. */
#ifndef FAASD_OS_KEYRING_H
#define FAASD_OS_KEYRING_H

#include "base/err.h"

/* A new, empty, anonymous session keyring, charged to the caller's uid. 0 also where the kernel has no keys. */
int keyring_join_fresh(struct err *e);

#endif
