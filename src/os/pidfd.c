/* SPDX-License-Identifier: Apache-2.0 */
#include "os/pidfd.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <sys/pidfd.h>
#include <sys/wait.h>

int pidfd_kill(int pidfd)
{
    if (pidfd_send_signal(pidfd, SIGKILL, NULL, 0) < 0 && errno != ESRCH)
        return -errno;
    return 0;
}

bool pidfd_is_dead(int pidfd)
{
    struct pollfd p = {.fd = pidfd, .events = POLLIN};
    return poll(&p, 1, 0) == 1;
}

/* waitid tells code and status apart; waitpid's macros want them packed as the kernel's wait4 does. */
static int status_pack(const siginfo_t *info)
{
    if (info->si_code == CLD_EXITED)
        return (info->si_status & 0xff) << 8;
    return (info->si_status & 0x7f) | (info->si_code == CLD_DUMPED ? 0x80 : 0);
}

int pidfd_reap(int pidfd, bool block, int *ret_status)
{
    siginfo_t info = {.si_pid = 0};
    int r;
    do
        r = waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED | (block ? 0 : WNOHANG));
    while (r < 0 && errno == EINTR);
    if (r < 0)
        return -errno;
    if (info.si_pid == 0)
        return 0;
    *ret_status = status_pack(&info);
    return 1;
}
