/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/gateway_view.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* What it does to mounts is for an ordinary user's daemon: with the host's own root behind it nothing of it may run, whatever the environment says. */
static void only_an_ordinary_users_daemon_gets_one(void **state)
{
    (void)state;
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        struct err e;
        const char *const paths[] = {"/tmp"};
        const struct rlimit no_core = {0};
        setrlimit(RLIMIT_CORE, &no_core);
        setenv("_FAASD_USERNS", "1000:65536:", 1);
        signal(SIGABRT, SIG_DFL);
        gateway_view_make(paths, 1, 65534, 65534, &e);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(only_an_ordinary_users_daemon_gets_one)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
