/* SPDX-License-Identifier: Apache-2.0 */
/* Whether `network: egress` would work on this host: `faasd check`. */
#ifndef FAASD_CMD_CHECK_EGRESS_H
#define FAASD_CMD_CHECK_EGRESS_H

#include "sandbox/feature.h"

/* FEATURE_EGRESS by making a veth pair and the two tables in a network namespace that ends with a short-lived child, FEATURE_FORWARDING by reading the host's setting. */
void check_egress_probe(struct feature_set *set);

#endif
