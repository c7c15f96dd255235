/* SPDX-License-Identifier: Apache-2.0 */
/* Live sandboxes with the real init and the real filter, looked at from outside. */
#include "live.h"

#include "os/caps.h"
#include "sandbox/network.h"

#include <dirent.h>
#include <linux/capability.h>
#include <linux/nsfs.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

enum { ROUNDS = 200 };

static void a_sandbox_is_what_was_planned(void **state)
{
    (void)state;
    need_base();
    struct sandbox_spec spec = plain_spec();
    struct err e;
    struct sandbox s = start(&spec);
    if (sandbox_verify(base, &spec, &s, &e) < 0)
        fail_msg("%s", e.text);
    assert_int_equal(look(&s, "/var/task"), 0);
    assert_int_equal(look(&s, "/usr/bin/env"), 0);
    assert_int_equal(look(&s, "/etc/passwd"), 0);
    assert_int_equal(look(&s, "/dev/null"), 0);
    assert_int_equal(look(&s, "/etc/shadow"), ENOENT);
    assert_int_equal(look(&s, "/root"), ENOENT);
    assert_int_equal(look(&s, "/sys"), ENOENT);
    assert_int_equal(look(&s, "/proc/sys"), ENOENT);
    assert_int_equal(look(&s, "/dev/tty"), ENOENT);
    assert_int_equal(look(&s, dir), ENOENT);
    assert_int_equal(stop(&s), SIGKILL);
}

static void secrets_are_there_and_part_of_what_is_checked(void **state)
{
    (void)state;
    need_base();
    struct sandbox_spec without = plain_spec(), with = plain_spec();
    struct err e;
    uint8_t value[5000];
    memset(value, 'v', sizeof(value));
    without.name = "other"; /* both live at one time */
    with.secret_count = 2;
    with.secrets[0] = (struct sandbox_secret){.file = "db", .bytes = value, .size = sizeof(value)};
    with.secrets[1] = (struct sandbox_secret){.file = "x.key", .bytes = value, .size = 1};
    struct sandbox s = start(&with), plain = start(&without);
    assert_int_equal(value[4999], 'v'); /* the child wipes its own copy, the caller this one */
    assert_int_equal(look(&s, "/run/secrets/db"), 0);
    assert_int_equal(look(&s, "/run/secrets/x.key"), 0);
    assert_int_equal(look(&plain, "/run/secrets"), 0);
    assert_int_equal(look(&plain, "/run/secrets/db"), ENOENT);
    with.secrets[0].bytes = with.secrets[1].bytes = NULL;
    if (sandbox_verify(base, &with, &s, &e) < 0)
        fail_msg("%s", e.text);
    assert_int_equal(sandbox_verify(base, &without, &s, &e), -EPERM);
    assert_non_null(strstr(e.text, "/run/secrets"));
    assert_int_equal(sandbox_verify(base, &with, &plain, &e), -EPERM);
    assert_non_null(strstr(e.text, "/run/secrets"));
    stop(&s);
    stop(&plain);
}

static void the_check_finds_what_differs(void **state)
{
    (void)state;
    need_base();
    struct sandbox_spec spec = plain_spec(), other = spec;
    struct err e;
    struct sandbox s = start(&spec);
    other.host_uid = INSTANCE + 1;
    assert_int_equal(sandbox_verify(base, &other, &s, &e), -EPERM);
    assert_non_null(strstr(e.text, "Uid"));
    other = spec;
    other.kind = SANDBOX_DELETE;
    other.host_uid = INSTANCE;
    assert_int_equal(sandbox_verify(base, &other, &s, &e), -EPERM);
    other = spec;
    other.network_host = true;
    assert_int_equal(sandbox_verify(base, &other, &s, &e), -EPERM);
    assert_non_null(strstr(e.text, "net"));
    other = spec;
    other.tmp_exec = false;
    other.mount_count = 1;
    other.mounts[0] = (struct sandbox_mount){.source = "/usr", .target = "/data"};
    assert_int_equal(sandbox_verify(base, &other, &s, &e), -EPERM);
    /* a process that is no sandbox at all */
    struct sandbox self = s;
    self.pid = getpid();
    assert_int_equal(sandbox_verify(base, &spec, &self, &e), -EPERM);
    stop(&s);
    other = spec;
    assert_true(sandbox_verify(base, &other, &self, &e) < 0);
}

