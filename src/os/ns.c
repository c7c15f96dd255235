/* SPDX-License-Identifier: Apache-2.0 */
#include "os/ns.h"

#include "base/fdio.h"
#include "base/fmt.h"
#include "os/idmap.h"
#include "os/pidfd.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>

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

pid_t ns_fork(int *ret_pidfd)
{
    sigset_t all, before;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    pid_t pid = fork();
    int error = errno;
    if (pid == 0)
        return 0;
    sigprocmask(SIG_SETMASK, &before, NULL);
    if (pid < 0)
        return -error;
    *ret_pidfd = pidfd_open(pid, 0);
    if (*ret_pidfd >= 0)
        return pid;
    error = errno;
    kill(pid, SIGKILL); /* ours and not reaped: the pid can't be another's */
    waitpid(pid, NULL, 0);
    return -error;
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

enum { HOME_TRIES = 200 }; /* a millisecond apart */

/* The kernel may lack memory for a moment. A supervisor that stays where a sandbox belongs must not go on: then everything ends with it. */
static void wait_for_home(unsigned *tries)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    if (++*tries == HOME_TRIES)
        abort();
    nanosleep(&pause, NULL);
}

void ns_home_return(const struct ns_home *h, int *cwd)
{
    unsigned tries = 0;
    while (setns(h->mount_fd, CLONE_NEWNS) < 0 || fchdir(h->root_fd) < 0 || chroot(".") < 0 || fchdir(*cwd) < 0)
        wait_for_home(&tries);
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
    unsigned tries = 0;
    while (setns(h->network_fd, CLONE_NEWNET) < 0)
        wait_for_home(&tries);
}

/* ---- a network namespace of another user namespace ---- */

static int open_of(pid_t pid, const char *kind, struct err *e)
{
    char path[48];
    fmt_to(path, sizeof(path), "/proc/%d/ns/%s", pid, kind);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? err_set(e, errno, "open '%s'", path) : fd;
}

int ns_make_owned_network(const struct idmap *m, int *ret_user, int *ret_network, struct err *e)
{
    scoped_fd pidfd = -1;
    pid_t parent = getpid(), pid = ns_clone(CLONE_NEWUSER | CLONE_NEWNET, -1, &pidfd);
    if (pid < 0)
        return err_set(e, -pid, "make a user and a network namespace");
    if (pid == 0) { /* until it is killed, or its parent */
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent)
            for (;;)
                pause();
        _exit(0);
    }
    int r = idmap_write(pid, m, e);
    scoped_fd user = r < 0 ? -1 : open_of(pid, "user", e);
    scoped_fd network = user < 0 ? -1 : open_of(pid, "net", e);
    pidfd_end(pidfd);
    if (network < 0)
        return -e->code;
    *ret_user = fd_take(&user);
    *ret_network = fd_take(&network);
    return 0;
}

int ns_check_network(int fd, int user_fd, uint64_t *ret_inode, struct err *e)
{
    struct statfs fs;
    struct stat st, owner_st, user_st;
    /* first what kind of file it is: a device would take the same number for something else */
    int type = fstatfs(fd, &fs) < 0 ? -1 : fs.f_type == NSFS_MAGIC ? ioctl(fd, NS_GET_NSTYPE) : 0;
    if (type != CLONE_NEWNET && (type >= 0 || errno == EBADF)) /* one that is only a path */
        return err_say(e, EPERM, "what should be a network namespace is none");
    scoped_fd owner = type < 0 ? -1 : ioctl(fd, NS_GET_USERNS);
    if (owner < 0 || fstat(owner, &owner_st) < 0 || fstat(user_fd, &user_st) < 0 || fstat(fd, &st) < 0)
        return err_set(e, errno, "look at a network namespace");
    if (owner_st.st_ino != user_st.st_ino || owner_st.st_dev != user_st.st_dev)
        return err_say(e, EPERM, "a network namespace belongs to somebody else");
    *ret_inode = st.st_ino;
    return 0;
}
