/* SPDX-License-Identifier: Apache-2.0 */
/* The process as it must be before anything is opened or forked (L8), and the host as it must be before anything is served (L9). */
#ifndef FAASD_SUPERVISOR_HYGIENE_H
#define FAASD_SUPERVISOR_HYGIENE_H

#include "sandbox/feature.h"

/* Descriptors 0-2 exist, of the others only keep_fd (-1 = none); signals, umask, working directory and limits are known. Whatever
 * started us may have left any of them odd. */
int hygiene_apply(int keep_fd, struct err *e);

/* Logs what is missing and what is lost. -ENOTSUP when a required feature is, or another one without allow_degraded. */
int hygiene_demand_features(const struct feature_set *f, bool allow_degraded, struct err *e);

#endif
