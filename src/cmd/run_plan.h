/* SPDX-License-Identifier: Apache-2.0 */
/* `faasd run --plan`: how the sandbox for these settings would be made on this host, step by step, without making it. */
#ifndef FAASD_CMD_RUN_PLAN_H
#define FAASD_CMD_RUN_PLAN_H

#include "cmd/settings_flags.h"
#include "supervisor/supervisor.h"

/* `path`: whose faasd.json counts, as with a deploy, where it is a directory; NULL: none. Settings that a deploy would refuse have no plan. Returns an exit
 * status. */
int run_plan_print(const struct settings_flags *flags, const struct supervisor_paths *paths, const char *path);

#endif
