/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/run_command.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void a_bare_name_is_searched_in_the_sandboxs_path(void **state)
{
    (void)state;
    struct run_command c;
    struct err e = {0};
    char *argv[] = {"sh", NULL};
    assert_int_equal(run_command_find(&c, argv, &e), 0);
    assert_false(c.local);
    assert_non_null(strstr(c.program, "/bin/sh"));
}

static void a_name_that_is_nowhere_says_where_was_searched(void **state)
{
    (void)state;
    struct run_command c;
    struct err e = {0};
    char *argv[] = {"no-such-program-here", NULL};
    assert_int_equal(run_command_find(&c, argv, &e), -ENOENT);
    assert_non_null(strstr(e.text, "/usr/bin"));
}

static void a_directory_is_no_command(void **state)
{
    (void)state;
    struct run_command c;
    struct err e = {0};
    char *argv[] = {"/usr/bin/", NULL};
    assert_int_equal(run_command_find(&c, argv, &e), -EACCES);
}

static void a_file_outside_the_shared_trees_is_sent(void **state)
{
    (void)state;
    struct run_command c;
    struct err e = {0};
    char *argv[] = {"/etc/passwd", NULL};
    assert_int_equal(run_command_find(&c, argv, &e), 0);
    assert_true(c.local);
    assert_string_equal(c.program, "/etc/passwd");
}

static bool read_status(const char *text, size_t *ret_length, int *ret_status)
{
    struct run_command c = {.mark = "MARK"};
    struct str output = str_from(text);
    bool found = run_command_read_status(&c, &output, ret_status);
    *ret_length = output.n;
    return found;
}

static void the_status_is_cut_off_the_output(void **state)
{
    (void)state;
    size_t n;
    int status = -1;
    assert_true(read_status("hello\nMARK 3\n", &n, &status));
    assert_int_equal(n, 5);
    assert_int_equal(status, 3);
}

static void an_empty_output_has_a_status_too(void **state)
{
    (void)state;
    size_t n;
    int status = -1;
    assert_true(read_status("\nMARK 0\n", &n, &status));
    assert_int_equal(n, 0);
    assert_int_equal(status, 0);
}

static void the_last_mark_counts_and_what_follows_it_is_dropped(void **state)
{
    (void)state;
    size_t n;
    int status = -1;
    assert_true(read_status("a\nMARK 1\nb\nMARK 2\nstray", &n, &status));
    assert_int_equal(status, 2);
    assert_int_equal(n, strlen("a\nMARK 1\nb"));
}

static void output_without_a_mark_is_left_alone(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "x", "MARK 1\n", "x\nMARK", "x\nMARK abc\n", "x\nMARK 256\n"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        size_t n;
        int status = -1;
        assert_false(read_status(texts[i], &n, &status));
        assert_int_equal(n, strlen(texts[i]));
    }
}

static void a_status_past_128_names_the_signal(void **state)
{
    (void)state;
    char text[64];
    run_command_describe(139, text, sizeof(text));
    assert_string_equal(text, "was killed by SIGSEGV (status 139)");
    run_command_describe(3, text, sizeof(text));
    assert_string_equal(text, "exited with status 3");
    run_command_describe(255, text, sizeof(text));
    assert_string_equal(text, "exited with status 255");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bare_name_is_searched_in_the_sandboxs_path),
        cmocka_unit_test(a_name_that_is_nowhere_says_where_was_searched),
        cmocka_unit_test(a_directory_is_no_command),
        cmocka_unit_test(a_file_outside_the_shared_trees_is_sent),
        cmocka_unit_test(the_status_is_cut_off_the_output),
        cmocka_unit_test(an_empty_output_has_a_status_too),
        cmocka_unit_test(the_last_mark_counts_and_what_follows_it_is_dropped),
        cmocka_unit_test(output_without_a_mark_is_left_alone),
        cmocka_unit_test(a_status_past_128_names_the_signal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
