/* SPDX-License-Identifier: Apache-2.0 */
/* Where a daemon can be reached over TCP, for the lines that say what to try next. */
#ifndef FAASD_CMD_LISTENER_H
#define FAASD_CMD_LISTENER_H

#include "cmd/client.h"

/* The first TCP address that the daemon listens on, "127.0.0.1:8080"; "" when there is none or it can't be asked. */
void listener_find(const struct client_target *target, char *out, size_t cap);

#endif
