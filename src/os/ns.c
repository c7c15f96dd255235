/* SPDX-License-Identifier: Apache-2.0 */
#include "os/ns.h"

#include "base/fdio.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>

static const char own_network[] = "/proc/self/ns/net";

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
    const struct {
        int *fd;
        const char *path;
        int flags;
    } parts[] = {{&h->mount_fd, "/proc/self/ns/mnt", O_RDONLY},
                 {&h->network_fd, own_network, O_RDONLY},
                 {&h->root_fd, "/", O_PATH | O_DIRECTORY}};
    const unsigned count = sizeof(parts) / sizeof(parts[0]);
    for (unsigned i = 0; i < count; i++)
        *parts[i].fd = -1;
    for (unsigned i = 0; i < count; i++) {
        *parts[i].fd = open(parts[i].path, parts[i].flags | O_CLOEXEC);
        if (*parts[i].fd < 0) {
            err_set(e, errno, "open '%s'", parts[i].path);
            ns_home_close(h);
            return -e->code;
        }
    }
    return 0;
}

void ns_home_close(struct ns_home *h)
{
    fd_close(&h->mount_fd);
    fd_close(&h->network_fd);
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

int ns_make_network(const struct ns_home *h, struct err *e)
{
    if (unshare(CLONE_NEWNET) < 0)
        return err_set(e, errno, "make a network namespace");
    int fd = open(own_network, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        err_set(e, errno, "open '%s'", own_network);
        ns_home_return_network(h);
        return -e->code;
    }
    return fd;
}

int ns_enter_network(int network_fd, struct err *e)
{
    return setns(network_fd, CLONE_NEWNET) < 0 ? err_set(e, errno, "enter a network namespace made ahead") : 0;
}

void ns_home_return_network(const struct ns_home *h)
{
    if (setns(h->network_fd, CLONE_NEWNET) < 0)
        abort();
}
