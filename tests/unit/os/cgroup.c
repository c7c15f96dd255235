/* SPDX-License-Identifier: Apache-2.0 */
/* os/cgroup against the host's own hierarchies, v1, hybrid or v2: the header promises the same for all. */
#include "os/cgroup.h"

#include "base/fdio.h"
#include "base/fmt.h"
#include "os/cgroup_internal.h"
#include "os/ns.h"
#include "os/pidfd.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include <cmocka.h>

enum { MEMORY_BYTES = 16 * 1024 * 1024, WAIT_MS = 10000 };

static const struct cgroup_limits limits = {
    .memory_bytes = MEMORY_BYTES, .pids = 8, .cpus_milli = 500, .cpu_weight = 200};
static struct cgroup_tree *tree;
static char tree_name[64];

/* By what the kernel says of it now. */
static int verify_member(const struct cgroup *g, pid_t pid, struct err *e)
{
    char path[48], text[8192];
    fmt_to(path, sizeof(path), "/proc/%d/cgroup", pid);
    ssize_t n = fd_read_file_at(AT_FDCWD, path, text, sizeof(text), e);
    return n < 0 ? (int)n : cgroup_verify_member(g, pid, text, e);
}

static int open_tree_once(void **state)
{
    (void)state;
    struct err e;
    fmt_to(tree_name, sizeof(tree_name), "faasd-unit-%d", getpid());
    if (geteuid() != 0)
        return 0;
    return cgroup_tree_open(&tree, tree_name, &e);
}

static int close_tree(void **state)
{
    (void)state;
    cgroup_tree_close(tree, true);
    return 0;
}

static void need_tree(void)
{
    if (!tree) {
        print_message("skipped: making control groups needs root\n");
        skip();
    }
}

static void remove_group(struct cgroup *g)
{
    int r;
    while ((r = cgroup_remove(g)) == -EBUSY)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    assert_int_equal(r, 0);
}

/* A process in the group, as a sandbox's child gets there: cloned into it, and by its own hand on v1. */
static pid_t start_member(struct cgroup *g, void (*body)(void), int *ret_pidfd)
{
    int tasks[CGROUP_TASKS_MAX];
    unsigned count;
    struct err e;
    assert_int_equal(cgroup_open_tasks(g, tasks, &count, &e), 0);
    pid_t pid = ns_clone(0, cgroup_tree_has_clone_into(tree) ? cgroup_clone_fd(g) : -1, ret_pidfd);
    if (pid == 0) {
        for (unsigned i = 0; i < count; i++)
            if (write(tasks[i], "0", 1) != 1)
                _exit(99);
        body();
        _exit(0);
    }
    assert_true(pid > 0);
    cgroup_close_tasks(tasks, count);
    cgroup_settle(g);
    assert_int_equal(cgroup_clone_fd(g), -1);
    return pid;
}

static void sleep_for_ever(void)
{
    for (;;)
        pause();
}

static void use_too_much_memory(void)
{
    for (size_t n = 0; n < 8 * (size_t)MEMORY_BYTES; n += 4096) {
        char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (page != MAP_FAILED)
            memset(page, 1, 4096);
    }
}

static void fork_too_often(void)
{
    for (unsigned i = 0; i < 20; i++)
        if (fork() == 0)
            sleep_for_ever();
    sleep_for_ever();
}

static void controllers_are_parsed_from_any_list(void **state)
{
    (void)state;
    assert_int_equal(cgroup_parse_controllers("cpuset cpu io memory hugetlb pids\n"),
                     CGROUP_BIT(CGROUP_CPUSET) | CGROUP_BIT(CGROUP_CPU) | CGROUP_BIT(CGROUP_MEMORY) |
                         CGROUP_BIT(CGROUP_PIDS));
    assert_int_equal(cgroup_parse_controllers("rw,cpu,cpuacct"), CGROUP_BIT(CGROUP_CPU) | CGROUP_BIT(CGROUP_CPUACCT));
    assert_int_equal(cgroup_parse_controllers("name=systemd"), 0);
    assert_int_equal(cgroup_parse_controllers(""), 0);
}

