/* SPDX-License-Identifier: Apache-2.0 */
/* Serving as an ordinary user: where the daemon becomes the root of a user namespace (os/userns.h), and what has to be looked at while the host's ids can still be told
 * apart. docs/ROOTLESS.md has what its users see. */
#ifndef FAASD_SUPERVISOR_ROOTLESS_H
#define FAASD_SUPERVISOR_ROOTLESS_H

#include "supervisor/supervisor.h"

/*
 * Before a command that makes sandboxes. Root, and who entered already, go on: 0. Everybody else is executed again in a namespace of his own, with the
 * same arguments.
 * Returns -errno for what would be unsafe there: in it all of the host's other users look alike, so that run and state directories and the way to
 * the configuration are judged before (`paths`; NULL: the command has none of these). Returns 0 as well when no namespace can be had: the
 * command then fails, or tells, for want of a root (feature_demand_root).
 */
int rootless_enter(const struct supervisor_paths *paths, struct err *e);

/* For private daemons, which have no directories of the user's: only the way to the configuration is judged. */
int rootless_enter_private(const struct supervisor_paths *paths, struct err *e);

#endif
