/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/options.h"

#include "cmd/cmd.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

struct found {
    bool json;
    bool follow;
    const char *output;
    const char *lines;
    const char *values[8];
    unsigned value_count;
};

static int on_value(void *target, const char *value, struct err *e)
{
    struct found *f = target;
    if (value && strcmp(value, "bad") == 0)
        return err_say(e, EINVAL, "that is bad");
    f->values[f->value_count++] = value;
    return 0;
}

/* stderr of one parse, so that messages can be looked at and do not litter the test's own output. */
static char said[1024];

static int parse(struct found *f, struct options *o, int argc, char **argv)
{
    const struct option table[] = {
        {.name = "json", .kind = OPTION_BOOL, .target = &f->json},
        {.name = "follow", .letter = 'f', .kind = OPTION_BOOL, .target = &f->follow},
        {.name = "output", .letter = 'o', .kind = OPTION_TEXT, .target = &f->output},
        {.name = "lines", .letter = 'n', .kind = OPTION_TEXT, .target = &f->lines},
        {0},
    };
    const struct option second[] = {
        {.name = "memory", .kind = OPTION_CALL, .target = f, .on_value = on_value},
        {.name = "tmp-exec", .kind = OPTION_SWITCH, .target = f, .on_value = on_value},
        {0},
    };
    *f = (struct found){0};
    *o = (struct options){.command = "ls",
                          .tables = {table, second},
                          .operands_min = o->operands_min,
                          .operands_max = o->operands_max,
                          .operands_text = "NAME"};
    int kept = dup(STDERR_FILENO);
    FILE *file = tmpfile();
    fflush(stderr);
    dup2(fileno(file), STDERR_FILENO);
    int status = options_parse(o, argc, argv);
    fflush(stderr);
    dup2(kept, STDERR_FILENO);
    close(kept);
    rewind(file);
    size_t n = fread(said, 1, sizeof(said) - 1, file);
    said[n] = '\0';
    fclose(file);
    return status;
}

#define PARSE(f, o, ...)                                                                                               \
    parse((f), (o), (int)(sizeof((char *[]){"ls", __VA_ARGS__}) / sizeof(char *)), (char *[]){"ls", __VA_ARGS__, NULL})

static void a_value_follows_after_a_space_or_an_equals_sign(void **state)
{
    (void)state;
    struct found f;
    struct options o = {.operands_max = 0};
    assert_int_equal(PARSE(&f, &o, "--output", "a", "--memory=64M", "--memory", "1G"), OPTIONS_GO_ON);
    assert_string_equal(f.output, "a");
    assert_int_equal(f.value_count, 2);
    assert_string_equal(f.values[0], "64M");
    assert_string_equal(f.values[1], "1G");
}

static void a_value_may_hold_an_equals_sign_or_be_empty(void **state)
{
    (void)state;
    struct found f;
    struct options o = {.operands_max = 0};
    assert_int_equal(PARSE(&f, &o, "--memory=K=V=W", "--output="), OPTIONS_GO_ON);
    assert_string_equal(f.values[0], "K=V=W");
    assert_string_equal(f.output, "");
}

static void a_value_may_look_like_an_option(void **state)
{
    (void)state;
    struct found f;
    struct options o = {.operands_max = 0};
    assert_int_equal(PARSE(&f, &o, "--output", "--json"), OPTIONS_GO_ON);
    assert_string_equal(f.output, "--json");
    assert_false(f.json);
}

static void letters_bundle_and_the_last_takes_the_value(void **state)
{
    (void)state;
    struct found f;
    struct options o = {.operands_max = 0};
    assert_int_equal(PARSE(&f, &o, "-fn10"), OPTIONS_GO_ON);
    assert_true(f.follow);
    assert_string_equal(f.lines, "10");
    assert_int_equal(PARSE(&f, &o, "-fo", "file"), OPTIONS_GO_ON);
    assert_true(f.follow);
    assert_string_equal(f.output, "file");
}

static void operands_and_options_mix(void **state)
{
    (void)state;
    struct found f;
    struct options o = {.operands_max = -1};
    assert_int_equal(PARSE(&f, &o, "one", "--json", "two", "-f", "-"), OPTIONS_GO_ON);
    assert_int_equal(o.operand_count, 3);
    assert_string_equal(o.operands[0], "one");
    assert_string_equal(o.operands[1], "two");
    assert_string_equal(o.operands[2], "-");
    assert_null(o.operands[3]);
    assert_int_equal(o.after_dashes, -1);
    assert_true(f.json && f.follow);
}

