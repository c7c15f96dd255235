/* SPDX-License-Identifier: Apache-2.0 */
#include "os/netif.h"

#include "base/fdio.h"

#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

static int set_loopback(short flags, const char *direction, struct err *e)
{
    scoped_fd fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return err_set(e, errno, "open a socket to bring the loopback interface %s", direction);
    struct ifreq request = {.ifr_name = "lo"};
    request.ifr_flags = flags;
    if (ioctl(fd, SIOCSIFFLAGS, &request) < 0)
        return err_set(e, errno, "bring the loopback interface %s", direction);
    return 0;
}

int netif_loopback_up(struct err *e)
{
    return set_loopback(IFF_UP | IFF_RUNNING, "up", e);
}

int netif_loopback_down(struct err *e)
{
    return set_loopback(0, "down", e);
}
