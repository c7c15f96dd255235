/* SPDX-License-Identifier: Apache-2.0 */
#include "os/pidfd.h"

#include "os/ns.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void an_exit_status_comes_back_as_waitpid_gives_it(void **state)
{
    (void)state;
    int pidfd = -1, status = 0;
    if (ns_clone(0, -1, &pidfd) == 0)
        _exit(7);
    assert_int_equal(pidfd_reap(pidfd, true, &status), 1);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 7);
    close(pidfd);
}

static void a_killed_process_is_dead_before_and_after_it_is_reaped(void **state)
{
    (void)state;
    int pidfd = -1, status = 0;
    if (ns_clone(0, -1, &pidfd) == 0)
        for (;;)
            pause();
    assert_false(pidfd_is_dead(pidfd));
    assert_int_equal(pidfd_reap(pidfd, false, &status), 0);
    assert_int_equal(pidfd_kill(pidfd), 0);
    assert_int_equal(pidfd_reap(pidfd, true, &status), 1);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGKILL);
    assert_true(pidfd_is_dead(pidfd));
    assert_int_equal(pidfd_kill(pidfd), 0);
    close(pidfd);
}

static void ids_are_all_looked_at(void **state)
{
    (void)state;
    int ends[2], status;
    char c = 0;
    static const uint32_t ids[][3] = {{7, 7, 7}, {7, 7, 8}, {7, 8, 7}, {8, 7, 7}};
    for (unsigned i = 0; i < 4; i++) {
        int pidfd = -1;
        assert_int_equal(pipe(ends), 0);
        pid_t pid = ns_clone(0, -1, &pidfd);
        if (pid == 0) {
            const uint32_t *id = ids[i];
            c = setresgid(7, 7, 7) == 0 && setresuid(id[0], id[1], id[2]) == 0 ? 'y' : 'n';
            (void)!write(ends[1], &c, 1);
            for (;;)
                pause();
        }
        assert_int_equal(read(ends[0], &c, 1), 1);
        int r = pidfd_ids_are(pidfd, 7, 7);
        pidfd_kill(pidfd);
        pidfd_reap(pidfd, true, &status);
        close(pidfd);
        close(ends[0]);
        close(ends[1]);
        if (c == 'n' || r == -ENOTTY || r == -EINVAL) {
            print_message("skipped: not root, or the kernel does not tell ids (before 6.13)\n");
            skip();
        }
        assert_int_equal(r, i == 0);
        assert_int_equal(pidfd_ids_are(pidfd, 7, 7) < 0, true);
    }
}

static void anybodys_status_can_be_read_once_it_is_dead(void **state)
{
    (void)state;
    int pidfd = -1, status = -1;
    pid_t pid = ns_clone(0, -1, &pidfd);
    if (pid == 0)
        _exit(7);
    struct pollfd p = {.fd = pidfd, .events = POLLIN};
    assert_int_equal(poll(&p, 1, 10000), 1);
    assert_true(pidfd_read_status(pidfd, pid, &status)); /* nobody has waited for it yet */
    assert_int_equal(status, 7 << 8);
    assert_int_equal(pidfd_reap(pidfd, true, &status), 1);
    status = -1;
    if (pidfd_read_status(pidfd, pid, &status)) /* kept since Linux 6.15 */
        assert_int_equal(status, 7 << 8);
    else
        assert_int_equal(status, -1);
    close(pidfd);
    pid = ns_clone(0, -1, &pidfd);
    if (pid == 0)
        for (;;)
            pause();
    assert_false(pidfd_read_status(pidfd, pid, &status)); /* it lives */
    assert_int_equal(pidfd_kill(pidfd), 0);
    assert_int_equal(poll(&(struct pollfd){.fd = pidfd, .events = POLLIN}, 1, 10000), 1);
    assert_true(pidfd_read_status(pidfd, pid, &status));
    assert_int_equal(status, SIGKILL);
    assert_int_equal(pidfd_reap(pidfd, true, &status), 1);
    close(pidfd);
}

static void a_pid_namespace_tells_who_is_in_it(void **state)
{
    (void)state;
    int pidfd = -1, own_pidfd = pidfd_open(getpid(), 0), status;
    pid_t pid = ns_clone(CLONE_NEWPID, -1, &pidfd);
    if (pid == 0)
        for (;;)
            pause();
    int inner = pid > 0 ? pidfd_open_pid_namespace(pidfd) : -1, outer = pidfd_open_pid_namespace(own_pidfd);
    bool can_ask = inner >= 0 && pidfd_namespace_holds(inner, pid) != -ENOTTY;
    if (can_ask) {
        assert_int_equal(pidfd_namespace_holds(inner, pid), 1);
        assert_int_equal(pidfd_namespace_holds(inner, getpid()), 0);
        assert_int_equal(pidfd_namespace_holds(outer, getpid()), 1);
        assert_int_equal(pidfd_namespace_holds(outer, pid), 1); /* it lies beneath */
    }
    if (pid > 0) {
        pidfd_kill(pidfd);
        pidfd_reap(pidfd, true, &status);
    }
    if (can_ask) {
        assert_int_equal(pidfd_namespace_holds(inner, pid), 0);
        assert_int_equal(pidfd_namespace_holds(own_pidfd, getpid()), -ENOTTY); /* no namespace */
    }
    close(pidfd);
    close(own_pidfd);
    close(inner);
    close(outer);
    if (!can_ask) {
        print_message("skipped: not root, or the kernel does not tell who is in a pid namespace (before 6.11)\n");
        skip();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_exit_status_comes_back_as_waitpid_gives_it),
        cmocka_unit_test(ids_are_all_looked_at),
        cmocka_unit_test(anybodys_status_can_be_read_once_it_is_dead),
        cmocka_unit_test(a_pid_namespace_tells_who_is_in_it),
        cmocka_unit_test(a_killed_process_is_dead_before_and_after_it_is_reaped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