static void nothing_behind_two_dashes_is_an_option(void **state)
{
    (void)state;
    struct found f;
    struct options o = {.operands_max = -1};
    assert_int_equal(PARSE(&f, &o, "one", "--", "--json", "--", "-x"), OPTIONS_GO_ON);
    assert_int_equal(o.after_dashes, 1);
    assert_int_equal(o.operand_count, 4);
    assert_string_equal(o.operands[1], "--json");
    assert_string_equal(o.operands[2], "--");
    assert_string_equal(o.operands[3], "-x");
    assert_null(o.operands[4]);
    assert_false(f.json);
}

static void an_unknown_option_names_the_nearest(void **state)
{
    (void)state;
    struct found f;
    struct options o = {.operands_max = 0};
    assert_int_equal(PARSE(&f, &o, "--memroy=64M"), CMD_USAGE);
    assert_non_null(strstr(said, "unknown option '--memroy', did you mean '--memory'?"));
    assert_int_equal(PARSE(&f, &o, "--completely-different"), CMD_USAGE);
    assert_null(strstr(said, "did you mean"));
    assert_int_equal(PARSE(&f, &o, "-z"), CMD_USAGE);
    assert_non_null(strstr(said, "unknown option '-z'"));
}

static void a_missing_value_is_refused(void **state)
{
    (void)state;
    struct found f;
    struct options o = {.operands_max = 0};
    assert_int_equal(PARSE(&f, &o, "--output"), CMD_USAGE);
    assert_non_null(strstr(said, "'--output' needs a value"));
    assert_int_equal(PARSE(&f, &o, "-n"), CMD_USAGE);
    assert_non_null(strstr(said, "'-n' needs a value"));
}

static void a_flag_takes_no_value(void **state)
{
    (void)state;
    struct found f;
    struct options o = {.operands_max = 0};
    assert_int_equal(PARSE(&f, &o, "--json=yes"), CMD_USAGE);
    assert_non_null(strstr(said, "takes no value"));
}

static void a_switch_takes_its_value_only_after_an_equals_sign(void **state)
{
    (void)state;
    struct found f;
    struct options o = {.operands_max = 1};
    assert_int_equal(PARSE(&f, &o, "--tmp-exec", "no", "--tmp-exec=no"), OPTIONS_GO_ON);
    assert_int_equal(o.operand_count, 1);
    assert_int_equal(f.value_count, 2);
    assert_null(f.values[0]);
    assert_string_equal(f.values[1], "no");
}

static void a_refused_value_names_its_option(void **state)
{
    (void)state;
    struct found f;
    struct options o = {.operands_max = 0};
    assert_int_equal(PARSE(&f, &o, "--memory", "bad"), CMD_USAGE);
    assert_non_null(strstr(said, "--memory: that is bad"));
}

static void too_few_and_too_many_operands_are_refused(void **state)
{
    (void)state;
    struct found f;
    struct options o = {.operands_min = 1, .operands_max = 1};
    assert_int_equal(PARSE(&f, &o, "--json"), CMD_USAGE);
    assert_non_null(strstr(said, "NAME"));
    assert_int_equal(PARSE(&f, &o, "a", "b"), CMD_USAGE);
    assert_non_null(strstr(said, "'b'"));
    assert_int_equal(PARSE(&f, &o, "a"), OPTIONS_GO_ON);
}

static void help_ends_with_success(void **state)
{
    (void)state;
    struct found f;
    struct options o = {.operands_min = 1, .operands_max = 1};
    int kept = dup(STDOUT_FILENO);
    fflush(stdout);
    assert_non_null(freopen("/dev/null", "w", stdout));
    int status = PARSE(&f, &o, "--help");
    fflush(stdout);
    dup2(kept, STDOUT_FILENO);
    close(kept);
    assert_int_equal(status, CMD_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_follows_after_a_space_or_an_equals_sign),
        cmocka_unit_test(a_value_may_hold_an_equals_sign_or_be_empty),
        cmocka_unit_test(a_value_may_look_like_an_option),
        cmocka_unit_test(letters_bundle_and_the_last_takes_the_value),
        cmocka_unit_test(operands_and_options_mix),
        cmocka_unit_test(nothing_behind_two_dashes_is_an_option),
        cmocka_unit_test(an_unknown_option_names_the_nearest),
        cmocka_unit_test(a_missing_value_is_refused),
        cmocka_unit_test(a_flag_takes_no_value),
        cmocka_unit_test(a_switch_takes_its_value_only_after_an_equals_sign),
        cmocka_unit_test(a_refused_value_names_its_option),
        cmocka_unit_test(too_few_and_too_many_operands_are_refused),
        cmocka_unit_test(help_ends_with_success),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
