/* SPDX-License-Identifier: Apache-2.0 */
/* The bounds of what settings hold more than one of, the edges of what a value may be, and what is printed of changes. */
#include "codec/settings.h"

#include "codec/settings_calls.h"

#include "settings_defaults.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int set_up(void **state)
{
    struct settings *s = malloc(sizeof(*s));
    if (s)
        settings_init(s, &defaults);
    *state = s;
    return s ? 0 : -1;
}

static int tear_down(void **state)
{
    settings_fini(*state);
    free(*state);
    return 0;
}

static void take(struct settings *s, const char *key, const char *value)
{
    struct err e = {0};
    if (settings_set_text(s, key, str_from(value), &e) < 0)
        fail_msg("%s %s: %s", key, value, e.text);
}

static void refuse(struct settings *s, const char *key, const char *value, const char *why)
{
    struct err e = {0};
    int r = settings_set_text(s, key, str_from(value), &e);
    if (r != -EINVAL || !strstr(e.text, why))
        fail_msg("%s %s: %d, '%s' does not say '%s'", key, value, r, e.text, why);
}

static void refuse_json(struct settings *s, const char *json, const char *why)
{
    struct err e = {0};
    int r = settings_read_json(s, &defaults, str_from(json), &e);
    if (r != -EINVAL || !strstr(e.text, why))
        fail_msg("%s: %d, '%s' does not say '%s'", json, r, e.text, why);
}

static char *repeat(char *out, char c, size_t n)
{
    memset(out, c, n);
    out[n] = '\0';
    return out;
}

