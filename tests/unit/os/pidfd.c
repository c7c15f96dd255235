/* SPDX-License-Identifier: Apache-2.0 */
#include "os/pidfd.h"

#include "os/ns.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_exit_status_comes_back_as_waitpid_gives_it),
        cmocka_unit_test(a_killed_process_is_dead_before_and_after_it_is_reaped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
