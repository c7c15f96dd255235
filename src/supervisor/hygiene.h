/* SPDX-License-Identifier: Apache-2.0 */
/* The process as it must be before anything is opened or forked (L8), and the host as it must be before anything is served (L9). */
#ifndef FAASD_SUPERVISOR_HYGIENE_H
#define FAASD_SUPERVISOR_HYGIENE_H

#include "sandbox/feature.h"

struct cgroup_tree;

struct hygiene_fds {
    int ready_fd;       /* -1 = none; never among the activated ones */
    unsigned activated; /* sockets of the service manager, from descriptor 3 on */
};

/* Descriptors 0-2 exist, of the others only those named; signals, umask, working directory and limits are known. Whatever
 * started us may have left any of them odd. */
int hygiene_apply(const struct hygiene_fds *keep, struct err *e);

/* Logs what is missing and what is lost. -ENOTSUP when a required feature is, or another one without allow_degraded. */
int hygiene_demand_features(const struct feature_set *f, bool allow_degraded, struct err *e);
/* The same, once the groups are open, of what the probe found and they do not have: a hierarchy that could not be opened for want of a descriptor, as a rule. Such a feature is
 * found no more. */
int hygiene_demand_groups(struct feature_set *f, const struct cgroup_tree *groups, bool allow_degraded, struct err *e);

#endif
