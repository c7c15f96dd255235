/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whose request it is when a proxy brought it. X-Forwarded-For, -Proto and -Host are believed of those whom `trusted_proxies` names and of nobody else: anybody can write them.
 */
#ifndef FAASD_GATEWAY_FORWARDED_H
#define FAASD_GATEWAY_FORWARDED_H

#include "gateway/exchange.h"

#include <netinet/in.h>

/* Settles x->host, x->is_remote, x->is_plain and the text that x->peer points at. Costs nothing where no proxy is trusted. */
void forwarded_apply(struct exchange *x, char peer[INET6_ADDRSTRLEN]);

#endif
