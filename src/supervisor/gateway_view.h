/* SPDX-License-Identifier: Apache-2.0 */
/* The gateway's way to its files where the directories above them are closed to it: an ordinary user's home is his alone (0700), and so is what lies above a state
 * directory there, while the gateway has an id of its own. */
#ifndef FAASD_SUPERVISOR_GATEWAY_VIEW_H
#define FAASD_SUPERVISOR_GATEWAY_VIEW_H

#include "base/err.h"

#include <sys/types.h>

enum { GATEWAY_VIEW_PATHS_MAX = 4 };

/*
 * Gives this process a mount namespace in which `uid` can reach each of the directories under its own name: over the topmost one that is closed lies an empty file
 * system with nothing in it but the way. Whatever else is beneath that is out of sight, so a home's other files are out of the gateway's reach by their
 * modes and by this. Called by the child that is to become the gateway, before it does; needs power over its mount namespace. In an ordinary user's daemon alone: anywhere else it aborts.
 */
int gateway_view_make(const char *const paths[], unsigned count, uid_t uid, gid_t gid, struct err *e);

#endif
