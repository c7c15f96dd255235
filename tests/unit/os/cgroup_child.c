/* SPDX-License-Identifier: Apache-2.0 */
/* Groups that children of a template join by their own hand, against the host's own hierarchies. On hybrid hosts the way of pure v2 is tried as well, on
 * the unified hierarchy: it differs by where the group lies and by which file is joined, not by what limits it. */
#include "os/cgroup.h"

#include "base/fdio.h"
#include "base/fmt.h"
#include "os/cgroup_internal.h"
#include "os/ns.h"
#include "os/pidfd.h"

#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>

enum { MEMORY_BYTES = 16 * 1024 * 1024, WAIT_MS = 10000, UID = 700011, STRANGER = 700012, JOINERS = 700013 };

static const struct cgroup_limits limits = {
    .memory_bytes = MEMORY_BYTES, .pids = 8, .cpus_milli = 500, .cpu_weight = 100};
static const struct cgroup_joiner joiner = {.uid = UID, .gid = JOINERS};
static struct cgroup_tree *tree;
static bool as_v2; /* the tree was narrowed to the unified hierarchy, see narrow_to_v2 */

/* By what the kernel says of it now. */
static int verify_member(const struct cgroup *g, pid_t pid, struct err *e)
{
    char path[48], text[8192];
    fmt_to(path, sizeof(path), "/proc/%d/cgroup", pid);
    ssize_t n = fd_read_file_at(AT_FDCWD, path, text, sizeof(text), e);
    return n < 0 ? (int)n : cgroup_verify_member(g, pid, text, e);
}

static int open_tree(void **state)
{
    (void)state;
    struct err e;
    char name[64];
    fmt_to(name, sizeof(name), "faasd-unit-child-%d", getpid());
    return geteuid() == 0 ? cgroup_tree_open(&tree, name, &e) : 0;
}

