/* SPDX-License-Identifier: Apache-2.0 */
/* The last value that a key takes and the first that it doesn't: of numbers, of lengths, of classes of bytes. */
#include "codec/settings.h"
#include "codec/settings_calls.h"
#include "codec/settings_key.h"
#include "codec/settings_secret.h"

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

struct bench {
    struct settings s;
    struct err e;
};

static int begin(void **state)
{
    static struct bench b;
    b = (struct bench){0};
    settings_init(&b.s, &defaults);
    *state = &b;
    return 0;
}

static int end(void **state)
{
    settings_fini(&((struct bench *)*state)->s);
    return 0;
}

static void accept_text(struct bench *b, const char *key, struct str value)
{
    if (settings_set_text(&b->s, key, value, &b->e) < 0)
        fail_msg("%s=%.*s: %s", key, (int)value.n, value.p, b->e.text);
}

static void refuse_text(struct bench *b, const char *key, struct str value, const char *why)
{
    if (settings_set_text(&b->s, key, value, &b->e) != -EINVAL)
        fail_msg("%s=%.*s is taken", key, (int)value.n, value.p);
    if (!strstr(b->e.text, why))
        fail_msg("%s=%.*s: '%s' does not say '%s'", key, (int)value.n, value.p, b->e.text, why);
}

static void accept(struct bench *b, const char *key, const char *value)
{
    accept_text(b, key, str_from(value));
}

static void refuse(struct bench *b, const char *key, const char *value, const char *why)
{
    refuse_text(b, key, str_from(value), why);
}