static void a_new_group_has_its_limits(void **state)
{
    (void)state;
    need_tree();
    struct cgroup *g;
    struct err e;
    assert_int_equal(cgroup_create(tree, "limits", &limits, &g, &e), 0);
    const struct cgroup_v1_tree *v1 = cgroup_tree_v1(tree, CGROUP_MEMORY);
    if (v1) {
        assert_int_equal(cgroup_read_number(v1->fd, "limits", "memory.limit_in_bytes"), MEMORY_BYTES);
        if (cgroup_has_file(v1->fd, "limits", "memory.kmem.tcp.limit_in_bytes"))
            assert_int_equal(cgroup_read_number(v1->fd, "limits", "memory.kmem.tcp.limit_in_bytes"), MEMORY_BYTES / 4);
        assert_int_equal(cgroup_read_number(cgroup_tree_v1(tree, CGROUP_PIDS)->fd, "limits", "pids.max"), 8);
        assert_int_equal(cgroup_read_number(cgroup_tree_v1(tree, CGROUP_CPU)->fd, "limits", "cpu.cfs_quota_us"), 50000);
        assert_int_equal(cgroup_read_number(cgroup_tree_v1(tree, CGROUP_CPU)->fd, "limits", "cpu.shares"), 2048);
    } else {
        char text[64];
        assert_int_equal(cgroup_read_number(tree->v2.fd, "limits", "memory.max"), MEMORY_BYTES);
        assert_int_equal(cgroup_read_number(tree->v2.fd, "limits", "memory.oom.group"), 1);
        assert_int_equal(cgroup_read_number(tree->v2.fd, "limits", "pids.max"), 8);
        assert_int_equal(cgroup_read_number(tree->v2.fd, "limits", "cpu.weight"), 200);
        assert_true(cgroup_read(tree->v2.fd, "limits", "cpu.max", text, sizeof(text)) > 0);
        assert_string_equal(text, "50000 100000\n");
    }
    struct cgroup *twice;
    assert_int_equal(cgroup_create(tree, "limits", &limits, &twice, &e), -EEXIST);
    assert_int_equal(cgroup_remove(g), 0);
}

static void a_member_is_verified_and_killed(void **state)
{
    (void)state;
    need_tree();
    struct cgroup *g;
    struct err e;
    int pidfd = -1, status;
    assert_int_equal(cgroup_create(tree, "member", &limits, &g, &e), 0);
    pid_t pid = start_member(g, sleep_for_ever, &pidfd);
    int r;
    while ((r = verify_member(g, pid, &e)) == -EPERM && !pidfd_is_dead(pidfd))
        sched_yield(); /* until it has moved itself */
    assert_int_equal(r, 0);
    assert_int_equal(verify_member(g, getpid(), &e), -EPERM);
    assert_int_equal(cgroup_remove(g), -EBUSY);
    assert_int_equal(cgroup_kill(g, &e), 0);
    assert_int_equal(pidfd_reap(pidfd, true, &status), 1);
    assert_int_equal(status, SIGKILL);
    close(pidfd);
    remove_group(g);
}

static void memory_over_the_limit_is_told(void **state)
{
    (void)state;
    need_tree();
    struct cgroup *g;
    struct err e;
    bool priority;
    int pidfd = -1, status;
    assert_int_equal(cgroup_create(tree, "oom", &limits, &g, &e), 0);
    int fd = cgroup_oom_fd(g, &priority);
    assert_true(fd >= 0);
    assert_false(cgroup_oom_fd_tell(g));
    start_member(g, use_too_much_memory, &pidfd);
    bool told = false;
    struct pollfd p = {.fd = fd, .events = priority ? POLLPRI : POLLIN};
    while (!told && poll(&p, 1, WAIT_MS) == 1)
        told = cgroup_oom_fd_tell(g);
    assert_true(told);
    assert_int_equal(pidfd_reap(pidfd, true, &status), 1);
    assert_int_equal(status, SIGKILL);
    struct cgroup_usage usage;
    cgroup_read_usage(g, &usage);
    assert_true(usage.oom_kills >= 1);
    assert_in_range(usage.memory_peak_bytes, MEMORY_BYTES / 2, MEMORY_BYTES);
    assert_true(usage.cpu_ns > 0);
    close(pidfd);
    remove_group(g);
}

static void forks_over_the_limit_are_counted(void **state)
{
    (void)state;
    need_tree();
    struct cgroup *g;
    struct err e;
    int pidfd = -1, status;
    assert_int_equal(cgroup_create(tree, "forks", &limits, &g, &e), 0);
    start_member(g, fork_too_often, &pidfd);
    struct cgroup_usage usage = {0};
    for (unsigned i = 0; i < WAIT_MS && usage.pids_denied == 0; i++) {
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        cgroup_read_usage(g, &usage);
    }
    assert_true(usage.pids_denied > 0);
    assert_int_equal(cgroup_kill(g, &e), 0);
    assert_int_equal(pidfd_reap(pidfd, true, &status), 1);
    close(pidfd);
    remove_group(g);
}

