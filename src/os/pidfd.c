/* SPDX-License-Identifier: Apache-2.0 */
#include "os/pidfd.h"

#include "base/fdio.h"
#include "base/fmt.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>
#include <sys/wait.h>

int pidfd_kill(int pidfd)
{
    if (pidfd_send_signal(pidfd, SIGKILL, NULL, 0) < 0 && errno != ESRCH)
        return -errno;
    return 0;
}

bool pidfd_is_reaped(int pidfd)
{
    return pidfd_send_signal(pidfd, 0, NULL, 0) < 0 && errno == ESRCH;
}

bool pidfd_is_dead(int pidfd)
{
    struct pollfd p = {.fd = pidfd, .events = POLLIN};
    return poll(&p, 1, 0) == 1;
}

void pidfd_end(int pidfd)
{
    enum { PAUSE_MS = 1 };
    struct pollfd death = {.fd = pidfd, .events = POLLIN};
    int status;
    while (pidfd >= 0 && pidfd_kill(pidfd) < 0 && poll(&death, 1, PAUSE_MS) <= 0)
        ; /* who lives on would be waited for without end */
    pidfd_reap(pidfd, true, &status);
}

/* linux/pidfd.h since 6.13, PIDFD_INFO_EXIT since 6.15; Debian 12's headers are older. */
struct pidfd_info_v0 {
    uint64_t mask;
    uint64_t cgroup;
    uint32_t ids[11];
    int32_t exit_code;
};
#define PIDFD_GET_INFO_V0  _IOWR(0xff, 11, struct pidfd_info_v0)
#define PIDFD_INFO_EXIT_V0 (1U << 3)
enum { PIDFD_INFO_RUID = 3 /* behind pid, tgid and ppid: ruid, rgid, euid, egid, suid, sgid, fsuid, fsgid */ };

int pidfd_ids_are(int pidfd, uint32_t uid, uint32_t gid)
{
    struct pidfd_info_v0 info = {.mask = 0}; /* ids come unasked */
    if (ioctl(pidfd, PIDFD_GET_INFO_V0, &info) < 0)
        return -errno;
    for (unsigned i = PIDFD_INFO_RUID; i < sizeof(info.ids) / sizeof(info.ids[0]); i += 2)
        if (info.ids[i] != uid || info.ids[i + 1] != gid)
            return 0;
    return 1;
}

/* Kept by the kernel from the moment when it is waited for. */
static bool status_of_reaped(int pidfd, int *ret_status)
{
    struct pidfd_info_v0 info = {.mask = PIDFD_INFO_EXIT_V0};
    if (ioctl(pidfd, PIDFD_GET_INFO_V0, &info) < 0 || !(info.mask & PIDFD_INFO_EXIT_V0))
        return false;
    *ret_status = info.exit_code;
    return true;
}

/* The last field of /proc/PID/stat (proc(5)), for who may trace it. */
static bool status_of_zombie(int pidfd, pid_t pid, int *ret_status)
{
    char path[40], text[1024];
    fmt_to(path, sizeof(path), "/proc/%d/stat", pid);
    ssize_t n = fd_read_file_at(AT_FDCWD, path, text, sizeof(text), NULL);
    const char *name_end = n > 0 ? strrchr(text, ')') : NULL;
    const char *last = n > 0 ? strrchr(text, ' ') : NULL;
    uint64_t status;
    struct str rest;
    if (!name_end || strncmp(name_end, ") Z ", 4) != 0 ||
        !str_to_u64(str_cut(str_from(last + 1), '\n', &rest, NULL), &status) || status > 0xffff)
        return false;
    /* still not waited for: so the number was its own while we read */
    if (pidfd_is_reaped(pidfd))
        return false;
    *ret_status = (int)status;
    return true;
}

bool pidfd_read_status(int pidfd, pid_t pid, int *ret_status)
{
    /* it may be waited for between the two looks, so the first comes again */
    return status_of_reaped(pidfd, ret_status) || status_of_zombie(pidfd, pid, ret_status) ||
           status_of_reaped(pidfd, ret_status);
}

#define PIDFD_GET_PID_NAMESPACE_V0 _IO(0xff, 5)

int pidfd_open_pid_namespace(int pidfd)
{
    int fd = ioctl(pidfd, PIDFD_GET_PID_NAMESPACE_V0, 0);
    return fd < 0 ? -errno : fd;
}

#define NS_GET_PID_IN_PIDNS_V0 _IOR(0xb7, 8, int) /* linux/nsfs.h */

int pidfd_namespace_holds(int pid_namespace, pid_t pid)
{
    if (ioctl(pid_namespace, NS_GET_PID_IN_PIDNS_V0, (unsigned long)pid) > 0)
        return 1;
    return errno == ESRCH ? 0 : -errno;
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
