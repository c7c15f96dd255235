/* SPDX-License-Identifier: Apache-2.0 */
/* One line of JSON for each request, where the key `access_log` says; off by default. Lines travel through the store's ring: nothing waits for them. */
#ifndef FAASD_GATEWAY_ACCESS_LOG_H
#define FAASD_GATEWAY_ACCESS_LOG_H

#include "gateway/exchange.h"

/* The exchange has been answered with x->status and x->sent_bytes. */
void access_log_exchange(const struct exchange *x);

#endif
