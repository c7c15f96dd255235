/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/guess.h"

#include "base/fdio.h"
#include "cmd/tree.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static char top[64];

static int make_top(void **state)
{
    (void)state;
    strcpy(top, "/tmp/faasd-guess-XXXXXX");
    return mkdtemp(top) ? 0 : -1;
}

static int remove_top(void **state)
{
    (void)state;
    struct err e;
    return tree_remove(top, &e);
}

static void put(const char *name, const char *text, mode_t mode)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", top, name);
    scoped_fd fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(fd_write_full(fd, text, strlen(text)), 0);
    assert_int_equal(fchmod(fd, mode), 0);
}

static void drop(const char *name)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", top, name);
    assert_int_equal(unlink(path), 0);
}

static void expect_file(const char *name, const char *text, mode_t mode, enum settings_runtime want)
{
    struct guess g;
    char path[128];
    put(name, text, mode);
    snprintf(path, sizeof(path), "%s/%s", top, name);
    guess_runtime(path, "", &g);
    if (g.runtime != want)
        fail_msg("%s, mode %o: %s, not %s", name, mode, settings_runtime_family(g.runtime),
                 settings_runtime_family(want));
    if (want != SETTINGS_RUNTIME_EXEC)
        assert_string_equal(g.because, name);
    assert_false(g.has_manifest);
    drop(name);
}

static void a_file_goes_by_its_suffix_unless_it_is_executable(void **state)
{
    (void)state;
    expect_file("app.py", "def handler(e, c): pass\n", 0644, SETTINGS_RUNTIME_PYTHON);
    expect_file("app.py", "#!/usr/bin/python3\n", 0644, SETTINGS_RUNTIME_PYTHON);
    expect_file("app.py", "#!/usr/bin/python3\n", 0755, SETTINGS_RUNTIME_EXEC);
    expect_file("app.py", "def handler(e, c): pass\n", 0755, SETTINGS_RUNTIME_PYTHON);
    expect_file("a.mjs", "export const handler = 1\n", 0644, SETTINGS_RUNTIME_NODE);
    expect_file("a.js", "exports.handler = 1\n", 0644, SETTINGS_RUNTIME_NODE);
    expect_file("a.cjs", "exports.handler = 1\n", 0644, SETTINGS_RUNTIME_NODE);
    expect_file("a.js", "#!/usr/bin/node\n", 0755, SETTINGS_RUNTIME_EXEC);
    expect_file("run.sh", "#!/bin/sh\n", 0755, SETTINGS_RUNTIME_EXEC);
    expect_file("run.sh", "#!/bin/sh\n", 0644, SETTINGS_RUNTIME_EXEC);
    expect_file("tool.py", "\177ELF", 0755, SETTINGS_RUNTIME_EXEC);
    expect_file(".py", "", 0644, SETTINGS_RUNTIME_EXEC);
    expect_file("py", "", 0644, SETTINGS_RUNTIME_EXEC);
    expect_file("bootstrap", "#!/bin/bash\n", 0755, SETTINGS_RUNTIME_PROVIDED);
    expect_file("bootstrap", "\177ELF", 0755, SETTINGS_RUNTIME_PROVIDED);
    expect_file("bootstrap", "no program", 0644, SETTINGS_RUNTIME_EXEC);
}

static void expect_directory(const char *handler, enum settings_runtime want, const char *because)
{
    struct guess g;
    guess_runtime(top, handler, &g);
    if (g.runtime != want)
        fail_msg("handler '%s': %s, not %s", handler, settings_runtime_family(g.runtime),
                 settings_runtime_family(want));
    assert_string_equal(g.because, because);
}

static void a_directory_goes_by_the_file_that_its_runtime_starts_with(void **state)
{
    (void)state;
    expect_directory("", SETTINGS_RUNTIME_EXEC, "");
    put("index.cjs", "", 0644);
    expect_directory("", SETTINGS_RUNTIME_NODE, "index.cjs");
    put("index.js", "", 0644);
    expect_directory("", SETTINGS_RUNTIME_NODE, "index.js");
    put("index.mjs", "", 0644);
    expect_directory("", SETTINGS_RUNTIME_NODE, "index.mjs");
    put("lambda_function.py", "", 0644);
    expect_directory("", SETTINGS_RUNTIME_PYTHON, "lambda_function.py");
    put("app.py", "", 0644);
    expect_directory("", SETTINGS_RUNTIME_PYTHON, "app.py");
    put("bootstrap", "", 0755);
    expect_directory("", SETTINGS_RUNTIME_PROVIDED, "bootstrap");
}

static void a_handler_says_more_than_the_files(void **state)
{
    (void)state;
    put("bootstrap", "", 0755);
    put("index.js", "", 0644);
    put("run.sh", "#!/bin/sh\n", 0755);
    put("thing.py", "", 0644);
    expect_directory("run.sh", SETTINGS_RUNTIME_EXEC, "");
    expect_directory("index.handler", SETTINGS_RUNTIME_NODE, "index.js");
    expect_directory("thing.main", SETTINGS_RUNTIME_PYTHON, "thing.py");
    expect_directory("absent.main", SETTINGS_RUNTIME_EXEC, "");
}

static void a_manifest_has_the_last_word(void **state)
{
    (void)state;
    struct guess g;
    put("app.py", "", 0644);
    put("thing.py", "", 0644);
    put("run", "#!/bin/sh\n", 0755);
    put("faasd.json", "{\"runtime\": \"exec\"}", 0644);
    expect_directory("", SETTINGS_RUNTIME_EXEC, "");
    put("faasd.json", "{// no runtime\n\"handler\": \"run\"}", 0644);
    expect_directory("", SETTINGS_RUNTIME_EXEC, "");
    expect_directory("thing.handler", SETTINGS_RUNTIME_PYTHON, "thing.py");
    put("faasd.json", "{\"handler\": \"thing.handler\"}", 0644);
    expect_directory("", SETTINGS_RUNTIME_PYTHON, "thing.py");
    put("faasd.json", "{\"memory\": \"64M\"}", 0644);
    expect_directory("", SETTINGS_RUNTIME_PYTHON, "app.py");
    put("faasd.json", "{broken", 0644);
    expect_directory("", SETTINGS_RUNTIME_EXEC, "");
    guess_runtime(top, "", &g);
    assert_true(g.has_manifest);
}

static void what_cannot_be_read_is_no_guess(void **state)
{
    (void)state;
    struct guess g;
    guess_runtime("/nonexistent/app.py", "", &g);
    assert_int_equal(g.runtime, SETTINGS_RUNTIME_EXEC);
    guess_runtime("/dev/null", "", &g);
    assert_int_equal(g.runtime, SETTINGS_RUNTIME_EXEC);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_file_goes_by_its_suffix_unless_it_is_executable, make_top, remove_top),
        cmocka_unit_test_setup_teardown(a_directory_goes_by_the_file_that_its_runtime_starts_with, make_top,
                                        remove_top),
        cmocka_unit_test_setup_teardown(a_handler_says_more_than_the_files, make_top, remove_top),
        cmocka_unit_test_setup_teardown(a_manifest_has_the_last_word, make_top, remove_top),
        cmocka_unit_test(what_cannot_be_read_is_no_guess),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