static void variables_have_names_that_a_shell_could_set(void **state)
{
    struct settings *s = *state;
    char name[260];
    static const char *const good[] = {"a=", "z9=1", "_=x=y", "Az_0=", "Z="};
    static const char *const bad[] = {"=x", "9a=1", "a-b=1", "a b=1", "a{=1", "a:=1", "\xc3\xa9=1"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        take(s, "env", good[i]);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        refuse(s, "env", bad[i], "is not a variable's name");
    take(s, "env", strcat(repeat(name, 'n', 256), "="));
    refuse(s, "env", strcat(repeat(name, 'n', 257), "="), "is not a variable's name");
    refuse(s, "env", "NAME", "'NAME' is not NAME=VALUE");
}

static void a_value_with_a_nul_is_refused_where_text_is_not_looked_at_before(void **state)
{
    struct settings *s = *state;
    struct err e = {0};
    assert_int_equal(settings_set_text(s, "env", STR_LITERAL("A=x\0y"), &e), -EINVAL);
    assert_non_null(strstr(e.text, "the value of A holds a NUL byte"));
}

static void the_last_variable_can_go(void **state)
{
    struct settings *s = *state;
    struct err e = {0};
    take(s, "env", "A=1");
    assert_int_equal(settings_read_json(s, &defaults, STR_LITERAL("{\"env\":{\"A\":null,\"B\":null}}"), &e), 0);
    assert_int_equal(s->env_bytes, 0);
    assert_null(s->env);
    assert_false(s->given & (UINT64_C(1) << SETTINGS_KEY_ENV));
}

static void one_value_over_the_whole_bound_is_refused(void **state)
{
    struct settings *s = *state;
    char *value = malloc(SETTINGS_ENV_BYTES_MAX + 8);
    assert_non_null(value);
    repeat(value, 'v', SETTINGS_ENV_BYTES_MAX + 3);
    memcpy(value, "A=", 2);
    refuse(s, "env", value, "with A the environment is over 65536 bytes");
    free(value);
}

static void mounts_are_bounded_and_lie_apart(void **state)
{
    struct settings *s = *state;
    char text[2 * SETTINGS_PATH_MAX + 2] = "/src:/", long_path[SETTINGS_PATH_MAX + 1];
    refuse(s, "mount", "relative:/x", "is not an absolute path");
    refuse(s, "mount", "/x:y", "is not an absolute path");
    refuse(s, "mount", "/a//b:/x", "without '.', '..' and '//'");
    refuse(s, "mount", "/a/./b:/x", "without '.', '..' and '//'");
    refuse(s, "mount", ":/x", "is not an absolute path");
    refuse(s, "mount", "/a\x01:/x", "control characters");
    refuse(s, "mount", strcat(text, repeat(long_path, 'p', SETTINGS_PATH_MAX - 1)),
           "a path of 256 bytes; the most is 255");
    refuse(s, "mount", repeat(text, 'm', 300), "is not SRC:DST or SRC:DST:rw");
    strcpy(text, "/src:/");
    take(s, "mount", strcat(text, repeat(long_path, 'p', SETTINGS_PATH_MAX - 2)));
    take(s, "mount", "/src:/m/deep");
    refuse(s, "mount", "/src:/m/deep", "'/m/deep' and '/m/deep' overlap");
    refuse(s, "mount", "/src:/m", "'/m/deep' and '/m' overlap");
    refuse(s, "mount", "/src:/m/deep/er", "overlap");
    take(s, "mount", "/src:/m/deeper"); /* a name that begins alike */
    for (char target[] = "/src:/n0"; s->mount_count < SETTINGS_MOUNTS_MAX; target[7]++)
        take(s, "mount", target);
    refuse(s, "mount", "/src:/one/more", "more than 8 mounts");
}

static void devices_are_bounded_and_different(void **state)
{
    struct settings *s = *state;
    char text[SETTINGS_PATH_MAX + 8] = "/dev/", name[128];
    refuse(s, "device", "ttyS0", "is not an absolute path");
    refuse(s, "device", strcat(text, repeat(name, 'd', 59)), "is not a device such as /dev/ttyS0");
    strcpy(text, "/dev/");
    take(s, "device", strcat(text, repeat(name, 'd', 58)));
    for (char device[] = "/dev/x0"; s->device_count < SETTINGS_DEVICES_MAX; device[6]++)
        take(s, "device", device);
    refuse(s, "device", "/dev/y", "more than 8 devices");
    refuse_json(s, "{\"device\": [\"/dev/a\", 7]}", "an array of strings was expected, with a number in it");
}

static void secrets_files_have_names_of_64_bytes_at_most(void **state)
{
    struct settings *s = *state;
    char text[80] = "db=", name[70];
    take(s, "secret", strcat(text, repeat(name, 'f', 64)));
    strcpy(text, "db=");
    refuse(s, "secret", strcat(text, repeat(name, 'f', 65)), "that is no file name");
}

static void hosts_are_bounded_and_different(void **state)
{
    struct settings *s = *state;
    struct err e = {0};
    char text[64];
    for (unsigned i = 0; i < EGRESS_RULES_MAX; i++) {
        snprintf(text, sizeof(text), "h%u.example:443", i);
        take(s, "allow_host", text);
    }
    refuse(s, "allow_host", "other.example:443", "more than 16 hosts");
    assert_int_equal(settings_read_json(s, &defaults, STR_LITERAL("{\"allow_host\":null}"), &e), 0);
    assert_int_equal(s->allow_count, 0);
    assert_false(s->given & (UINT64_C(1) << SETTINGS_KEY_ALLOW_HOST));
    take(s, "allow_host", "one.example:443");
    assert_true(s->given & (UINT64_C(1) << SETTINGS_KEY_ALLOW_HOST));
    assert_int_equal(settings_read_json(s, &defaults, STR_LITERAL("{\"allow_host\":[]}"), &e), 0);
    assert_false(s->given & (UINT64_C(1) << SETTINGS_KEY_ALLOW_HOST));
    take(s, "allow_host", "A.example:443");
    refuse(s, "allow_host", "a.example:443", "'a.example:443' stands there twice");
    take(s, "allow_host", "a.example:443/udp");
    assert_int_equal(settings_check(s, false, &e), -EINVAL);
    assert_non_null(strstr(e.text, "it is for network egress, and network is none"));
    take(s, "network", "host");
    assert_int_equal(settings_check(s, false, &e), -EINVAL);
    assert_non_null(strstr(e.text, "it is for network egress, and network is host"));
    take(s, "network", "egress");
    assert_int_equal(settings_check(s, false, &e), 0);
}

static void system_calls_are_sorted_named_and_bounded(void **state)
{
    struct settings *s = *state;
    struct str name;
    char text[64];
    static const char *const bad[] = {"", "read,", "Read", "re-ad", "re{ad", "re:ad", "re.ad", "read write"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        refuse(s, "system_calls", bad[i], "is no system call's name: write read,openat");
    settings_drop_calls(s);
    take(s, "system_calls", "write,pread64,read,write,writev,_llseek");
    take(s, "system_calls", "close,read");
    size_t at = 0;
    for (const char *const *want =
             (const char *const[]){"_llseek", "close", "pread64", "read", "write", "writev", NULL};
         *want; want++) {
        assert_true(settings_call_next(s, &at, &name));
        assert_true(str_is(name, *want));
    }
    assert_false(settings_call_next(s, &at, &name));
    take(s, "system_calls", repeat(text, 'c', SETTINGS_CALL_NAME_MAX - 1));
    refuse(s, "system_calls", repeat(text, 'c', SETTINGS_CALL_NAME_MAX), "is no system call's name");
    for (unsigned i = 7; i < SETTINGS_CALLS_MAX; i++) {
        snprintf(text, sizeof(text), "call%u", i);
        take(s, "system_calls", text);
    }
    take(s, "system_calls", "read"); /* one that is there already */
    refuse(s, "system_calls", "call0", "more than 512 names");
}

static void values_have_edges(void **state)
{
    struct settings *s = *state;
    char text[200];
    take(s, "content_type", "text/plain");
    refuse(s, "content_type", "/plain", "is not a media type");
    refuse(s, "content_type", "text/", "is not a media type");
    refuse(s, "content_type", "text/pl\xc3\xa9", "only printable ASCII");
    take(s, "cpuset", "0-4095,7");
    refuse(s, "cpuset", "x", "is not a list of CPUs");
    refuse(s, "cpuset", "0-x", "is not a list of CPUs");
    refuse(s, "cpuset", "4096", "is not a list of CPUs");
    refuse(s, "cpuset", "0-4096", "is not a list of CPUs");
    take(s, "imports", "json,Xml.etree._x9");
    refuse(s, "imports", "json,{x", "is not a module's name");
    refuse(s, "imports", "json,", "is not a module's name");
    refuse(s, "imports", repeat(text, '9', 100), "is not a module's name");
    take(s, "on_success", "");
    refuse(s, "on_success", "a{b", "is not a function's NAME or NAME:QUALIFIER");
    refuse(s, "on_failure", "a:b:c", "is not a function's NAME or NAME:QUALIFIER");
    take(s, "cors", "https://a-b_c.example:65535");
    refuse(s, "cors", "https://a.example:65536", "is not an origin");
    refuse(s, "cors", "https://a{b", "is not an origin");
    refuse(s, "cors", "http://[::1]8080", "is not an origin");
    take(s, "cors", "http://[::1]");
    repeat(text, 'A', 98);
    memcpy(text, "https://", 8);
    refuse(s, "cors", text, "is not an origin");
    refuse(s, "runtime", "nodejs20.x.x", "is not one of");
    refuse(s, "runtime", "nodejsx.x", "is not one of");
    refuse_json(s, "{\"$schema\": 1}", "$schema: a string was expected, not a number");
    refuse_json(s, "{\"handler\": 1, \"memory\": \"64M\"}", "handler: a string was expected");
}

static void one_key_of_a_pair_may_still_follow(void **state)
{
    struct settings *s = *state;
    struct err e = {0};
    take(s, "max_concurrency", "2");
    s->min_warm = 3; /* a default: what is deployed with it may give another */
    assert_int_equal(settings_check(s, true, &e), 0);
    assert_int_equal(settings_check(s, false, &e), -EINVAL);
    s->min_warm = 0;
    s->reserved = 3;
    assert_int_equal(settings_check(s, true, &e), 0);
    assert_int_equal(settings_check(s, false, &e), -EINVAL);
    s->reserved = 0;
    take(s, "tmp", "128M");
    assert_int_equal(settings_check(s, false, &e), 0);
    take(s, "contract", "cgi");
    assert_int_equal(settings_check(s, false, &e), 0);
    take(s, "payload", "http");
    assert_int_equal(settings_check(s, false, &e), -EINVAL);
    assert_non_null(strstr(e.text, "payload: http and contract cgi exclude each other"));
}

static void handlers_of_modules_have_edges(void **state)
{
    (void)state;
    char module[SETTINGS_PATH_MAX], function[SETTINGS_PATH_MAX], text[2 * SETTINGS_PATH_MAX];
    static const char *const python[] = {"a.b", "pkg.mod.Az_9", "pkg/mod.run", "m.\xc3\xa9t\xc3\xa9"};
    static const char *const no_python[] = {"", "a", ".b", "a.", "a.9b", "a.b-c", "a.b{", "a.b:", "a..b"};
    for (size_t i = 0; i < sizeof(python) / sizeof(python[0]); i++)
        assert_true(settings_handler_split(SETTINGS_RUNTIME_PYTHON, python[i], module, function));
    for (size_t i = 0; i < sizeof(no_python) / sizeof(no_python[0]); i++)
        if (settings_handler_split(SETTINGS_RUNTIME_PYTHON, no_python[i], module, function))
            fail_msg("'%s' was taken", no_python[i]);
    assert_true(settings_handler_split(SETTINGS_RUNTIME_NODE, "dir/index.a.b", module, function));
    assert_string_equal(module, "dir/index");
    assert_string_equal(function, "a.b");
    assert_false(settings_handler_split(SETTINGS_RUNTIME_EXEC, "a.b", module, function));
    strcat(repeat(text, 'm', SETTINGS_PATH_MAX), ".f");
    assert_false(settings_handler_split(SETTINGS_RUNTIME_NODE, text, module, function));
    strcpy(text, "m.");
    repeat(text + 2, 'f', SETTINGS_PATH_MAX);
    assert_false(settings_handler_split(SETTINGS_RUNTIME_NODE, text, module, function));
}

/* ---- what is printed ---- */

static void fill(struct settings *s)
{
    static const char *const values[][2] = {
        {"env", "A=1"},
        {"env", "B=2"},
        {"env", "D=4"},
        {"mount", "/a:/b:rw"},
        {"mount", "/c:/d"},
        {"device", "/dev/x"},
        {"device", "/dev/y"},
        {"secret", "db"},
        {"secret", "tls=key"},
        {"system_calls", "read"},
        {"system_calls", "write"},
        {"allow_host", "public"},
        {"allow_host", "a.example:443"},
        {"runtime", "python"},
    };
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
        take(s, values[i][0], values[i][1]);
}

static void every_change_is_listed(void **state)
{
    struct settings *s = *state;
    struct settings before;
    struct buf out;
    settings_init(&before, &defaults);
    take(&before, "env", "A=1");
    take(&before, "env", "AB=1");
    take(&before, "env", "B=3");
    take(&before, "env", "E=5");
    fill(s);
    buf_init(&out, 0);
    assert_int_equal(settings_print_changes(&before, s, &out), 0);
    assert_int_equal(buf_add(&out, "", 1), 0);
    assert_string_equal(out.data, "runtime exec -> python\n"
                                  "env AB removed\nenv B changed\nenv D added\nenv E removed\n"
                                  "allow_host none -> public, a.example:443\n"
                                  "mount none -> /a:/b:rw, /c:/d\n"
                                  "device none -> /dev/x, /dev/y\n"
                                  "secret none -> db, tls=key\n"
                                  "system_calls none -> read, write\n");
    out.len = 0;
    assert_int_equal(settings_print_changes(s, &before, &out), 0);
    assert_int_equal(buf_add(&out, "", 1), 0);
    assert_non_null(strstr(out.data, "env AB added\nenv B changed\nenv D removed\nenv E added\n"));
    assert_non_null(strstr(out.data, "device /dev/x, /dev/y -> none\n"));
    buf_fini(&out);
    settings_fini(&before);
}

static void a_list_without_room_is_told_of_however_little_there_is(void **state)
{
    struct settings *s = *state;
    struct settings before;
    struct buf whole, out;
    settings_init(&before, &defaults);
    fill(s);
    buf_init(&whole, 0);
    assert_int_equal(settings_print_changes(&before, s, &whole), 0);
    for (size_t room = 1; room <= whole.len; room++) {
        buf_init(&out, room);
        int r = settings_print_changes(&before, s, &out);
        /* a buffer may keep a byte for itself, never give one more */
        assert_true(r < 0 || room == whole.len);
        assert_true(out.len <= room);
        buf_fini(&out);
    }
    buf_fini(&whole);
    settings_fini(&before);
}

static void null_returns_each_list_to_none(void **state)
{
    struct settings *s = *state;
    struct err e = {0};
    fill(s);
    assert_int_equal(settings_read_json(
                         s, &defaults,
                         STR_LITERAL("{\"env\":null,\"mount\":null,\"device\":null,\"secret\":null,\"allow_host\":null,"
                                     "\"system_calls\":null,\"runtime\":null}"),
                         &e),
                     0);
    assert_int_equal(s->given, 0);
    assert_true(!s->env_bytes && !s->mount_count && !s->device_count && !s->secrets_bytes && !s->calls_bytes &&
                !s->allow_count);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(variables_have_names_that_a_shell_could_set),
        TEST(a_value_with_a_nul_is_refused_where_text_is_not_looked_at_before),
        TEST(the_last_variable_can_go),
        TEST(one_value_over_the_whole_bound_is_refused),
        TEST(mounts_are_bounded_and_lie_apart),
        TEST(devices_are_bounded_and_different),
        TEST(secrets_files_have_names_of_64_bytes_at_most),
        TEST(hosts_are_bounded_and_different),
        TEST(system_calls_are_sorted_named_and_bounded),
        TEST(values_have_edges),
        TEST(one_key_of_a_pair_may_still_follow),
        TEST(handlers_of_modules_have_edges),
        TEST(every_change_is_listed),
        TEST(a_list_without_room_is_told_of_however_little_there_is),
        TEST(null_returns_each_list_to_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
