/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration and the host's accounts, read in a short-lived child without power: the supervisor itself parses neither JSON nor passwd. */
#ifndef FAASD_SUPERVISOR_CONFIGURATION_H
#define FAASD_SUPERVISOR_CONFIGURATION_H

#include "supervisor/supervisor.h"

#include <sys/types.h>

/* Who the gateway is and who may connect. */
struct accounts {
    uid_t gateway_uid; /* user faasd, or the first id of the configured range */
    gid_t gateway_gid;
    gid_t control_gid; /* group faasd, or root's */
    gid_t invoke_gid;  /* invoke_group, or root's */
    bool has_control_group;
};

/* Flags are laid over the files and the whole is checked. Blocks for as long as the child parses, at most CONFIGURATION_TIMEOUT_MS. */
enum { CONFIGURATION_TIMEOUT_MS = 5000 };
int configuration_load(const struct supervisor_options *o, struct config *ret_config, struct accounts *ret_accounts,
                       struct err *e);

/* The same at a start: logs which FAASD_ variables mean nothing, unless the daemon is quiet. */
int configuration_load_first(const struct supervisor_options *o, struct config *ret_config,
                             struct accounts *ret_accounts, struct err *e);

/* What a reload can't change in a running daemon: copied from `running` into `fresh`. */
void configuration_keep_fixed(struct config *fresh, const struct config *running);

#endif
