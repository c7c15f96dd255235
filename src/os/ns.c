/* SPDX-License-Identifier: Apache-2.0 */
#include "os/ns.h"

#include "base/fdio.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>

pid_t ns_clone(uint64_t flags, int cgroup_fd, int *ret_pidfd)
{
    int pidfd = -1;
    struct clone_args args = {
        .flags = flags | CLONE_PIDFD | CLONE_CLEAR_SIGHAND,
        .pidfd = (uint64_t)(uintptr_t)&pidfd,
        .exit_signal = SIGCHLD,
    };
    if (cgroup_fd >= 0) {
        args.flags |= CLONE_INTO_CGROUP;
        args.cgroup = (unsigned)cgroup_fd;
    }
    long pid = syscall(SYS_clone3, &args, sizeof(args));
    if (pid < 0)
        return -errno;
    if (pid > 0)
        *ret_pidfd = pidfd;
    return (pid_t)pid;
}

int ns_unshare(uint64_t flags, struct err *e)
{
    if (unshare((int)flags) < 0)
        return err_set(e, errno, "unshare namespaces 0x%llx", (unsigned long long)flags);
    return 0;
}

int ns_home_open(struct ns_home *h, struct err *e)
{
    h->root_fd = -1;
    h->mount_fd = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
    if (h->mount_fd < 0)
        return err_set(e, errno, "open '/proc/self/ns/mnt'");
    h->root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (h->root_fd < 0) {
        err_set(e, errno, "open '/'");
        ns_home_close(h);
        return -e->code;
    }
    return 0;
}

void ns_home_close(struct ns_home *h)
{
    fd_close(&h->mount_fd);
    fd_close(&h->root_fd);
}

int ns_enter_mount(int mount_fd, int *ret_cwd, struct err *e)
{
    scoped_fd cwd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (cwd < 0)
        return err_set(e, errno, "open the working directory");
    if (setns(mount_fd, CLONE_NEWNS) < 0)
        return err_set(e, errno, "enter the base tree's mount namespace");
    *ret_cwd = fd_take(&cwd);
    return 0;
}

void ns_home_return(const struct ns_home *h, int *cwd)
{
    if (setns(h->mount_fd, CLONE_NEWNS) < 0 || fchdir(h->root_fd) < 0 || chroot(".") < 0 || fchdir(*cwd) < 0)
        abort();
    fd_close(cwd);
}
