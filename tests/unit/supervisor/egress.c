/* SPDX-License-Identifier: Apache-2.0 */
/* What the supervisor believes of a network process that was taken over: a namespace of its own to give, and nothing else. */
#include "supervisor/egress.h"

#include "base/fdio.h"
#include "base/fmt.h"
#include "os/idmap.h"
#include "os/ns.h"
#include "os/pidfd.h"
#include "supervisor/core.h"

#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { UID = 720500, INDEX = 300 };

static struct supervisor super;
static struct box box = {.state = BOX_RUNNING}; /* its start is another test's */
static struct egress_instance one = {.box = &box, .index = INDEX}, other = {.box = &box, .index = INDEX + 1};

static void begin(void)
{
    struct err e;
    const struct idmap m = {.count = 1, .entries = {{0, UID}}};
    struct egress *g = &super.egress;
    if (geteuid() != 0) {
        print_message("skipped: needs root\n");
        skip();
    }
    egress_init(g, &super);
    g->next_index = INDEX + 2;
    one.namespace = other.namespace = 0;
    assert_int_equal(ns_make_owned_network(&m, &g->host.user_fd, &g->host.router_fd, &e), 0);
    assert_int_equal(ns_check_network(g->host.router_fd, g->host.user_fd, &g->host.router_inode, &e), 0);
    list_push_back(&g->instances, &one.link);
    list_push_back(&g->instances, &other.link);
}

static void end(void)
{
    list_remove(&one.link);
    list_remove(&other.link);
    egress_host_close(&super.egress.host);
}

/* As the network process makes it. */
static int make_network(int user_fd)
{
    int ready[2], pidfd = -1, status;
    char path[48], byte;
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    pid_t pid = ns_clone(0, -1, &pidfd);
    if (pid == 0) {
        if (setns(user_fd, CLONE_NEWUSER) < 0 || unshare(CLONE_NEWNET) < 0 || write(ready[1], "r", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    fmt_to(path, sizeof(path), "/proc/%d/ns/net", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    pidfd_kill(pidfd);
    pidfd_reap(pidfd, true, &status);
    close(pidfd);
    close(ready[0]);
    assert_true(fd >= 0);
    return fd;
}

static bool hand_over(uint32_t index, int code, int fd)
{
    struct network_made m = {.header = {.type = NETWORK_MADE, .size = sizeof(m)}, .index = index, .error.code = code};
    memset(m.error.text, 'x', sizeof(m.error.text));
    bool good = egress_on_made(&super.egress, &m, fd);
    /* what is told to people ends */
    assert_true(!good || index < INDEX || memchr(m.error.text, '\0', sizeof(m.error.text)));
    return good;
}

static void a_network_of_its_own_is_taken_once(void **state)
{
    (void)state;
    begin();
    scoped_fd fd = make_network(super.egress.host.user_fd);
    struct stat st;
    assert_int_equal(fstat(fd, &st), 0);
    assert_true(hand_over(one.index, 0, fd));
    assert_true(one.namespace == st.st_ino);
    assert_false(hand_over(one.index, 0, fd));
    assert_false(hand_over(other.index, 0, fd)); /* two functions in one network */
    assert_true(other.namespace == 0);
    scoped_fd second = make_network(super.egress.host.user_fd);
    assert_true(hand_over(other.index, 0, second));
    end();
}

static void nothing_else_is_taken_for_a_network(void **state)
{
    (void)state;
    begin();
    struct err e;
    const struct egress_host *h = &super.egress.host;
    const struct idmap m = {.count = 1, .entries = {{0, UID + 1}}};
    int foreign_user, foreign;
    assert_int_equal(ns_make_owned_network(&m, &foreign_user, &foreign, &e), 0);
    const int fds[] = {open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), /* the host's */
                       open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC),
                       open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC),
                       open("/proc/self/ns/net", O_PATH | O_CLOEXEC),
                       open("/dev/null", O_RDWR | O_CLOEXEC),
                       open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC),
                       fcntl(h->router_fd, F_DUPFD_CLOEXEC, 0),
                       fcntl(h->user_fd, F_DUPFD_CLOEXEC, 0),
                       foreign,
                       foreign_user};
    for (unsigned i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
        assert_true(fds[i] >= 0);
        assert_false(hand_over(one.index, 0, fds[i]));
        assert_true(one.namespace == 0);
        close(fds[i]);
    }
    end();
}

static void an_answer_is_a_network_or_a_reason(void **state)
{
    (void)state;
    begin();
    scoped_fd fd = make_network(super.egress.host.user_fd);
    assert_false(hand_over(one.index, 0, -1));
    assert_false(hand_over(one.index, EPERM, fd));
    assert_false(hand_over(one.index, -EPERM, -1));
    assert_true(hand_over(one.index, EPERM, -1));
    assert_true(one.namespace == 0);
    assert_true(hand_over(INDEX - 1, 0, fd));  /* of one that has just ended: nobody gets it */
    assert_false(hand_over(INDEX + 2, 0, fd)); /* of one that never was */
    assert_true(one.namespace == 0 && other.namespace == 0);
    end();
}

static void no_more_connections_are_read_than_there_are(void **state)
{
    (void)state;
    begin();
    struct network_forget m = {.header = {.type = NETWORK_FORGET, .size = sizeof(m)}, .count = NETWORK_FORGET_MAX};
    assert_true(egress_on_forget(&super.egress, &m)); /* by no socket: nothing is sent */
    m.count = NETWORK_FORGET_MAX + 1;
    assert_false(egress_on_forget(&super.egress, &m));
    m.count = UINT32_MAX;
    assert_false(egress_on_forget(&super.egress, &m));
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_network_of_its_own_is_taken_once),
        cmocka_unit_test(nothing_else_is_taken_for_a_network),
        cmocka_unit_test(an_answer_is_a_network_or_a_reason),
        cmocka_unit_test(no_more_connections_are_read_than_there_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