static void every_kind_starts_and_is_verified(void **state)
{
    (void)state;
    need_base();
    static const enum sandbox_kind kinds[] = {SANDBOX_FUNCTION, SANDBOX_SHELL, SANDBOX_UNPACK, SANDBOX_DELETE};
    for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        struct sandbox_spec spec = plain_spec();
        struct err e;
        spec.kind = kinds[i];
        spec.worker = kinds[i] == SANDBOX_SHELL ? SANDBOX_WORKER_PTY : SANDBOX_WORKER_NONE;
        if (kinds[i] == SANDBOX_UNPACK || kinds[i] == SANDBOX_DELETE)
            spec.host_uid = CODE_OWNER;
        struct sandbox s = start(&spec);
        if (sandbox_verify(base, &spec, &s, &e) < 0)
            fail_msg("kind %u: %s", i, e.text);
        assert_int_equal(isatty(s.worker_fd), kinds[i] == SANDBOX_SHELL);
        stop(&s);
    }
}

static void grants_appear_where_they_were_asked_for(void **state)
{
    (void)state;
    need_base();
    char path[128];
    struct err e;
    struct sandbox_spec spec = plain_spec();
    spec.mount_count = 2;
    spec.mounts[0] = (struct sandbox_mount){.source = in_dir(path, "grant"), .target = "/data/in", .writable = true};
    spec.mounts[1] = (struct sandbox_mount){.source = "/etc/passwd", .target = "/etc/real-passwd"};
    spec.device_count = 1;
    spec.devices[0] = "/dev/tty";
    struct sandbox s = start(&spec);
    if (sandbox_verify(base, &spec, &s, &e) < 0)
        fail_msg("%s", e.text);
    assert_int_equal(look(&s, "/data/in"), 0);
    assert_int_equal(look(&s, "/etc/real-passwd"), 0);
    assert_int_equal(look(&s, "/etc/passwd"), 0);
    assert_int_equal(look(&s, "/dev/tty"), 0);
    assert_int_equal(look(&s, "/dev/null"), 0);
    assert_int_equal(look(&s, "/etc/shadow"), ENOENT);
    stop(&s);
}

static void a_grant_through_a_link_or_of_the_wrong_kind_is_refused(void **state)
{
    (void)state;
    need_base();
    char path[128];
    struct err e;
    struct sandbox s;
    struct sandbox_spec spec = plain_spec();
    assert_int_equal(symlink("/etc", in_dir(path, "grant/link")), 0);
    spec.mount_count = 1;
    spec.mounts[0] = (struct sandbox_mount){.source = path, .target = "/data"};
    assert_int_equal(sandbox_spawn(base, tree, &spec, &s, &e), -ELOOP);
    assert_int_equal(unlink(path), 0);
    spec.mounts[0].source = "/dev/null";
    assert_int_equal(sandbox_spawn(base, tree, &spec, &s, &e), -EINVAL);
    spec.mount_count = 0;
    spec.device_count = 1;
    spec.devices[0] = "/dev/shm";
    assert_int_equal(sandbox_spawn(base, tree, &spec, &s, &e), -EINVAL);
    assert_non_null(strstr(e.text, "/dev/shm"));
}

static void a_failing_step_is_told_word_for_word(void **state)
{
    (void)state;
    need_base();
    struct err said, e;
    struct sandbox s;
    struct sandbox_spec spec = plain_spec();
    spec.mount_count = 1;
    spec.mounts[0] = (struct sandbox_mount){.source = "/usr", .target = "/usr/share/no-such-mount-point"};
    assert_int_equal(sandbox_spawn(base, tree, &spec, &s, &e), 0);
    assert_int_equal(wait_complete(&s, &said), -ENOENT);
    assert_non_null(strstr(said.text, "(mount)"));
    assert_non_null(strstr(said.text, "/usr/share/no-such-mount-point"));
    assert_non_null(strstr(said.text, "ENOENT"));
    struct pollfd ended = {.fd = s.pidfd, .events = POLLIN};
    assert_int_equal(poll(&ended, 1, 10000), 1); /* by itself: stop() would kill it first */
    int status = stop(&s);
    assert_int_equal(status, 127 << 8);
}

