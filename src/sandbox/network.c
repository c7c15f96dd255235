/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/network.h"

#include "base/fdio.h"
#include "os/netif.h"

#include <assert.h>

bool network_stock_is_full(const struct network_stock *n)
{
    return n->count == NETWORK_STOCK_MAX;
}

/* lo comes up here: the namespace is the supervisor's, so nobody inside of a sandbox will have the right to it. */
int network_stock_add(struct network_stock *n, const struct ns_home *home, struct err *e)
{
    assert(!network_stock_is_full(n));
    scoped_fd fd = ns_make_network(home, e);
    if (fd < 0)
        return fd;
    int r = netif_loopback_up(e);
    ns_home_return_network(home);
    if (r == 0)
        n->fd[n->count++] = fd_take(&fd);
    return r;
}

int network_stock_take(struct network_stock *n)
{
    return n->count ? n->fd[--n->count] : -1;
}

void network_stock_fini(struct network_stock *n)
{
    while (n->count)
        fd_close(&n->fd[--n->count]);
}