static void a_sweep_kills_and_removes_what_was_left(void **state)
{
    (void)state;
    need_tree();
    struct cgroup *left, *empty;
    struct cgroup_tree *again;
    struct err e;
    int pidfd = -1, status;
    assert_int_equal(cgroup_create(tree, "left", &limits, &left, &e), 0);
    assert_int_equal(cgroup_create(tree, "empty", &limits, &empty, &e), 0);
    start_member(left, sleep_for_ever, &pidfd);
    assert_int_equal(cgroup_tree_open(&again, tree_name, &e), 0);
    assert_int_equal(cgroup_tree_sweep(again, &e), 2);
    assert_int_equal(cgroup_tree_sweep(again, &e), 0);
    cgroup_tree_close(again, false);
    assert_int_equal(pidfd_reap(pidfd, true, &status), 1);
    assert_int_equal(status, SIGKILL);
    close(pidfd);
    assert_int_equal(cgroup_remove(left), 0); /* gone already: what is left is memory */
    assert_int_equal(cgroup_remove(empty), 0);
}

/* Whether a directory is there in each hierarchy that a start without special limits uses: `v1` and `unified` are its names. */
static bool stands(const char *v1, const char *unified, bool anywhere)
{
    unsigned wanted = 0, found = 0;
    for (unsigned i = 0; i < tree->v1_count; i++)
        if (cgroup_v1_is_wanted(&tree->v1[i], &limits)) {
            wanted++;
            found += cgroup_has_file(tree->v1[i].fd, v1, "cgroup.procs");
        }
    if (tree->v2.fd >= 0) {
        wanted++;
        found += cgroup_has_file(tree->v2.fd, unified, "cgroup.procs");
    }
    return anywhere ? found > 0 : found == wanted;
}

static bool needs_stock(void)
{
    if (!cgroup_tree_is_v2(tree))
        return true;
    assert_true(cgroup_tree_has_stock(tree)); /* none: nobody may rename a group there */
    print_message("nothing is made ahead where limits are v2's\n");
    return false;
}

static void a_group_made_ahead_is_limited_named_used_and_removed_as_any(void **state)
{
    (void)state;
    need_tree();
    struct cgroup *g, *next, *third;
    struct err e;
    int pidfd = -1, status;
    if (!needs_stock())
        return;
    for (unsigned i = 0; i < CGROUP_AHEAD_MAX; i++) {
        assert_false(cgroup_tree_has_stock(tree));
        assert_int_equal(cgroup_tree_make_stock(tree, &e), 0);
    }
    assert_true(cgroup_tree_has_stock(tree));
    assert_true(stands("ahead.0", "ahead.0", false) && stands("ahead.1", "ahead.1", false));

    assert_int_equal(cgroup_create_clonable(tree, "taken", &limits, &g, &e), 0);
    assert_int_equal(cgroup_create_rest(g, &limits, &e), 0);
    int memory = cgroup_tree_v1(tree, CGROUP_MEMORY)->fd;
    assert_int_equal(cgroup_read_number(memory, "ahead.1", "memory.limit_in_bytes"), MEMORY_BYTES);
    assert_int_equal(cgroup_read_number(cgroup_tree_v1(tree, CGROUP_PIDS)->fd, "ahead.1", "pids.max"), 8);
    pid_t pid = start_member(g, sleep_for_ever, &pidfd);
    assert_int_equal(cgroup_name(g, &e), 0);
    assert_int_equal(cgroup_name(g, &e), 0); /* nothing is left to do */
    assert_true(stands("taken", "ahead.1", false));
    assert_false(cgroup_has_file(memory, "ahead.1", "tasks"));
    assert_int_equal(cgroup_read_number(memory, "taken", "memory.limit_in_bytes"), MEMORY_BYTES);
    int r;
    while ((r = verify_member(g, pid, &e)) == -EPERM && !pidfd_is_dead(pidfd))
        sched_yield();
    assert_int_equal(r, 0);
    assert_false(cgroup_is_empty(g));

    /* Two sandboxes never get the same; without a stock each is made anew. */
    assert_int_equal(cgroup_create(tree, "next", &limits, &next, &e), 0);
    assert_int_equal(cgroup_create(tree, "third", &limits, &third, &e), 0);
    assert_true(stands("ahead.0", "ahead.0", false) && stands("third", "third", false));
    assert_int_equal(cgroup_remove(next), 0); /* one that nobody has named */
    assert_int_equal(cgroup_remove(third), 0);
    assert_false(stands("ahead.0", "ahead.0", true));

    if (tree->has_freeze) {
        assert_int_equal(cgroup_freeze(g, true, &e), 0);
        assert_int_equal(cgroup_freeze(g, false, &e), 0);
    }
    assert_int_equal(cgroup_kill(g, &e), 0);
    assert_int_equal(pidfd_reap(pidfd, true, &status), 1);
    assert_int_equal(status, SIGKILL);
    close(pidfd);
    remove_group(g);
    assert_false(stands("taken", "ahead.1", true));
}

