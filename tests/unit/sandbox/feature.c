/* SPDX-License-Identifier: Apache-2.0 */
#include "sandbox/feature.h"

#include "os/caps.h"

#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void every_feature_has_a_name_and_a_loss(void **state)
{
    (void)state;
    for (enum feature f = 0; f < FEATURE_COUNT; f++) {
        assert_non_null(feature_name(f));
        assert_non_null(feature_loss(f));
    }
}

static unsigned open_fds(void)
{
    unsigned n = 0;
    DIR *d = opendir("/proc/self/fd");
    assert_non_null(d);
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

static void probing_leaves_no_descriptor_and_no_child(void **state)
{
    (void)state;
    struct feature_set s;
    struct err e;
    unsigned before = open_fds();
    assert_int_equal(feature_probe(&s, &e), 0);
    assert_int_equal(open_fds(), before);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}

static void what_is_missing_says_why(void **state)
{
    (void)state;
    struct feature_set s;
    struct err e;
    assert_int_equal(feature_probe(&s, &e), 0);
    assert_true(s.found[FEATURE_CLONE3]);
    assert_int_equal(s.found[FEATURE_ROOT], geteuid() == 0);
    assert_int_equal(s.found[FEATURE_LANDLOCK_SCOPE], s.landlock_abi >= 6);
    for (enum feature f = 0; f < FEATURE_COUNT; f++)
        assert_true(s.found[f] || s.detail[f][0]);
}

/* In a child that has given all of them up: what root is asked for first is named first. */
static void root_without_its_capabilities_is_told_which(void **state)
{
    (void)state;
    struct err e;
    if (geteuid() != 0)
        skip();
    assert_int_equal(feature_demand_root(&e), 0);
    pid_t pid = fork();
    if (pid == 0) {
        bool told = caps_drop_all(&e) == 0 && feature_demand_root(&e) == -EPERM &&
                    strstr(e.text, "without cap_sys_admin, cap_setuid, cap_setgid") && strstr(e.text, "cap_kill");
        _exit(told ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_feature_has_a_name_and_a_loss),
        cmocka_unit_test(probing_leaves_no_descriptor_and_no_child),
        cmocka_unit_test(what_is_missing_says_why),
        cmocka_unit_test(root_without_its_capabilities_is_told_which),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
