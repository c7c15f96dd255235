/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/settings_flags.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
    struct settings_flags flags;
    struct buf json;
    struct err e;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    if (!f || settings_flags_init(&f->flags) < 0)
        return -1;
    buf_init(&f->json, 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    settings_flags_fini(&f->flags);
    buf_fini(&f->json);
    free(f);
    return 0;
}

static int give(struct fixture *f, const char *name, const char *value)
{
    for (const struct option *at = f->flags.table; at->name; at++)
        if (strcmp(at->name, name) == 0)
            return at->on_value(at->target, value, &f->e);
    fail_msg("no option --%s", name);
    return 0;
}

static const char *print(struct fixture *f)
{
    f->json.len = 0;
    assert_int_equal(settings_flags_print_json(&f->flags, &f->json, &f->e), 0);
    assert_int_equal(buf_add(&f->json, "", 1), 0);
    return f->json.data;
}

static void a_runtime_is_sent_as_it_was_given(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(give(f, "runtime", "python3.11"), 0);
    assert_int_equal(give(f, "imports", "json,xml.etree"), 0);
    assert_int_equal(give(f, "isolation", "fork"), 0);
    assert_string_equal(print(f), "{\"runtime\":\"python3.11\",\"isolation\":\"fork\",\"imports\":\"json,xml.etree\"}");
    assert_int_equal(give(f, "runtime", "python2"), -EINVAL);
    assert_int_equal(strncmp(f->e.text, "'python2' is not one of", 23), 0);
}

static void every_key_is_an_option_with_dashes(void **state)
{
    struct fixture *f = *state;
    for (unsigned i = 0; settings_key_name(i); i++)
        assert_null(strchr(f->flags.table[i].name, '_'));
    assert_int_equal(give(f, "cpu-weight", "200"), 0);
    assert_non_null(strstr(print(f), "\"cpu_weight\":200"));
}

static void nothing_given_is_an_empty_object(void **state)
{
    struct fixture *f = *state;
    assert_false(settings_flags_are_given(&f->flags));
    assert_string_equal(print(f), "{}");
}

static void a_switch_without_a_value_is_yes(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(give(f, "tmp-exec", NULL), 0);
    assert_string_equal(print(f), "{\"tmp_exec\":true}");
    assert_int_equal(give(f, "tmp-exec", "no"), 0);
    assert_string_equal(print(f), "{\"tmp_exec\":false}");
}

static void the_last_word_on_a_variable_wins(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(give(f, "env", "A=1"), 0);
    assert_int_equal(give(f, "env", "AB=2"), 0);
    assert_int_equal(give(f, "unset-env", "A"), 0);
    assert_string_equal(print(f), "{\"env\":{\"A\":null,\"AB\":\"2\"}}");
    assert_int_equal(give(f, "env", "A=x=y"), 0);
    assert_string_equal(print(f), "{\"env\":{\"A\":\"x=y\",\"AB\":\"2\"}}");
}

static void a_bare_name_is_taken_from_the_environment(void **state)
{
    struct fixture *f = *state;
    setenv("FAASD_TEST_HERE", "there", 1);
    unsetenv("FAASD_TEST_ABSENT");
    assert_int_equal(give(f, "env", "FAASD_TEST_HERE"), 0);
    assert_string_equal(print(f), "{\"env\":{\"FAASD_TEST_HERE\":\"there\"}}");
    assert_int_equal(give(f, "env", "FAASD_TEST_ABSENT"), -EINVAL);
    assert_non_null(strstr(f->e.text, "FAASD_TEST_ABSENT=VALUE"));
}

static void an_empty_value_is_not_a_removal(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(give(f, "env", "A="), 0);
    assert_string_equal(print(f), "{\"env\":{\"A\":\"\"}}");
}

static void everything_past_ascii_is_escaped(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(give(f, "env", "A=\xc3\xa4\xf0\x9f\x90\x9a"), 0);
    assert_int_equal(give(f, "description", "\xe2\x82\xac"), 0);
    const char *json = print(f);
    for (const char *p = json; *p; p++)
        assert_true((unsigned char)*p >= 0x20 && (unsigned char)*p < 0x7f);
    assert_non_null(strstr(json, "\"A\":\"\\u00e4\\ud83d\\udc1a\""));
    assert_non_null(strstr(json, "\"description\":\"\\u20ac\""));
}

static void bytes_that_are_no_text_are_refused(void **state)
{
    struct fixture *f = *state;
    static const char *const values[] = {"A=\xff", "A=\xc0\x80", "A=\xed\xa0\x80", "A=\xf4\x90\x80\x80", "A=\xe2\x82"};
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
        assert_int_equal(give(f, "env", values[i]), -EINVAL);
    assert_string_equal(print(f), "{}");
}

static void a_bad_value_is_refused_without_repeating_the_key(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(give(f, "memory", "128"), -EINVAL);
    assert_non_null(strstr(f->e.text, "did you mean 128M?"));
    assert_true(strncmp(f->e.text, "memory", 6) != 0);
}

static void a_file_gives_variables_line_by_line(void **state)
{
    struct fixture *f = *state;
    char path[] = "/tmp/faasd-env-XXXXXX";
    int fd = mkstemp(path);
    static const char text[] = "# comment\n\nA=1 # not a comment\r\nB='quoted'\nC=last";
    assert_int_equal(write(fd, text, sizeof(text) - 1), sizeof(text) - 1);
    close(fd);
    assert_int_equal(give(f, "env-file", path), 0);
    unlink(path);
    assert_string_equal(print(f), "{\"env\":{\"A\":\"1 # not a comment\",\"B\":\"'quoted'\",\"C\":\"last\"}}");
    assert_int_equal(give(f, "env-file", path), -ENOENT);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_runtime_is_sent_as_it_was_given),   TEST(every_key_is_an_option_with_dashes),
        TEST(nothing_given_is_an_empty_object),    TEST(a_switch_without_a_value_is_yes),
        TEST(the_last_word_on_a_variable_wins),    TEST(a_bare_name_is_taken_from_the_environment),
        TEST(an_empty_value_is_not_a_removal),     TEST(everything_past_ascii_is_escaped),
        TEST(bytes_that_are_no_text_are_refused),  TEST(a_bad_value_is_refused_without_repeating_the_key),
        TEST(a_file_gives_variables_line_by_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
