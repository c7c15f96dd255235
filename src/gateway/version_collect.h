/* SPDX-License-Identifier: Apache-2.0 */
/* Old versions go (CONTRACT 5, "kept versions"): asked for when $LATEST or an alias has moved. */
#ifndef FAASD_GATEWAY_VERSION_COLLECT_H
#define FAASD_GATEWAY_VERSION_COLLECT_H

#include "gateway/registry.h"

/* Writes down when its versions were used last, drops what nothing keeps any more, and has the trees collected that nobody needs then. Failures are logged: the next
 * change of the function tries again. */
void version_collect(struct gateway *g, struct function *f);

#endif
