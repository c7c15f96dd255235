/* SPDX-License-Identifier: Apache-2.0 */
#include "os/idmap.h"

#include "base/fdio.h"
#include "os/ns.h"
#include "os/pidfd.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static const struct idmap map = {.count = 2, .entries = {{0, 200001}, {1000, 200002}}};

static void a_map_is_one_line_per_id(void **state)
{
    (void)state;
    char text[IDMAP_TEXT_MAX];
    idmap_format(&map, text);
    assert_string_equal(text, "0 200001 1\n1000 200002 1\n");
}

static void a_child_becomes_a_mapped_id_and_no_other(void **state)
{
    (void)state;
    if (geteuid() != 0) {
        print_message("skipped: only root writes maps of foreign ids\n");
        skip();
    }
    int go[2], pidfd = -1, status = 0;
    assert_int_equal(pipe(go), 0);
    pid_t pid = ns_clone(CLONE_NEWUSER, -1, &pidfd);
    if (pid == 0) {
        char byte;
        if (read(go[0], &byte, 1) != 1 || setresuid(1000, 1000, 1000) < 0)
            _exit(1);
        _exit(setresuid(5, 5, 5) < 0 && getuid() == 1000 ? 0 : 2);
    }
    assert_true(pid > 0);
    struct err e;
    assert_int_equal(idmap_write(pid, &map, &e), 0);
    assert_int_equal(write(go[1], "", 1), 1);
    assert_int_equal(pidfd_reap(pidfd, true, &status), 1);
    assert_int_equal(status, 0);
    assert_int_equal(idmap_write(getpid(), &map, &e), -EPERM);
    close(pidfd);
    close(go[0]);
    close(go[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_map_is_one_line_per_id),
        cmocka_unit_test(a_child_becomes_a_mapped_id_and_no_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