static void a_group_whose_name_is_taken_is_refused_and_removed(void **state)
{
    (void)state;
    need_tree();
    struct cgroup *first, *second;
    struct err e;
    if (!needs_stock())
        return;
    assert_int_equal(cgroup_create(tree, "same", &limits, &first, &e), 0);
    assert_int_equal(cgroup_tree_make_stock(tree, &e), 0);
    assert_int_equal(cgroup_create(tree, "same", &limits, &second, &e), 0);
    assert_int_equal(cgroup_name(second, &e), -EEXIST);
    assert_non_null(strstr(e.text, "'same'"));
    assert_int_equal(cgroup_remove(second), 0);
    assert_true(stands("same", "same", false)); /* whoever had it before has it still */
    assert_int_equal(cgroup_remove(first), 0);
}

static void what_was_made_ahead_is_swept_and_goes_with_its_tree(void **state)
{
    (void)state;
    need_tree();
    struct cgroup_tree *other;
    struct cgroup *g;
    struct err e;
    char name[96];
    if (!needs_stock())
        return;
    /* as a killed daemon left it: one in use, one not */
    assert_int_equal(cgroup_tree_make_stock(tree, &e), 0);
    assert_int_equal(cgroup_create(tree, "used", &limits, &g, &e), 0);
    assert_int_equal(cgroup_name(g, &e), 0);
    assert_int_equal(cgroup_tree_make_stock(tree, &e), 0);
    assert_int_equal(cgroup_tree_open(&other, tree_name, &e), 0);
    assert_int_equal(cgroup_tree_sweep(other, &e), 1); /* sandbox */
    for (unsigned i = 0; i < 16; i++) {
        fmt_to(name, sizeof(name), "ahead.%u", i);
        assert_false(stands("used", name, true) || stands(name, name, true));
    }
    cgroup_tree_close(other, false);
    assert_int_equal(cgroup_remove(g), 0);
    cgroup_discard_ahead(tree);

    fmt_to(name, sizeof(name), "%s-other", tree_name);
    assert_int_equal(cgroup_tree_open(&other, name, &e), 0);
    assert_int_equal(cgroup_tree_make_stock(other, &e), 0);
    cgroup_tree_close(other, true);
    for (unsigned i = 0; i < tree->v1_count; i++)
        assert_false(cgroup_has_file(tree->v1[i].parent_fd, name, "cgroup.procs"));
    if (tree->v2.fd >= 0)
        assert_false(cgroup_has_file(tree->v2.parent_fd, name, "cgroup.procs"));
}

static void a_survey_agrees_with_the_tree_and_leaves_nothing(void **state)
{
    (void)state;
    need_tree();
    struct cgroup_survey s;
    cgroup_survey(&s);
    for (enum cgroup_controller c = 0; c < CGROUP_CONTROLLERS; c++)
        assert_int_equal(s.has[c], cgroup_tree_has(tree, c));
    assert_int_equal(s.kill, cgroup_tree_has_kill(tree));
    assert_int_equal(s.freeze, cgroup_tree_has_freeze(tree));
    char name[64];
    fmt_to(name, sizeof(name), "faasd-survey-%d", getpid());
    for (unsigned i = 0; i < tree->v1_count; i++)
        assert_false(cgroup_has_file(tree->v1[i].parent_fd, name, "cgroup.procs"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(controllers_are_parsed_from_any_list),
        cmocka_unit_test(a_new_group_has_its_limits),
        cmocka_unit_test(a_member_is_verified_and_killed),
        cmocka_unit_test(memory_over_the_limit_is_told),
        cmocka_unit_test(forks_over_the_limit_are_counted),
        cmocka_unit_test(a_sweep_kills_and_removes_what_was_left),
        cmocka_unit_test(a_group_made_ahead_is_limited_named_used_and_removed_as_any),
        cmocka_unit_test(a_group_whose_name_is_taken_is_refused_and_removed),
        cmocka_unit_test(what_was_made_ahead_is_swept_and_goes_with_its_tree),
        cmocka_unit_test(a_survey_agrees_with_the_tree_and_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, open_tree_once, close_tree);
}
