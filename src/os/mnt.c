/* SPDX-License-Identifier: Apache-2.0 */
#include "os/mnt.h"

#include "base/fdio.h"

#include <assert.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/syscall.h>

/* mount(2) and mount_setattr(2) number these alike, so one value serves both. */
static_assert(MOUNT_ATTR_RDONLY == MS_RDONLY && MOUNT_ATTR_NOSUID == MS_NOSUID && MOUNT_ATTR_NODEV == MS_NODEV &&
                  MOUNT_ATTR_NOEXEC == MS_NOEXEC,
              "mount attributes and mount flags differ");

int mnt_clone_tree(int dirfd, const char *path, uint64_t attributes, struct err *e)
{
    const char *shown = path[0] ? path : "an open directory";
    unsigned empty = path[0] ? 0 : AT_EMPTY_PATH;
    scoped_fd fd = open_tree(dirfd, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE | empty);
    if (fd < 0)
        return err_set(e, errno, "clone the mount of '%s'", shown);
    struct mount_attr attr = {.attr_set = attributes, .propagation = MS_PRIVATE};
    if (mount_setattr(fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)) < 0)
        return err_set(e, errno, "set attributes 0x%llx on the mount of '%s'", (unsigned long long)attributes, shown);
    return fd_take(&fd);
}

int mnt_clone_root(struct err *e)
{
    int fd = open_tree(AT_FDCWD, "/", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
    return fd < 0 ? err_set(e, errno, "clone the root") : fd;
}

static int open_nofollow(const char *path)
{
    struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
    long fd;
    do /* EAGAIN: a rename or mount elsewhere raced with the walk */
        fd = syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));
    while (fd < 0 && (errno == EAGAIN || errno == EINTR));
    return (int)fd;
}

int mnt_open_path(const char *path, struct err *e)
{
    int fd = open_nofollow(path);
    if (fd < 0)
        return err_set(e, errno, "open '%s' without following links", path);
    return fd;
}

int mnt_attach(int tree_fd, const char *target, struct err *e)
{
    scoped_fd point = open_nofollow(target);
    if (point < 0)
        return err_set(e, errno, "open mount point '%s'", target);
    if (move_mount(tree_fd, "", point, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
        return err_set(e, errno, "attach a mount at '%s'", target);
    return 0;
}

int mnt_bind(const char *source, const char *target, struct err *e)
{
    if (mount(source, target, NULL, MS_BIND | MS_REC, NULL) < 0)
        return err_set(e, errno, "bind '%s' on '%s'", source, target);
    return 0;
}

int mnt_tmpfs(const char *target, uint64_t attributes, const char *options, struct err *e)
{
    if (mount("tmpfs", target, "tmpfs", attributes, options) < 0)
        return err_set(e, errno, "mount tmpfs on '%s' (%s)", target, options);
    return 0;
}

int mnt_proc(const char *target, uint64_t attributes, struct err *e)
{
    if (mount("proc", target, "proc", attributes, "subset=pid,hidepid=invisible") < 0)
        return err_set(e, errno, "mount proc on '%s'", target);
    return 0;
}

int mnt_set_attributes(const char *target, uint64_t attributes, struct err *e)
{
    struct mount_attr attr = {.attr_set = attributes};
    if (mount_setattr(AT_FDCWD, target, 0, &attr, sizeof(attr)) < 0)
        return err_set(e, errno, "set attributes 0x%llx on the mount at '%s'", (unsigned long long)attributes, target);
    return 0;
}

/* Entering the mount namespace one is in moves the process to its very root, out of a chroot: there alone is "/" sure to be a mount. */
static int enter_own_root(struct err *e)
{
    scoped_fd own = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
    if (own < 0)
        return err_set(e, errno, "open '/proc/self/ns/mnt'");
    if (setns(own, CLONE_NEWNS) < 0)
        return err_set(e, errno, "move to the root of the mount namespace");
    return 0;
}

int mnt_make_private(struct err *e)
{
    scoped_fd root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    scoped_fd cwd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root < 0 || cwd < 0)
        return err_set(e, errno, "open '/' and the working directory");
    int r = enter_own_root(e);
    if (r < 0)
        return r;
    struct mount_attr attr = {.propagation = MS_PRIVATE};
    if (mount_setattr(AT_FDCWD, "/", AT_RECURSIVE, &attr, sizeof(attr)) < 0)
        return err_set(e, errno, "make the mounts private");
    if (fchdir(root) < 0 || chroot(".") < 0 || fchdir(cwd) < 0)
        return err_set(e, errno, "return to '/'");
    return 0;
}

int mnt_leave_chroot(struct err *e)
{
    scoped_fd cwd = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (cwd < 0)
        return err_set(e, errno, "open the working directory");
    int r = enter_own_root(e);
    if (r < 0)
        return r;
    if (fchdir(cwd) < 0)
        return err_set(e, errno, "return to the working directory");
    return 0;
}

int mnt_pivot(struct err *e)
{
    if (syscall(SYS_pivot_root, ".", ".") < 0)
        return err_set(e, errno, "pivot_root (an initramfs as the host's root cannot be pivoted: switch_root first)");
    /* The old root now lies over the new one at the same place: "." is the old one. */
    if (umount2(".", MNT_DETACH) < 0)
        return err_set(e, errno, "detach the old root");
    if (chdir("/") < 0)
        return err_set(e, errno, "chdir to the new root");
    return 0;
}