static void numbers_reach_to_their_bounds_and_no_further(void **state)
{
    static const struct {
        const char *key, *below, *least, *most, *above;
    } rows[] = {
        {"memory", "4095K", "4M", "1T", "1025G"},         {"timeout", NULL, "0", "7d", "604801s"},
        {"tmp", "65535B", "64K", "1T", "1025G"},          {"cpus", "0.009", "0.01", "1024", "1024.001"},
        {"cpu_weight", "0", "1", "10000", "10001"},       {"pids", "1", "2", "32768", "32769"},
        {"min_warm", NULL, "0", "1000", "1001"},          {"max_concurrency", "0", "1", "1000", "1001"},
        {"reserved", NULL, "0", "1000", "1001"},          {"keep_warm", NULL, "0", "365d", "8761h"},
        {"queue", NULL, "0", "100000", "100001"},         {"async_retries", NULL, "0", "1000", "1001"},
        {"async_backoff", NULL, "0", "24h", "86401s"},    {"async_max_age", "0", "1ms", "365d", "8761h"},
        {"async_concurrency", NULL, "0", "1000", "1001"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (rows[i].below)
            refuse(*state, rows[i].key, rows[i].below, "");
        accept(*state, rows[i].key, rows[i].least);
        accept(*state, rows[i].key, rows[i].most);
        refuse(*state, rows[i].key, rows[i].above, "");
    }
}

/* Until the next call. */
static const char *with_byte(const char *text, char byte)
{
    static char out[64];
    snprintf(out, sizeof(out), "%s", text);
    *strchr(out, '#') = byte;
    return out;
}

/* Of each class the first and last byte, and what stands beside them in ASCII. */
static void classes_of_bytes_end_where_they_should(void **state)
{
    static const struct {
        const char *key, *text, *good, *bad; /* each byte in the place of the '#' */
    } rows[] = {
        {"env", "#X=1", "azAZ_", "09/:@[`{^-. "},       {"env", "X#=1", "azAZ_09", "/:@[`{^-. "},
        {"imports", "#", "azAZ_", "09/:@[`{^-. "},      {"imports", "a#", "azAZ_09", "/:@[`{^-. "},
        {"imports", "a.#", "azAZ_", "09/:@[`{^-. "},    {"imports", "a#b", "azAZ_09.,", "/:@[`{^- "},
        {"system_calls", "#", "az09_", "/:@[`{^-. AZ"}, {"system_calls", "a#b", "az09_,", "/:@[`{^-. AZ"},
        {"secret", "#", "azAZ_09-", "/:@[`{^,. "},      {"secret", "x=#", "azAZ_09-", "/:@[`{^,. "},
        {"secret", "x=a#b", "azAZ_09-.", "/:@[`{^, "},  {"cors", "http://#", "az09-._", "/:@[`{^ AZ"},
        {"cors", "http://a:#", "19", "0/:a"},           {"cors", "http://[::#]", "az09", "/@[`{^ AZ"},
        {"content_type", "a/#", " ~!", "\x1f\x7f\t"},   {"cpuset", "#", "09", "/:-a "},
        {"runtime", "python3.#", "09", "/:a. "},        {"runtime", "node#", "09", "/:a. "},
        {"runtime", "nodejs#.x", "09", "/:a. "},        {"on_success", "#", "azAZ_09-", "/@[`{^,. "},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (const char *c = rows[i].good; *c; c++) {
            struct bench own = {0};
            settings_init(&own.s, &defaults);
            accept(&own, rows[i].key, with_byte(rows[i].text, *c));
            settings_fini(&own.s);
        }
        for (const char *c = rows[i].bad; *c; c++)
            refuse(*state, rows[i].key, with_byte(rows[i].text, *c), "");
    }
}

static void a_media_type_has_two_parts_of_one_byte_at_least(void **state)
{
    accept(*state, "content_type", "a/b");
    refuse(*state, "content_type", "a/", "media type");
    refuse(*state, "content_type", "/b", "media type");
    refuse(*state, "content_type", "ab", "media type");
    refuse(*state, "content_type", "", "media type");
}

static void cpus_are_numbered_to_4095_and_ranges_ascend(void **state)
{
    static const char *const good[] = {"", "0", "4095", "0-4095", "3-3", "0-1,3", "1,0", "7,8-9,10"};
    static const char *const bad[] = {"4096", "0-4096", "4-3", "-", "-1", "1-", ",", "1,", ",1", "1,,2", "1-2-3", "x"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        accept(*state, "cpuset", good[i]);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        refuse(*state, "cpuset", bad[i], "is not a list of CPUs such as 0-1,3");
}

static void a_variables_name_has_256_bytes_at_most(void **state)
{
    char text[300];
    memset(text, 'a', sizeof(text));
    text[256] = '=';
    accept_text(*state, "env", (struct str){text, 258});
    text[256] = 'a';
    text[257] = '=';
    refuse_text(*state, "env", (struct str){text, 259},
                "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa' is not a variable's name");
    refuse(*state, "env", "=1", "'' is not a variable's name");
    refuse(*state, "env", "LD_AUDIT=x", "LD_AUDIT is not allowed");
    accept(*state, "env", "LD_PRELOADED=x");
    refuse_text(*state, "env", STR_LITERAL("A=b\0c"), "the value of A holds a NUL byte");
}

/* A value that takes an old one's place is counted without it. */
static void the_environment_is_full_at_its_last_byte(void **state)
{
    struct bench *b = *state;
    char *text = malloc(SETTINGS_ENV_BYTES_MAX + 2);
    assert_non_null(text);
    memset(text, 'x', SETTINGS_ENV_BYTES_MAX + 2);
    memcpy(text, "M=", 2);
    accept_text(b, "env", (struct str){text, SETTINGS_ENV_BYTES_MAX - 5}); /* and a NUL */
    accept(b, "env", "A=1");
    assert_int_equal(b->s.env_bytes, SETTINGS_ENV_BYTES_MAX);
    accept(b, "env", "A=2");
    accept_text(b, "env", (struct str){text, SETTINGS_ENV_BYTES_MAX - 5});
    refuse_text(b, "env", (struct str){text, SETTINGS_ENV_BYTES_MAX - 4}, "with M the environment is over 65536 bytes");
    refuse(b, "env", "A=22", "with A the environment is over");
    assert_int_equal(b->s.env_bytes, SETTINGS_ENV_BYTES_MAX);
    assert_memory_equal(b->s.env, "A=2\0M=xx", 8);
    assert_int_equal(settings_env_change(&b->s, STR_LITERAL("M"), (struct str){0}, &b->e), 0);
    assert_int_equal(b->s.env_bytes, 4);
    assert_int_equal(settings_env_change(&b->s, STR_LITERAL("M"), (struct str){0}, &b->e), 0); /* it isn't there */
    assert_memory_equal(b->s.env, "A=2", 4);
    assert_int_equal(settings_env_change(&b->s, STR_LITERAL("A"), (struct str){0}, &b->e), 0);
    assert_null(b->s.env);
    assert_int_equal(b->s.env_bytes, 0);
    free(text);
}

static void a_path_has_255_bytes_at_most(void **state)
{
    struct bench *b = *state;
    char text[SETTINGS_PATH_MAX * 2];
    for (int n = SETTINGS_PATH_MAX - 1; n <= SETTINGS_PATH_MAX; n++) {
        snprintf(text, sizeof(text), "/%0*d:/b", n - 1, 0);
        if (n < SETTINGS_PATH_MAX)
            accept(b, "mount", text);
        else
            refuse(b, "mount", text, "a path of 256 bytes; the most is 255");
    }
    assert_int_equal(b->s.mount_count, 1);
    static const char *const bad[] = {"/a/:/b", "/a//b:/b", "/.:/b",  "/a/..:/b", "/a/./b:/b",
                                      ":/b",    "/a:",      "/a:/b/", "/a:b"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        refuse(b, "mount", bad[i], "");
    accept(b, "mount", "/.a/..b/c..:/c");
    refuse(b, "mount", "/:/d", "'/' is the whole tree");
    refuse(b, "mount", "/a:/d:rw:", "is not SRC:DST");
    refuse(b, "mount", "/a:/d:", "is not SRC:DST");
    accept(b, "mount", "/a:/d:ro");
    assert_false(b->s.mounts[2].writable);
    accept(b, "mount", "/a:/e:rw");
    assert_true(b->s.mounts[3].writable);
}

static void eight_mounts_and_devices_are_as_many_as_there_may_be(void **state)
{
    struct bench *b = *state;
    char text[128];
    for (int i = 0; i < 9; i++) {
        snprintf(text, sizeof(text), "/a:/m%d", i);
        if (i < SETTINGS_MOUNTS_MAX)
            accept(b, "mount", text);
        else
            refuse(b, "mount", text, "more than 8 mounts");
        snprintf(text, sizeof(text), "/dev/tty%d", i);
        if (i < SETTINGS_DEVICES_MAX)
            accept(b, "device", text);
        else
            refuse(b, "device", text, "more than 8 devices");
    }
    assert_string_equal(b->s.devices[7], "/dev/tty7");
    assert_string_equal(b->s.mounts[7].target, "/m7");
    b->s.device_count = 7;
    refuse(b, "device", "/dev/tty6", "stands there twice");
    b->s.mount_count = 7;
    refuse(b, "mount", "/b:/m6", "'/m6' and '/m6' overlap");
    refuse(b, "mount", "/b:/m0/x", "'/m0' and '/m0/x' overlap");
    accept(b, "mount", "/b:/m0x");
}

static void a_device_has_a_short_name_beneath_dev(void **state)
{
    struct bench *b = *state;
    char text[80];
    snprintf(text, sizeof(text), "/dev/%058d", 0);
    accept(b, "device", text);
    assert_string_equal(b->s.devices[0], text);
    snprintf(text, sizeof(text), "/dev/%059d", 0);
    refuse(b, "device", text, "is not a device such as /dev/ttyS0");
    refuse(b, "device", "/dev", "is not a device");
    refuse(b, "device", "/devices/x", "is not a device");
    refuse(b, "device", "/dev/", "ends with a slash");
}

static void secrets_have_names_and_files_of_64_bytes_and_are_sixteen(void **state)
{
    struct bench *b = *state;
    char text[160];
    snprintf(text, sizeof(text), "%064d=%064d", 1, 2);
    accept(b, "secret", text);
    snprintf(text, sizeof(text), "%065d=x", 1);
    refuse(b, "secret", text, "no secret's name");
    snprintf(text, sizeof(text), "x=%065d", 1);
    refuse(b, "secret", text, "no file name");
    for (int i = 1; i < SETTINGS_SECRETS_MAX; i++) {
        snprintf(text, sizeof(text), "db=file%d", i);
        accept(b, "secret", text);
        refuse(b, "secret", text, "stands there twice");
    }
    refuse(b, "secret", "db=other", "more than 16 secrets");
}

static void system_calls_are_sorted_once_each_and_bounded(void **state)
{
    struct bench *b = *state;
    static const char want[] = "a\0a1\0ab\0b\0read\0write\0z";
    accept(b, "system_calls", "write,read,z");
    accept(b, "system_calls", "ab,a,write,b,a1,a");
    assert_int_equal(b->s.calls_bytes, sizeof(want));
    assert_memory_equal(b->s.calls, want, sizeof(want));
    char text[SETTINGS_CALL_NAME_MAX + 1];
    memset(text, 'c', sizeof(text));
    refuse_text(b, "system_calls", (struct str){text, SETTINGS_CALL_NAME_MAX}, "no system call's name");
    accept_text(b, "system_calls", (struct str){text, SETTINGS_CALL_NAME_MAX - 1});
    for (int i = 8; i < SETTINGS_CALLS_MAX; i++) {
        snprintf(text, sizeof(text), "call%d", i);
        accept(b, "system_calls", text);
    }
    refuse(b, "system_calls", "one_more", "more than ");
    accept(b, "system_calls", "write"); /* no more than there were */
    refuse(b, "system_calls", "write,", "'' is no system call's name");
    refuse(b, "system_calls", "", "'' is no system call's name");
}

static void origins_have_a_host_and_ports_to_65535(void **state)
{
    static const char *const good[] = {
        "http://a", "http://a:1", "https://a:65535", "http://[::1]", "http://[::1]:65535", "http://a,http://b", "*",
        ""};
    static const char *const bad[] = {"http://",
                                      "http://a:0",
                                      "http://a:65536",
                                      "http://[::1]x",
                                      "http://[::1]:",
                                      "http://[::1]:0",
                                      "http://[]",
                                      "http://[::1",
                                      "http://a,",
                                      "http://a,,http://b",
                                      "http://:1",
                                      "http://a:",
                                      "**",
                                      ",",
                                      "http:/a",
                                      "https:a",
                                      "http://a:65536,http://b"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        accept(*state, "cors", good[i]);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        refuse(*state, "cors", bad[i], "' is not an origin: ");
}

static void versions_of_runtimes_have_three_digits_at_most(void **state)
{
    static const char *const good[] = {"python3.1",   "python3.999", "node1",  "node999",
                                       "nodejs999.x", "nodejs",      "python3"};
    static const char *const bad[] = {"python3.",   "python3.1000", "node1000",  "nodejs1000.x",
                                      "nodejs.x",   "nodejs20x",    "nodejs20.", "python2.7",
                                      "python3.1x", "nodejs20.xx",  "node20.x",  "Python"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        accept(*state, "runtime", good[i]);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        refuse(*state, "runtime", bad[i], "is not one of: exec, native, python");
    refuse(*state, "runtime", "nodejs20", "did you mean 'nodejs20.x'?");
    refuse(*state, "runtime", "pythn", "did you mean 'python'?");
    refuse(*state, "runtime", "", "What speaks the Lambda Runtime API runs as provided");
}

static void checked(struct bench *b, const char *why)
{
    int r = settings_check(&b->s, false, &b->e);
    assert_int_equal(r, why ? -EINVAL : 0);
    if (why && !strstr(b->e.text, why))
        fail_msg("'%s' does not say '%s'", b->e.text, why);
}

static void what_is_bounded_by_another_key_may_be_as_much(void **state)
{
    struct bench *b = *state;
    accept(b, "max_concurrency", "4");
    accept(b, "min_warm", "4");
    accept(b, "reserved", "4");
    accept(b, "memory", "64M");
    accept(b, "tmp", "64M");
    checked(b, NULL);
    accept(b, "min_warm", "5");
    checked(b, "min_warm: 5 is more than max_concurrency (4)");
    accept(b, "min_warm", "0");
    accept(b, "reserved", "5");
    checked(b, "reserved: 5 is more than max_concurrency (4)");
    accept(b, "reserved", "0");
    accept(b, "tmp", "65M");
    checked(b, "tmp: 65M is more than memory (64M), in which it is counted");
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        CASE(numbers_reach_to_their_bounds_and_no_further),
        CASE(classes_of_bytes_end_where_they_should),
        CASE(a_media_type_has_two_parts_of_one_byte_at_least),
        CASE(cpus_are_numbered_to_4095_and_ranges_ascend),
        CASE(a_variables_name_has_256_bytes_at_most),
        CASE(the_environment_is_full_at_its_last_byte),
        CASE(a_path_has_255_bytes_at_most),
        CASE(eight_mounts_and_devices_are_as_many_as_there_may_be),
        CASE(a_device_has_a_short_name_beneath_dev),
        CASE(secrets_have_names_and_files_of_64_bytes_and_are_sixteen),
        CASE(system_calls_are_sorted_once_each_and_bounded),
        CASE(origins_have_a_host_and_ports_to_65535),
        CASE(versions_of_runtimes_have_three_digits_at_most),
        CASE(what_is_bounded_by_another_key_may_be_as_much),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
