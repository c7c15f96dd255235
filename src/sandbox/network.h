/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Network namespaces made ahead: empty but for lo, which is up. Making one is the longest single step of a start (0.3 ms). Each is for one sandbox and never
 * used again. They are descriptors and nothing else: no name, no mount, so they are gone with the process, however it ends.
 */
#ifndef FAASD_SANDBOX_NETWORK_H
#define FAASD_SANDBOX_NETWORK_H

#include "os/ns.h"

#include <stdbool.h>

enum {
    NETWORK_STOCK_MAX = 2
}; /* a request and the instance beside it; a volley's others make their own, on all cores at once */

struct network_stock {
    unsigned count;
    int fd[NETWORK_STOCK_MAX]; /* owned */
};

bool network_stock_is_full(const struct network_stock *n);
/* One more; 0, or -errno and the stock as it was. Only when it is not full. */
int network_stock_add(struct network_stock *n, const struct ns_home *home, struct err *e);
int network_stock_take(struct network_stock *n); /* the caller's, or -1: there is none */
void network_stock_fini(struct network_stock *n);

#endif