static int close_tree(void **state)
{
    (void)state;
    struct err e;
    if (tree)
        cgroup_tree_sweep(tree, &e);
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

static void pause_ms(unsigned ms)
{
    nanosleep(&(struct timespec){.tv_nsec = ms * 1000000L}, NULL);
}

static void remove_group(struct cgroup *g)
{
    int r;
    while ((r = cgroup_remove(g)) == -EBUSY)
        pause_ms(1);
    assert_int_equal(r, 0);
}

static struct cgroup *make_template(void)
{
    struct cgroup *g;
    struct err e;
    assert_true(cgroup_tree_sweep(tree, &e) >= 0); /* of a test that failed */
    if (cgroup_create(tree, "template", &limits, &g, &e) < 0)
        fail_msg("%s", e.text);
    cgroup_settle(g);
    return g;
}

static struct cgroup *make_child(const struct cgroup *template, const char *name)
{
    struct cgroup *g;
    struct err e;
    if (cgroup_create_child(template, name, &limits, &joiner, &g, &e) < 0)
        fail_msg("%s", e.text);
    return g;
}

struct join {
    int fds[CGROUP_JOIN_MAX];
    unsigned count;
};

static struct join open_join(struct cgroup *g)
{
    struct join j;
    struct err e;
    if (cgroup_open_join(g, &joiner, j.fds, &j.count, &e) < 0)
        fail_msg("%s", e.text);
    assert_true(j.count > 0);
    return j;
}

static void close_join(struct join *j)
{
    cgroup_close_tasks(j->fds, j->count);
}

static void be(uint32_t id)
{
    if (setresgid(id, id, id) < 0 || setresuid(id, id, id) < 0)
        _exit(97);
}

static bool write_all(const struct join *j, const char *text)
{
    for (unsigned i = 0; i < j->count; i++)
        if (write(j->fds[i], text, strlen(text)) < 0)
            return false;
    return true;
}

static void sleep_for_ever(void)
{
    for (;;)
        pause();
}

/* As a template's child gets there: born in the template's group, then moved by its own hand. Returns when it has joined and begun `body`. */
static pid_t start_member(struct cgroup *template, struct cgroup *g, void (*body)(void), int *ret_pidfd)
{
    int ready[2];
    struct join j = open_join(g);
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    int place = -1;
    if (template->in_v2)
        place = openat(tree->v2.fd, template->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    pid_t pid = ns_clone(0, place, ret_pidfd);
    if (pid == 0) {
        be(UID);
        if (!write_all(&j, "0") || write(ready[1], "r", 1) != 1)
            _exit(99);
        body();
        _exit(0);
    }
    assert_true(pid > 0);
    close_join(&j);
    fd_close(&place);
    close(ready[1]);
    char c;
    assert_int_equal(fd_read_full(ready[0], &c, 1), 1);
    close(ready[0]);
    return pid;
}

static int reap(int pidfd)
{
    int status = -1;
    assert_int_equal(pidfd_reap(pidfd, true, &status), 1);
    close(pidfd);
    return status;
}

static void kill_until_empty(struct cgroup *g)
{
    struct err e;
    unsigned waited = 0;
    do {
        assert_int_equal(cgroup_kill(g, &e), 0);
        pause_ms(1);
        assert_true(waited++ < WAIT_MS);
    } while (!cgroup_is_empty(g));
}

static void a_child_joins_by_its_own_hand_and_is_found_there(void **state)
{
    (void)state;
    need_tree();
    struct cgroup *template = make_template(), *g = make_child(template, "child");
    struct err e;
    int pidfd;
    assert_true(cgroup_is_empty(g));
    pid_t pid = start_member(template, g, sleep_for_ever, &pidfd);
    if (verify_member(g, pid, &e) < 0)
        fail_msg("%s", e.text);
    assert_int_equal(verify_member(g, getpid(), &e), -EPERM);
    pid_t listed[8];
    unsigned count = cgroup_list(g, listed, 8);
    assert_true(count >= 1);
    for (unsigned i = 0; i < count; i++)
        assert_int_equal(listed[i], pid);
    assert_false(cgroup_is_empty(g));
    assert_int_equal(cgroup_remove(g), -EBUSY);
    kill_until_empty(g);
    assert_int_equal(reap(pidfd), SIGKILL);
    remove_group(g);
    remove_group(template);
}

static void the_files_move_nobody_who_is_not_the_templates(void **state)
{
    (void)state;
    need_tree();
    struct cgroup *template = make_template(), *g = make_child(template, "child");
    struct join j = open_join(g);
    struct err e;
    char text[16];
    int ready[2];
    assert_int_equal(geteuid(), 0);
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    pid_t stranger = fork();
    if (stranger == 0) {
        be(STRANGER);
        if (write(ready[1], "r", 1) == 1)
            sleep_for_ever();
        _exit(1);
    }
    assert_int_equal(fd_read_full(ready[0], text, 1), 1);
    fmt_to(text, sizeof(text), "%d", stranger);
    for (unsigned i = 0; i < j.count; i++) {
        assert_int_equal(write(j.fds[i], text, strlen(text)), -1);
        assert_true(errno == EACCES || errno == EOPNOTSUPP || errno == EPERM);
        assert_int_equal(write(j.fds[i], "0", 1), -1); /* this very process, root or not */
    }
    assert_true(cgroup_is_empty(g));
    assert_true(verify_member(g, stranger, &e) < 0);
    kill(stranger, SIGKILL);
    assert_int_equal(waitpid(stranger, NULL, 0), stranger);
    close_join(&j);
    close(ready[0]);
    close(ready[1]);
    remove_group(g);
    remove_group(template);
}

static void effective_capabilities(char out[32])
{
    char text[4096];
    assert_true(fd_read_file_at(AT_FDCWD, "/proc/self/status", text, sizeof(text), NULL) > 0);
    const char *line = strstr(text, "\nCapEff:");
    assert_non_null(line);
    fmt_to(out, 32, "%.24s", line);
}

static void opening_the_files_leaves_this_process_as_it_was(void **state)
{
    (void)state;
    need_tree();
    struct cgroup *template = make_template(), *g = make_child(template, "child");
    int signal_before = 0, signal_after = 0;
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    prctl(PR_GET_PDEATHSIG, &signal_before);
    prctl(PR_SET_DUMPABLE, 0);
    gid_t gid = getegid();
    char caps_before[32], caps_after[32];
    effective_capabilities(caps_before);
    struct join j = open_join(g);
    close_join(&j);
    prctl(PR_GET_PDEATHSIG, &signal_after);
    assert_int_equal(signal_before, signal_after);
    assert_int_equal(prctl(PR_GET_DUMPABLE), 0);
    assert_int_equal(geteuid(), 0);
    assert_int_equal(getegid(), gid);
    effective_capabilities(caps_after);
    assert_string_equal(caps_before, caps_after);
    prctl(PR_SET_PDEATHSIG, 0);
    prctl(PR_SET_DUMPABLE, 1);
    remove_group(g);
    remove_group(template);
}

static void fork_without_end(void)
{
    const struct rlimit most = {.rlim_cur = 200, .rlim_max = 200}; /* where nothing counts processes */
    if (setrlimit(RLIMIT_NPROC, &most) < 0)
        _exit(96);
    for (;;)
        if (fork() == 0)
            continue;
}

static void a_child_that_forks_can_not_outrun_its_kill(void **state)
{
    (void)state;
    need_tree();
    struct cgroup *template = make_template(), *g = make_child(template, "child");
    int pidfd;
    start_member(template, g, fork_without_end, &pidfd);
    pid_t listed[64];
    for (unsigned i = 0; i < WAIT_MS && cgroup_list(g, listed, 64) < 2; i++)
        pause_ms(1);
    kill_until_empty(g);
    assert_int_equal(reap(pidfd), SIGKILL);
    remove_group(g);
    remove_group(template);
}

/* The state of a process as the kernel shows it is no help: a frozen one looks asleep. So it counts, and what it counted is compared. */
static _Atomic unsigned *counter;

static void count_for_ever(void)
{
    for (;;)
        ++*counter;
}

static bool counts(void)
{
    unsigned before = *counter;
    pause_ms(20);
    return *counter != before;
}

static void wait_frozen(const struct cgroup *g)
{
    char name[CGROUP_V2_NAME_MAX];
    for (unsigned i = 0; cgroup_read_key(tree->v2.fd, cgroup_v2_name(g, name), "cgroup.events", "frozen") != 1; i++) {
        assert_true(i < WAIT_MS);
        pause_ms(1);
    }
}

static void a_frozen_child_stands_still_until_it_is_thawed_or_killed(void **state)
{
    (void)state;
    need_tree();
    if (!cgroup_tree_has_freeze(tree)) {
        print_message("skipped: this host has no cgroup.freeze\n");
        skip();
    }
    struct cgroup *template = make_template(), *g = make_child(template, "child");
    struct err e;
    int pidfd;
    counter = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(counter, MAP_FAILED);
    start_member(template, g, count_for_ever, &pidfd);
    for (unsigned round = 0; round < 3; round++) {
        assert_int_equal(cgroup_freeze(g, true, &e), 0);
        wait_frozen(g);
        assert_false(counts());
        if (round == 2)
            break;
        assert_int_equal(cgroup_freeze(g, false, &e), 0);
        while (!counts())
            ;
    }
    kill_until_empty(g);
    assert_int_equal(reap(pidfd), SIGKILL);
    munmap((void *)counter, 4096);
    remove_group(g);
    remove_group(template);
}

static void use_memory(void)
{
    char *p = mmap(NULL, MEMORY_BYTES / 2, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    for (volatile unsigned i = 0; i < 30000000; i++) /* tens of milliseconds of CPU time */
        ;
    _exit(p == MAP_FAILED);
}

static void do_nothing(void)
{
    _exit(0);
}

static void a_renewed_group_counts_from_nothing(void **state)
{
    (void)state;
    need_tree();
    struct cgroup *template = make_template(), *g = make_child(template, "child");
    struct cgroup_usage first, second;
    int pidfd;
    start_member(template, g, use_memory, &pidfd);
    assert_int_equal(reap(pidfd), 0);
    cgroup_read_usage(g, &first);
    bool counts_memory = cgroup_tree_has(tree, CGROUP_MEMORY);
    if (counts_memory)
        assert_true(first.memory_peak_bytes >= MEMORY_BYTES / 2);
    assert_true(first.cpu_ns > 1000000);
    int r = cgroup_park(g, &first);
    if (r < 0) {
        assert_int_equal(r, -EOPNOTSUPP);
        assert_true(g->in_v2 && !g->parent && g->peak_fd < 0); /* v2 before 6.12: removed and made anew */
    } else {
        assert_int_equal(cgroup_renew(g, &limits), 0);
        start_member(template, g, do_nothing, &pidfd);
        assert_int_equal(reap(pidfd), 0);
        cgroup_read_usage(g, &second);
        assert_true(second.memory_peak_bytes < MEMORY_BYTES / 4);
        assert_true(second.cpu_ns < first.cpu_ns);
        if (counts_memory) {
            int fd =
                as_v2 || !cgroup_tree_v1(tree, CGROUP_MEMORY) ? tree->v2.fd : cgroup_tree_v1(tree, CGROUP_MEMORY)->fd;
            const char *file = fd == tree->v2.fd ? "memory.max" : "memory.limit_in_bytes";
            assert_int_equal(cgroup_read_number(fd, g->name, file), MEMORY_BYTES);
        }
    }
    remove_group(g);
    remove_group(template);
}

static void a_parked_group_gives_nobody_room(void **state)
{
    (void)state;
    need_tree();
    struct cgroup *template = make_template(), *g = make_child(template, "child");
    struct join kept = open_join(g); /* as a hostile template would */
    int pidfd;
    start_member(template, g, do_nothing, &pidfd);
    assert_int_equal(reap(pidfd), 0);
    struct cgroup_usage used;
    cgroup_read_usage(g, &used);
    if (cgroup_park(g, &used) == 0) {
        const struct cgroup_v1_tree *v1 = cgroup_tree_v1(tree, CGROUP_MEMORY);
        if (v1)
            assert_true(cgroup_read_number(v1->fd, g->name, "memory.limit_in_bytes") < MEMORY_BYTES / 2);
        if (v1) {
            start_member(template, g, use_memory, &pidfd); /* half of what one in use may */
            assert_int_not_equal(reap(pidfd), 0);
        }
    }
    close_join(&kept);
    remove_group(g);
    remove_group(template);
}

/* Puts `g` into the state of one that is given to its next child. */
static bool use_again(struct cgroup *template, struct cgroup *g)
{
    struct cgroup_usage used;
    int pidfd;
    start_member(template, g, do_nothing, &pidfd);
    assert_int_equal(reap(pidfd), 0);
    cgroup_read_usage(g, &used);
    if (cgroup_park(g, &used) < 0)
        return false;
    assert_int_equal(cgroup_renew(g, &limits), 0);
    return true;
}

static bool has_file(const struct cgroup *g, unsigned index)
{
    return index < g->tree->v1_count ? g->in_v1[index] : g->in_v2;
}

/* What the kernel looks at when somebody joins g, which holding it saves from being made anew. */
static void holds_its_gate(const struct cgroup *g)
{
    char name[CGROUP_V2_NAME_MAX], path[CGROUP_ATTRIBUTE_MAX];
    struct stat held, gate;
    assert_int_equal(g->kept->gate >= 0, g->in_v2);
    if (!g->in_v2)
        return;
    cgroup_attribute_path(path, cgroup_v2_name(g, name), "../cgroup.procs");
    assert_int_equal(fstat(g->kept->gate, &held), 0);
    assert_int_equal(fstatat(tree->v2.fd, path, &gate, 0), 0);
    assert_true(held.st_dev == gate.st_dev && held.st_ino == gate.st_ino);
}

static void a_group_that_is_used_again_keeps_its_files(void **state)
{
    (void)state;
    need_tree();
    struct cgroup *template = make_template(), *g = make_child(template, "child");
    bool again = use_again(template, g);
    assert_int_equal(g->kept != NULL, again);
    for (unsigned round = 0; round < 3 && again; round++) {
        int pidfd;
        unsigned others, files = 0;
        pid_t other[4];
        assert_true(cgroup_is_empty(g));
        assert_false(cgroup_has_one(g));
        pid_t pid = start_member(template, g, sleep_for_ever, &pidfd);
        for (unsigned i = 0; i <= tree->v1_count; i++)
            files += has_file(g, i);
        assert_int_equal(g->kept->join_count, files);
        holds_its_gate(g);
        assert_false(cgroup_is_empty(g));
        assert_true(cgroup_holds(g, pid, other, 4, &others));
        assert_int_equal(others, 0);
        assert_int_equal(cgroup_has_one(g), cgroup_tree_has(tree, CGROUP_PIDS));
        assert_false(cgroup_holds_only(g, getpid()));
        assert_int_equal(cgroup_holds_only(g, pid), g->in_v2);
        if (round == 1)
            cgroup_let_go(g); /* as when other groups need the descriptors: everything goes on without them */
        assert_false(cgroup_is_empty(g));
        kill_until_empty(g);
        assert_int_equal(reap(pidfd), SIGKILL);
        assert_true(cgroup_is_empty(g));
        assert_int_equal(cgroup_renew(g, &limits), 0);
    }
    remove_group(g);
    remove_group(template);
    assert_int_equal(tree->kept_count, 0);
}

/* As a hostile template may leave one. */
static void a_process_in_one_hierarchy_alone_is_seen(void **state)
{
    (void)state;
    need_tree();
    struct cgroup *template = make_template(), *g = make_child(template, "child");
    bool again = use_again(template, g);
    for (unsigned i = 0; i < tree->v1_count && again; i++) {
        if (!g->in_v1[i])
            continue;
        char text[16];
        int pidfd;
        pid_t pid = ns_clone(0, -1, &pidfd);
        if (pid == 0)
            sleep_for_ever();
        fmt_to(text, sizeof(text), "%d", pid);
        assert_int_equal(cgroup_write(tree->v1[i].fd, g->name, "tasks", text, NULL), 0);
        assert_false(cgroup_is_empty(g));
        kill_until_empty(g);
        assert_int_equal(reap(pidfd), SIGKILL);
        assert_int_equal(cgroup_renew(g, &limits), 0);
    }
    remove_group(g);
    remove_group(template);
}

static void files_are_kept_for_so_many_groups_alone(void **state)
{
    (void)state;
    need_tree();
    enum { MORE = 70 };
    struct cgroup *template = make_template(), *g[MORE];
    for (unsigned i = 0; i < MORE; i++) {
        char name[16];
        fmt_to(name, sizeof(name), "child-%u", i);
        g[i] = make_child(template, name);
        cgroup_keep(g[i]);
        assert_non_null(g[i]->kept);
    }
    assert_true(tree->kept_count < MORE);
    assert_null(g[0]->kept); /* the oldest have lost them */
    assert_non_null(g[MORE - 1]->kept);
    assert_true(use_again(template, g[0]) == (g[0]->kept != NULL));
    for (unsigned i = 0; i < MORE; i++)
        remove_group(g[i]);
    assert_int_equal(tree->kept_count, 0);
    remove_group(template);
}

static void forks_refused_by_the_kill_are_not_the_functions(void **state)
{
    (void)state;
    need_tree();
    if (!cgroup_tree_has(tree, CGROUP_PIDS)) {
        print_message("skipped: nothing counts processes here\n");
        skip();
    }
    struct cgroup *template = make_template(), *g = make_child(template, "child");
    struct cgroup_usage before, after;
    int pidfd;
    start_member(template, g, sleep_for_ever, &pidfd);
    cgroup_read_usage(g, &before);
    kill_until_empty(g);
    cgroup_read_usage(g, &after);
    assert_int_equal(before.pids_denied, 0);
    assert_int_equal(after.pids_denied, 0);
    assert_int_equal(reap(pidfd), SIGKILL);
    remove_group(g);
    remove_group(template);
}

static void the_templates_kill_takes_threaded_children_along(void **state)
{
    (void)state;
    need_tree();
    struct cgroup *template = make_template(), *g = make_child(template, "child");
    if (!g->parent || !cgroup_tree_has_kill(tree)) {
        remove_group(g);
        remove_group(template);
        print_message("skipped: children's groups do not lie beneath their template's here\n");
        skip();
    }
    struct err e;
    int pidfd;
    start_member(template, g, sleep_for_ever, &pidfd);
    assert_int_equal(cgroup_kill(template, &e), 0);
    assert_int_equal(reap(pidfd), SIGKILL);
    remove_group(g);
    remove_group(template);
}

static void a_sweep_finds_children_too(void **state)
{
    (void)state;
    need_tree();
    struct cgroup *template = make_template(), *g = make_child(template, "child");
    struct err e;
    int pidfd;
    start_member(template, g, sleep_for_ever, &pidfd);
    assert_int_equal(cgroup_tree_sweep(tree, &e), 2);
    assert_int_equal(reap(pidfd), SIGKILL);
    assert_int_equal(cgroup_tree_sweep(tree, &e), 0);
    assert_int_equal(cgroup_remove(g), 0); /* its directories are gone: only the memory */
    assert_int_equal(cgroup_remove(template), 0);
}

/* From here on the tree has one hierarchy, and children their groups beside their template's. */
static void narrow_to_v2(void **state)
{
    (void)state;
    need_tree();
    if (tree->v2.fd < 0 || tree->v2.controllers) {
        print_message("skipped: there is no unified hierarchy, or it is this one already\n");
        skip();
    }
    for (unsigned i = 0; i < tree->v1_count; i++) {
        unlinkat(tree->v1[i].parent_fd, tree->name, AT_REMOVEDIR);
        fd_close(&tree->v1[i].fd);
        fd_close(&tree->v1[i].parent_fd);
    }
    tree->v1_count = 0;
    tree->v2.controllers = CGROUP_BIT(CGROUP_CPUSET);
    as_v2 = true;
}

static void a_quota_is_set_only_where_it_holds_back(void **state)
{
    (void)state;
    struct cgroup_tree plain = {.v2 = {.controllers = CGROUP_BIT(CGROUP_CPU) | CGROUP_BIT(CGROUP_CPUSET)}};
    struct cgroup_tree no_cpuset = {.v2 = {.controllers = CGROUP_BIT(CGROUP_CPU)}};
    unsigned cpus = (unsigned)sysconf(_SC_NPROCESSORS_CONF);
    struct cgroup_limits l = {.cpus_milli = 0};
    assert_false(cgroup_needs_quota(&plain, &l));
    l.cpus_milli = cpus * 1000 - 1;
    assert_true(cgroup_needs_quota(&plain, &l));
    l.cpus_milli = cpus * 1000;
    assert_false(cgroup_needs_quota(&plain, &l));
    l = (struct cgroup_limits){.cpus_milli = 1000, .cpuset = "0"};
    assert_false(cgroup_needs_quota(&plain, &l));
    l.cpus_milli = 999;
    assert_true(cgroup_needs_quota(&plain, &l));
    l = (struct cgroup_limits){.cpus_milli = cpus * 1000 - 1,
                               .cpuset = "0"}; /* nothing pins it: the quota alone holds */
    assert_true(cgroup_needs_quota(&no_cpuset, &l));
}

static void lists_of_processors_are_counted(void **state)
{
    (void)state;
    assert_int_equal(cgroup_count_cpus("0"), 1);
    assert_int_equal(cgroup_count_cpus("0-3,5"), 5);
    assert_int_equal(cgroup_count_cpus(""), 0);
    assert_int_equal(cgroup_count_cpus("3-1"), 0);
    assert_int_equal(cgroup_count_cpus("1,,2"), 0);
    assert_int_equal(cgroup_count_cpus("0-99999999999"), 0);
    assert_int_equal(cgroup_count_cpus("a"), 0);
}

#define BOTH_WAYS                                                                                                      \
    cmocka_unit_test(a_child_joins_by_its_own_hand_and_is_found_there),                                                \
        cmocka_unit_test(the_files_move_nobody_who_is_not_the_templates),                                              \
        cmocka_unit_test(opening_the_files_leaves_this_process_as_it_was),                                             \
        cmocka_unit_test(a_child_that_forks_can_not_outrun_its_kill),                                                  \
        cmocka_unit_test(a_frozen_child_stands_still_until_it_is_thawed_or_killed),                                    \
        cmocka_unit_test(a_renewed_group_counts_from_nothing), cmocka_unit_test(a_parked_group_gives_nobody_room),     \
        cmocka_unit_test(a_group_that_is_used_again_keeps_its_files),                                                  \
        cmocka_unit_test(a_process_in_one_hierarchy_alone_is_seen),                                                    \
        cmocka_unit_test(files_are_kept_for_so_many_groups_alone), cmocka_unit_test(a_sweep_finds_children_too)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH_WAYS,
        cmocka_unit_test(forks_refused_by_the_kill_are_not_the_functions),
        cmocka_unit_test(the_templates_kill_takes_threaded_children_along),
        cmocka_unit_test(a_quota_is_set_only_where_it_holds_back),
        cmocka_unit_test(lists_of_processors_are_counted),
        cmocka_unit_test(narrow_to_v2),
        BOTH_WAYS,
    };
    return cmocka_run_group_tests(tests, open_tree, close_tree);
}