static void expect_line(const char *text, const char *line)
{
    if (!strstr(text, line))
        fail_msg("no '%s' in:\n%s", line, text);
}

/* The check is the first thing that the child does behind its last step with power (run_without_power in sandbox/child.c), so one that it fails has died there: its credentials are
 * those that it had, as long as nobody has waited for it. */
static void the_child_plans_and_does_the_rest_without_power_over_the_host(void **state)
{
    (void)state;
    need_base();
    struct err said;
    struct sandbox s;
    struct stat ours, theirs;
    struct sandbox_spec spec = plain_spec();
    char path[48], status[4096], ids[64];
    spec.slots = SANDBOX_SLOTS_MAX + 1;
    assert_int_equal(sandbox_spawn(base, tree, &spec, &s, &said), 0);
    assert_int_equal(wait_complete(&s, &said), -EINVAL);
    assert_non_null(strstr(said.text, "17 slots, at most 16"));
    struct pollfd ended = {.fd = s.pidfd, .events = POLLIN};
    assert_int_equal(poll(&ended, 1, 10000), 1);
    fmt_to(path, sizeof(path), "/proc/%d/status", s.pid);
    assert_true(fd_read_file_at(AT_FDCWD, path, status, sizeof(status), NULL) > 0);
    fmt_to(ids, sizeof(ids), "Uid:\t%d\t%d\t%d\t%d\n", CODE_OWNER, CODE_OWNER, CODE_OWNER, CODE_OWNER);
    expect_line(status, ids);
    fmt_to(ids, sizeof(ids), "Gid:\t%d\t%d\t%d\t%d\n", CODE_OWNER, CODE_OWNER, CODE_OWNER, CODE_OWNER);
    expect_line(status, ids);
    expect_line(status, "Groups:\t \n");
    expect_line(status, "CapBnd:\t0000000000040000\n");
    /* what capabilities it has are of a namespace of its own */
    fmt_to(path, sizeof(path), "/proc/%d/ns/user", s.pid);
    assert_int_equal(stat("/proc/self/ns/user", &ours), 0);
    assert_int_equal(stat(path, &theirs), 0);
    assert_true(ours.st_ino != theirs.st_ino);
    assert_int_equal(stop(&s), 127 << 8);
}

