/* SPDX-License-Identifier: Apache-2.0 */
/* Network interfaces (netdevice(7)). Async-signal-safe. */
#ifndef FAASD_OS_NETIF_H
#define FAASD_OS_NETIF_H

#include "base/err.h"

/* In the caller's network namespace. */
int netif_loopback_up(struct err *e);
int netif_loopback_down(struct err *e);

#endif
