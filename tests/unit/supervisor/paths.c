/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/supervisor.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static int forget_environment(void **state)
{
    (void)state;
    static const char *const names[] = {"FAASD_ROOT", "RUNTIME_DIRECTORY", "STATE_DIRECTORY", "CONFIGURATION_DIRECTORY",
                                        "LOGS_DIRECTORY"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        unsetenv(names[i]);
    return 0;
}

static void a_root_holds_everything(void **state)
{
    (void)state;
    struct supervisor_paths p;
    assert_int_equal(supervisor_find_paths("/a//b/./c/", &p, NULL), 0);
    assert_string_equal(p.run, "/a/b/c/run");
    assert_string_equal(p.state, "/a/b/c/state");
    assert_string_equal(p.config, "/a/b/c/config.json");
    assert_string_equal(p.logs, "");
}

static void a_relative_root_counts_from_the_working_directory(void **state)
{
    (void)state;
    struct supervisor_paths p;
    assert_int_equal(chdir("/usr"), 0);
    assert_int_equal(supervisor_find_paths("x", &p, NULL), 0);
    assert_string_equal(p.run, "/usr/x/run");
}

static void the_flag_wins_over_the_variable_and_the_variable_over_systemd(void **state)
{
    (void)state;
    struct supervisor_paths p;
    setenv("RUNTIME_DIRECTORY", "/sys/run", 1);
    setenv("FAASD_ROOT", "/variable", 1);
    assert_int_equal(supervisor_find_paths("/flag", &p, NULL), 0);
    assert_string_equal(p.run, "/flag/run");
    assert_int_equal(supervisor_find_paths(NULL, &p, NULL), 0);
    assert_string_equal(p.run, "/variable/run");
}

static void systemds_directories_win_over_the_defaults(void **state)
{
    (void)state;
    struct supervisor_paths p;
    setenv("RUNTIME_DIRECTORY", "/r/one:/r/two", 1);
    setenv("STATE_DIRECTORY", "/s", 1);
    setenv("CONFIGURATION_DIRECTORY", "/c", 1);
    setenv("LOGS_DIRECTORY", "/l", 1);
    assert_int_equal(supervisor_find_paths(NULL, &p, NULL), 0);
    assert_string_equal(p.run, "/r/one");
    assert_string_equal(p.state, "/s");
    assert_string_equal(p.config, "/c/config.json");
    assert_string_equal(p.logs, "/l");
    setenv("STATE_DIRECTORY", "relative", 1);
    assert_int_equal(supervisor_find_paths(NULL, &p, NULL), -EINVAL);
}

static void root_has_the_systems_places(void **state)
{
    (void)state;
    struct supervisor_paths p;
    if (geteuid() != 0)
        skip(); /* the places of a user depend on the environment */
    assert_int_equal(supervisor_find_paths(NULL, &p, NULL), 0);
    assert_string_equal(p.run, "/run/faasd");
    assert_string_equal(p.state, "/var/lib/faasd");
    assert_string_equal(p.config, "/etc/faasd/config.json");
}

static void a_path_that_would_be_cut_is_refused(void **state)
{
    (void)state;
    struct supervisor_paths p = {.run = "untouched"};
    char path[CONFIG_PATH_MAX];
    memset(path, 'a', sizeof(path));
    path[0] = '/';
    path[CONFIG_PATH_MAX - 5] = '\0';
    assert_int_equal(supervisor_find_paths(path, &p, NULL), -ENAMETOOLONG);
    assert_string_equal(p.run, "untouched");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_root_holds_everything, forget_environment),
        cmocka_unit_test_setup(a_relative_root_counts_from_the_working_directory, forget_environment),
        cmocka_unit_test_setup(the_flag_wins_over_the_variable_and_the_variable_over_systemd, forget_environment),
        cmocka_unit_test_setup(systemds_directories_win_over_the_defaults, forget_environment),
        cmocka_unit_test_setup(root_has_the_systems_places, forget_environment),
        cmocka_unit_test_setup(a_path_that_would_be_cut_is_refused, forget_environment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
