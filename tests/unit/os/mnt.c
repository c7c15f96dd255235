/* SPDX-License-Identifier: Apache-2.0 */
/* os/mnt and os/ns, in a child with a mount namespace of its own. */
#include "os/mnt.h"

#include "base/fdio.h"
#include "base/fmt.h"
#include "os/ns.h"
#include "os/pidfd.h"

#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <cmocka.h>

static char scratch[] = "/tmp/faasd-unit-mnt-XXXXXX";

static int make_scratch(void **state)
{
    (void)state;
    return mkdtemp(scratch) ? 0 : -1;
}

static int remove_scratch(void **state)
{
    (void)state;
    return rmdir(scratch);
}

static int in_child(int (*body)(struct err *e))
{
    int pidfd = -1, status = 0;
    if (geteuid() != 0) {
        print_message("skipped: mounting needs root\n");
        skip();
    }
    pid_t pid = ns_clone(CLONE_NEWNS, -1, &pidfd);
    if (pid == 0) {
        struct err e = {0};
        int r = mnt_make_private(&e) < 0 || chdir(scratch) < 0 ? 100 : body(&e);
        if (r)
            fd_write_full(STDERR_FILENO, e.text, strlen(e.text));
        _exit(r);
    }
    assert_true(pid > 0);
    assert_int_equal(pidfd_reap(pidfd, true, &status), 1);
    close(pidfd);
    return status;
}

static int can_write(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    close(fd);
    return 0;
}

static int clone_read_only(struct err *e)
{
    if (mnt_tmpfs(scratch, MOUNT_ATTR_NOSUID, "size=1m", e) < 0 || chdir(scratch) < 0 || mkdir("from", 0755) < 0 ||
        mkdir("to", 0755) < 0)
        return 1;
    if (mnt_tmpfs("from", 0, "size=1m", e) < 0 || mkdir("from/sub", 0755) < 0 ||
        mnt_tmpfs("from/sub", 0, "size=1m", e) < 0)
        return 2;
    int tree = mnt_clone_tree(AT_FDCWD, "from", MOUNT_ATTR_RDONLY, e);
    if (tree < 0 || mnt_attach(tree, "to", e) < 0)
        return 3;
    if (can_write("from/a") != 0 || can_write("from/sub/a") != 0)
        return 4;
    return can_write("to/b") == -EROFS && can_write("to/sub/b") == -EROFS ? 0 : 5;
}

static void a_cloned_tree_is_read_only_down_to_its_submounts(void **state)
{
    (void)state;
    assert_int_equal(in_child(clone_read_only), 0);
}

static int attach_through_link(struct err *e)
{
    if (mnt_tmpfs(scratch, 0, "size=1m", e) < 0 || chdir(scratch) < 0 || mkdir("real", 0755) < 0 ||
        symlink("real", "link") < 0)
        return 1;
    int tree = mnt_clone_tree(AT_FDCWD, "/usr", MOUNT_ATTR_RDONLY, e);
    if (tree < 0)
        return 2;
    struct err refused;
    if (mnt_attach(tree, "link", &refused) != -ELOOP || mnt_open_path("link/x", &refused) != -ELOOP)
        return 3;
    return mnt_attach(tree, "real", e) == 0 && access("real/bin", F_OK) == 0 ? 0 : 4;
}

static void nothing_is_mounted_through_a_symbolic_link(void **state)
{
    (void)state;
    assert_int_equal(in_child(attach_through_link), 0);
}

static int pivot_from_chroot(struct err *e)
{
    if (mnt_tmpfs(scratch, 0, "size=1m", e) < 0 || chdir(scratch) < 0 || mkdir("jail", 0755) < 0 ||
        mkdir("jail/proc", 0755) < 0 || mnt_bind("/proc", "jail/proc", e) < 0 || mkdir("next", 0755) < 0 ||
        mnt_tmpfs("next", 0, "size=1m", e) < 0)
        return 1;
    if (chdir("next") < 0 || can_write("mark") != 0 || chroot("../jail") < 0 || mnt_leave_chroot(e) < 0 ||
        mnt_pivot(e) < 0)
        return 2;
    return access("/mark", F_OK) == 0 && access("/usr", F_OK) < 0 && access("/proc", F_OK) < 0 ? 0 : 3;
}

static void pivot_leaves_nothing_of_the_old_root_even_from_a_chroot(void **state)
{
    (void)state;
    assert_int_equal(in_child(pivot_from_chroot), 0);
}

/* A process that stays in a mount namespace whose root is a tmpfs with one file. */
static pid_t make_other(const int hold[2], int *ret_pidfd, struct err *e)
{
    pid_t pid = ns_clone(CLONE_NEWNS, -1, ret_pidfd);
    if (pid != 0)
        return pid;
    char byte;
    close(hold[1]); /* it stays as long as its maker holds the other end */
    if (mnt_tmpfs(scratch, 0, "size=1m", e) < 0 || chdir(scratch) < 0 || can_write("theirs") != 0 || mnt_pivot(e) < 0)
        _exit(1);
    (void)!read(hold[0], &byte, 1);
    _exit(0);
}

static int visit(struct err *e)
{
    struct ns_home home;
    int cwd, pidfd = -1, hold[2];
    char path[48], where[64];
    if (pipe2(hold, O_CLOEXEC) < 0)
        return 1;
    pid_t pid = make_other(hold, &pidfd, e);
    fmt_to(path, sizeof(path), "/proc/%d/root/theirs", pid);
    while (access(path, F_OK) < 0 && !pidfd_is_dead(pidfd))
        sched_yield();
    fmt_to(path, sizeof(path), "/proc/%d/ns/mnt", pid);
    scoped_fd other = open(path, O_RDONLY | O_CLOEXEC);
    /* home with a chroot: the descriptors are taken outside of it, as it has no /proc */
    if (other < 0 || ns_home_open(&home, e) < 0 || chroot("/usr") < 0 || chdir("/bin") < 0)
        return 2;
    fd_close(&home.root_fd);
    home.root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (ns_enter_mount(other, &cwd, e) < 0 || access("/theirs", F_OK) < 0 || access("/bin", F_OK) == 0)
        return 3;
    ns_home_return(&home, &cwd);
    ns_home_close(&home);
    pidfd_kill(pidfd);
    if (access("/theirs", F_OK) == 0 || access("/usr", F_OK) == 0 || access("/bin/env", F_OK) < 0)
        return 4;
    return getcwd(where, sizeof(where)) && strcmp(where, "/bin") == 0 ? 0 : 5;
}

static void a_visit_to_another_mount_namespace_ends_at_home(void **state)
{
    (void)state;
    assert_int_equal(in_child(visit), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cloned_tree_is_read_only_down_to_its_submounts),
        cmocka_unit_test(nothing_is_mounted_through_a_symbolic_link),
        cmocka_unit_test(pivot_leaves_nothing_of_the_old_root_even_from_a_chroot),
        cmocka_unit_test(a_visit_to_another_mount_namespace_ends_at_home),
    };
    return cmocka_run_group_tests(tests, make_scratch, remove_scratch);
}
