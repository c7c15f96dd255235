/* SPDX-License-Identifier: Apache-2.0 */
/* Part of `faasd dev`: one deploy to its private daemon after another, and what came of each. */
#ifndef FAASD_CMD_DEV_DEPLOY_H
#define FAASD_CMD_DEV_DEPLOY_H

#include "cmd/settings_flags.h"

struct dev_deploy {
    const char *socket; /* borrowed: the daemon's control.sock */
    const char *name;   /* borrowed: the function's */
    const char *path;   /* borrowed: what is served */
    struct settings_flags *flags;
    uint64_t serving; /* the version that serves; 0: none yet */
    unsigned attempts;
    bool is_followed; /* its log is printed: what a function that does not start says stands there already */
};

/* Sends the path as it is now. What is wrong with it is said on stderr and is no failure: the version before goes on serving. `changed` names what changed,
 * empty for the first time; since_ns (CLOCK_MONOTONIC): when it did. -errno: the daemon can't be reached. */
int dev_deploy(struct dev_deploy *d, const char *changed, uint64_t since_ns, struct err *e);

#endif