static unsigned count_entries(const char *path)
{
    unsigned n = 0;
    DIR *d = opendir(path);
    assert_non_null(d);
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

static unsigned count_lines(const char *path)
{
    static char text[1 << 18];
    unsigned n = 0;
    assert_true(fd_read_file_at(AT_FDCWD, path, text, sizeof(text), NULL) >= 0);
    for (const char *c = text; *c; c++)
        n += *c == '\n';
    return n;
}

static void many_starts_leave_nothing_behind(void **state)
{
    (void)state;
    need_base();
    struct sandbox_spec spec = plain_spec();
    struct err e;
    char cwd_before[256], cwd_after[256];
    assert_non_null(getcwd(cwd_before, sizeof(cwd_before)));
    unsigned fds = count_entries("/proc/self/fd"), mounts = count_lines("/proc/self/mountinfo");
    for (unsigned i = 0; i < ROUNDS; i++) {
        if (i % 10 < NETWORK_STOCK_MAX) /* with networks made ahead and without */
            assert_int_equal(sandbox_base_make_stock(base, &e), 0);
        struct sandbox s = start(&spec);
        assert_int_equal(stop(&s), SIGKILL);
        if (i % 10 == 0) { /* a failure half-way leaves no more */
            spec.code_dirfd = -1;
            assert_int_equal(sandbox_spawn(base, tree, &spec, &s, &e), -EBADF);
            spec.code_dirfd = code_fd;
        }
    }
    assert_int_equal(count_entries("/proc/self/fd"), fds);
    assert_int_equal(count_lines("/proc/self/mountinfo"), mounts);
    assert_non_null(getcwd(cwd_after, sizeof(cwd_after)));
    assert_string_equal(cwd_before, cwd_after);
    assert_int_equal(cgroup_tree_sweep(tree, &e), 0);
}

/* ---- networks made ahead ---- */

static void fill_stock(void)
{
    struct err e;
    for (unsigned i = 0; !sandbox_base_has_stock(base); i++) {
        assert_true(i < NETWORK_STOCK_MAX);
        assert_int_equal(sandbox_base_make_stock(base, &e), 0);
    }
}

static ino_t inode_of(int fd)
{
    struct stat st;
    assert_int_equal(fstat(fd, &st), 0);
    return st.st_ino;
}

static int open_network(pid_t pid)
{
    char path[48];
    fmt_to(path, sizeof(path), "/proc/%d/ns/net", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

static bool belongs_to_us(int network_fd)
{
    scoped_fd ours = open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC);
    scoped_fd owner = ioctl(network_fd, NS_GET_USERNS);
    assert_true(ours >= 0 && owner >= 0);
    return inode_of(ours) == inode_of(owner);
}

/* By a process of its own: the test stays where it is. */
static bool has_nothing_but_lo_up(int network_fd)
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        if (setns(network_fd, CLONE_NEWNET) < 0)
            _exit(2);
        struct if_nameindex *all = if_nameindex();
        struct ifreq r = {.ifr_name = "lo"};
        int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        bool alone = all && all[0].if_index && strcmp(all[0].if_name, "lo") == 0 && !all[1].if_index;
        _exit(alone && fd >= 0 && ioctl(fd, SIOCGIFFLAGS, &r) == 0 && r.ifr_flags & IFF_UP ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status == 0;
}

static void a_network_made_ahead_is_for_one_sandbox_and_the_next_makes_its_own(void **state)
{
    (void)state;
    need_base();
    enum { COUNT = NETWORK_STOCK_MAX + 1 };
    struct sandbox s[COUNT];
    struct err e;
    ino_t seen[COUNT];
    char name[16];
    scoped_fd home = open_network(getpid());
    fill_stock();
    for (unsigned i = 0; i < COUNT; i++) {
        struct sandbox_spec spec = plain_spec();
        fmt_to(name, sizeof(name), "net-%u", i);
        spec.name = name;
        s[i] = start(&spec);
        if (sandbox_verify(base, &spec, &s[i], &e) < 0)
            fail_msg("%u: %s", i, e.text);
        scoped_fd network = open_network(s[i].pid);
        seen[i] = inode_of(network);
        assert_int_not_equal(seen[i], inode_of(home));
        for (unsigned k = 0; k < i; k++)
            assert_int_not_equal(seen[i], seen[k]);
        assert_int_equal(belongs_to_us(network), i < NETWORK_STOCK_MAX);
        assert_true(has_nothing_but_lo_up(network));
    }
    scoped_fd after = open_network(getpid());
    assert_int_equal(inode_of(after), inode_of(home));
    for (unsigned i = 0; i < COUNT; i++)
        stop(&s[i]);
}

/* In a process of its own, which may not do all that it takes; `kept`: a capability, or -1. */
static bool refusal_leaves_everything_as_it_was(int kept)
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        struct err e;
        scoped_fd before = open_network(getpid());
        unsigned fds = count_entries("/proc/self/fd");
        if ((kept < 0 ? caps_drop_all(&e) : caps_drop_all_but(CAPS_BIT(kept), &e)) < 0)
            _exit(2);
        bool refused = sandbox_base_make_stock(base, &e) == -EPERM;
        scoped_fd after = open_network(getpid());
        bool same = inode_of(before) == inode_of(after) && count_entries("/proc/self/fd") == fds + 1;
        _exit(refused && same && !sandbox_base_has_stock(base) ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status == 0;
}

static void a_network_that_cannot_be_made_leaves_the_caller_at_home(void **state)
{
    (void)state;
    need_base();
    assert_true(refusal_leaves_everything_as_it_was(-1));            /* no namespace */
    assert_true(refusal_leaves_everything_as_it_was(CAP_SYS_ADMIN)); /* a namespace, whose lo stays down */
}

static void the_hosts_network_takes_none_that_was_made_ahead(void **state)
{
    (void)state;
    need_base();
    struct sandbox_spec spec = plain_spec();
    struct err e;
    scoped_fd home = open_network(getpid());
    fill_stock();
    spec.network_host = true;
    struct sandbox s = start(&spec);
    if (sandbox_verify(base, &spec, &s, &e) < 0)
        fail_msg("%s", e.text);
    scoped_fd network = open_network(s.pid);
    assert_int_equal(inode_of(network), inode_of(home));
    assert_true(sandbox_base_has_stock(base));
    stop(&s);
    spec.network_host = false;
    for (unsigned i = 0; i < NETWORK_STOCK_MAX; i++) { /* empty, as the other tests found it */
        s = start(&spec);
        stop(&s);
    }
}

static void a_sandbox_dies_with_the_process_that_made_it(void **state)
{
    (void)state;
    need_base();
    int out[2], status;
    assert_int_equal(pipe(out), 0);
    pid_t parent = fork();
    if (parent == 0) {
        struct sandbox_spec spec = plain_spec();
        struct sandbox s = start(&spec);
        (void)!write(out[1], &s.pid, sizeof(s.pid));
        raise(SIGKILL);
    }
    pid_t init = 0;
    assert_int_equal(fd_read_full(out[0], &init, sizeof(init)), sizeof(init));
    char path[48], text[512];
    fmt_to(path, sizeof(path), "/proc/%d/stat", init);
    for (unsigned i = 0; i < WAIT_MS && access(path, F_OK) == 0; i++) {
        if (fd_read_file_at(AT_FDCWD, path, text, sizeof(text), NULL) > 0 && strstr(text, ") Z "))
            break; /* dead; whoever inherited it reaps */
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    assert_true(access(path, F_OK) < 0 || strstr(text, ") Z "));
    assert_true(waitpid(parent, &status, 0) == parent);
    struct err e;
    assert_int_equal(cgroup_tree_sweep(tree, &e), 1);
    close(out[0]);
    close(out[1]);
}

/* As an idle instance is when its daemon is killed: what the v1 freezer holds would outlive it. */
static void a_frozen_sandbox_dies_with_the_process_that_made_it(void **state)
{
    (void)state;
    need_base();
    if (!cgroup_tree_has_freeze(tree)) {
        print_message("skipped: this host has no cgroup.freeze\n");
        skip();
    }
    int out[2], status;
    assert_int_equal(pipe(out), 0);
    pid_t parent = fork();
    if (parent == 0) {
        struct err e;
        struct sandbox_spec spec = plain_spec();
        struct sandbox s = start(&spec);
        if (cgroup_freeze(s.group, true, &e) < 0)
            s.pid = 0;
        (void)!write(out[1], &s.pid, sizeof(s.pid));
        raise(SIGKILL);
    }
    pid_t init = 0;
    assert_int_equal(fd_read_full(out[0], &init, sizeof(init)), sizeof(init));
    assert_true(init > 0);
    char path[48], text[512];
    fmt_to(path, sizeof(path), "/proc/%d/stat", init);
    bool dead = false;
    for (unsigned i = 0; i < WAIT_MS && !dead; i++) {
        dead = fd_read_file_at(AT_FDCWD, path, text, sizeof(text), NULL) < 0 || strstr(text, ") Z ");
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    assert_true(dead);
    assert_true(waitpid(parent, &status, 0) == parent);
    struct err e;
    assert_int_equal(cgroup_tree_sweep(tree, &e), 1);
    close(out[0]);
    close(out[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sandbox_is_what_was_planned),
        cmocka_unit_test(the_check_finds_what_differs),
        cmocka_unit_test(secrets_are_there_and_part_of_what_is_checked),
        cmocka_unit_test(every_kind_starts_and_is_verified),
        cmocka_unit_test(grants_appear_where_they_were_asked_for),
        cmocka_unit_test(a_grant_through_a_link_or_of_the_wrong_kind_is_refused),
        cmocka_unit_test(a_failing_step_is_told_word_for_word),
        cmocka_unit_test(the_child_plans_and_does_the_rest_without_power_over_the_host),
        cmocka_unit_test(many_starts_leave_nothing_behind),
        cmocka_unit_test(a_network_made_ahead_is_for_one_sandbox_and_the_next_makes_its_own),
        cmocka_unit_test(a_network_that_cannot_be_made_leaves_the_caller_at_home),
        cmocka_unit_test(the_hosts_network_takes_none_that_was_made_ahead),
        cmocka_unit_test(a_sandbox_dies_with_the_process_that_made_it),
        cmocka_unit_test(a_frozen_sandbox_dies_with_the_process_that_made_it),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
