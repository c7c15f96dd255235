/* SPDX-License-Identifier: Apache-2.0 */
/* The last value that a key of the configuration takes, and the first that it doesn't: texts, lists, files. */
#include "codec/config.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static struct config c;
static char json[65536];

static int read_value(const char *key, const char *value, struct err *e)
{
    const char *dot = strchr(key, '.');
    config_init(&c);
    if (dot)
        snprintf(json, sizeof(json), "{\"%.*s\":{\"%s\":%s}}", (int)(dot - key), key, dot + 1, value);
    else
        snprintf(json, sizeof(json), "{\"%s\":%s}", key, value);
    return config_read_json(&c, str_from(json), "config.json", e);
}

static void take(const char *key, const char *value)
{
    struct err e = {0};
    if (read_value(key, value, &e) < 0 || config_check(&c, &e) < 0)
        fail_msg("%s: %.200s: %s", key, value, e.text);
}

static void refuse(const char *key, const char *value, const char *why)
{
    struct err e = {0};
    int r = read_value(key, value, &e);
    if (r != -EINVAL || !strstr(e.text, why))
        fail_msg("%s: %.200s: %d, '%s' does not say '%s'", key, value, r, e.text, why);
}

/* "PREFIXxxx...", n bytes in all, in quotes. Until the next call. */
static const char *long_text(const char *prefix, size_t n)
{
    static char text[2048];
    size_t m = strlen(prefix);
    text[0] = '"';
    memcpy(text + 1, prefix, m);
    memset(text + 1 + m, 'x', n - m);
    strcpy(text + 1 + n, "\"");
    return text;
}

/* ["FORMAT0", "FORMAT1", ...], n of them. Until the next call. */
static const char *long_list(const char *prefix, unsigned n)
{
    static char list[32768];
    size_t at = 1;
    strcpy(list, "[");
    for (unsigned i = 0; i < n; i++)
        at += (size_t)snprintf(list + at, sizeof(list) - at, "%s\"%s%u\"", i ? "," : "", prefix, i);
    strcpy(list + at, "]");
    return list;
}

static void in_list(const char *key, const char *text, const char *why)
{
    char value[2048];
    snprintf(value, sizeof(value), "[%s]", text);
    if (why)
        refuse(key, value, why);
    else
        take(key, value);
}

static void listening_addresses_have_bounds(void **state)
{
    (void)state;
    static const char *const bad[] = {"\"[::1]x:80\"",  "\"[x]:80\"",
                                      "\"[]:80\"",      "\"[::1:80\"",
                                      "\"1.2.3:80\"",   "\"host:80\"",
                                      "\"127.0.0.1:\"", "\"127.0.0.1:65536\"",
                                      "\"65536\"",      "\"unix\"",
                                      "\":80\"",        "\"[0123456789012345678901234567890123456789012345678]:80\"",
                                      "\"::1:80\"",     "\"0123456789012345678901234567890123456789012345678:80\""};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        in_list("listen", bad[i], "listen");
    in_list("listen", "\"65535\"", NULL);
    in_list("listen", "\"[::]:80\"", NULL);
    in_list("listen", "\"unix:/\"", "the path must be absolute");
    in_list("listen", "\"unix:x\"", "the path must be absolute");
    in_list("listen", "\"unix:/a\\tb\"", "control");
    in_list("listen", long_text("unix:/", 5 + 107), NULL);
    in_list("listen", long_text("unix:/", 5 + 108), "a socket's path has at most 107 bytes");
    take("listen", long_list("unix:/s", CONFIG_LISTEN_MAX));
    refuse("listen", long_list("unix:/s", CONFIG_LISTEN_MAX + 1), "more than");
}

static void entries_of_etc_are_names_of_one_or_two_parts(void **state)
{
    (void)state;
    static const char *const bad[] = {"\".hidden\"", "\"..\"", "\"/ssl\"", "\"ssl/\"", "\"ssl/.x\"", "\"ssl/a/b\""};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        in_list("etc", bad[i], "is not a name under /etc");
    in_list("etc", "\"ssl/certs\"", NULL);
    in_list("etc", "\"\"", "a name of 1 to 63 bytes");
    in_list("etc", "\"a\\u0001\"", "control");
    in_list("etc", long_text("", 63), NULL);
    in_list("etc", long_text("", 64), "a name of 1 to 63 bytes");
    take("etc", long_list("e", CONFIG_ETC_MAX));
    refuse("etc", long_list("e", CONFIG_ETC_MAX + 1), "more than 64 entries");
}

static void grants_are_bounded_and_plain(void **state)
{
    (void)state;
    static const char *const bad[] = {"\"data\"",      "\"/\"",        "\"/data/\"", "\"/data//x\"",
                                      "\"/data/./x\"", "\"/data/..\"", "\"\""};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        in_list("grants.mounts", bad[i], "is not an absolute path");
        in_list("grants.devices", bad[i], "is not an absolute path");
    }
    in_list("grants.mounts", "\"/data:ro\"", NULL);
    assert_false(c.grant_mounts[0].writable);
    in_list("grants.mounts", "\"/data:rw\"", NULL);
    assert_true(c.grant_mounts[0].writable);
    in_list("grants.mounts", "\"/data:rwx\"", "is not PATH or PATH:rw");
    in_list("grants.mounts", "\"/data:\"", "is not PATH or PATH:rw");
    in_list("grants.mounts", "\"/da\\u007fta\"", "control");
    in_list("grants.devices", "\"/dev/\\u001f\"", "control");
    in_list("grants.mounts", long_text("/", CONFIG_PATH_MAX - 1), NULL);
    in_list("grants.mounts", long_text("/", CONFIG_PATH_MAX), "a path of more than 255 bytes");
    in_list("grants.devices", long_text("/dev/", 63), NULL);
    in_list("grants.devices", long_text("/dev/", 64), "is not a device such as");
    in_list("grants.devices", "\"/etc/passwd\"", "is not a device such as");
    in_list("grants.devices", "1", "with a number in it");
    take("grants.mounts", long_list("/m", CONFIG_GRANTS_MAX));
    refuse("grants.mounts", long_list("/m", CONFIG_GRANTS_MAX + 1), "more than 32 entries");
    take("grants.devices", long_list("/dev/d", CONFIG_GRANTS_MAX));
    refuse("grants.devices", long_list("/dev/d", CONFIG_GRANTS_MAX + 1), "more than 32 entries");
}

static void texts_have_a_form(void **state)
{
    (void)state;
    static const struct {
        const char *key, *good, *bad[8];
    } keys[] = {
        {"access_log", "\"a-Z_9.log\"", {"\"log\"", "\".log\"", "\"a/b.log\"", "\"a b.log\"", "\"a{.log\""}},
        {"invoke_group", "\"www-data\"", {"\"a b\"", "\"a:b\"", "\"a/b\"", "\"a,b\"", "\"\\u00e4\""}},
        {"lambda.region", "\"eu-central-1\"", {"\"eu\"", "\"-eu\"", "\"eu-\"", "\"eU1\"", "\"eu{1\"", "\"eu_1\""}},
        {"lambda.account", "\"123456789012\"", {"\"12345678901\"", "\"1234567890123\"", "\"12345678901x\""}},
        {"url_domain", "\"a-1.Example.org\"", {"\".org\"", "\"-a.org\"", "\"org.\"", "\"a..b\"", "\"a{b\"", "\"a_b\""}},
        {"metrics_listen", "\"127.0.0.1:9100\"", {"\"unix:/x\"", "\"9100\"", "\"x\""}},
    };
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        struct err e = {0};
        if (read_value(keys[i].key, keys[i].good, &e) < 0)
            fail_msg("%s: %s", keys[i].key, e.text);
        for (size_t k = 0; k < 8 && keys[i].bad[k]; k++)
            refuse(keys[i].key, keys[i].bad[k],
                   strrchr(keys[i].key, '.') ? strrchr(keys[i].key, '.') + 1 : keys[i].key);
    }
}

/* ---- files ---- */

static char dir[64];

static int make_dir(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/faasd-config-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    char command[128];
    (void)state;
    snprintf(command, sizeof(command), "rm -rf '%s'", dir);
    return system(command); /* of a directory that this test made */
}

static void put(const char *name, const char *text, size_t n)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, n), n);
    close(fd);
}

static void put_text(const char *name, const char *text)
{
    put(name, text, strlen(text));
}

static int read_dir(struct err *e)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/config.json", dir);
    config_init(&c);
    return config_read_files(&c, path, true, e);
}

static void make_conf_d(unsigned files)
{
    char name[96];
    snprintf(name, sizeof(name), "%s/conf.d", dir);
    assert_true(mkdir(name, 0755) == 0 || errno == EEXIST);
    for (unsigned i = 0; i < files; i++) {
        snprintf(name, sizeof(name), "conf.d/%03u.json", i);
        put_text(name, "{\"$schema\":\"x\",\"drain\":\"1m\"}");
    }
}

static void what_is_no_file_of_a_configuration_s_size_is_refused(void **state)
{
    (void)state;
    struct err e = {0};
    char path[128];
    snprintf(path, sizeof(path), "%s/config.json", dir);
    assert_int_equal(mkfifo(path, 0644), 0);
    assert_int_equal(read_dir(&e), -EINVAL);
    assert_non_null(strstr(e.text, "is not a regular file"));
    assert_int_equal(unlink(path), 0);
    size_t n = (256 << 10) + 1;
    char *text = malloc(n);
    assert_non_null(text);
    memset(text, ' ', n);
    memcpy(text, "{}", 2);
    put("config.json", text, n - 1);
    if (read_dir(&e) < 0)
        fail_msg("%s", e.text);
    put("config.json", text, n);
    assert_int_equal(read_dir(&e), -EFBIG);
    assert_non_null(strstr(e.text, "has more than 262144 bytes"));
    free(text);
    assert_int_equal(config_read_files(&c, "/nowhere/at/all/config.json", true, &e), -ENOENT);
    assert_int_equal(config_read_files(&c, "/nowhere/at/all/config.json", false, &e), 0);
}

static void files_beyond_those_that_are_named_count_all_the_same(void **state)
{
    (void)state;
    struct err e = {0};
    put_text("config.json", "{\"drain\":\"2m\"}");
    make_conf_d(CONFIG_FILES_NAMED_MAX + 1);
    put_text("conf.d/.hidden.json", "not read");
    put_text("conf.d/json", "not read");
    put_text("conf.d/.json", "not read");
    if (read_dir(&e) < 0)
        fail_msg("%s", e.text);
    assert_int_equal(c.file_count, CONFIG_FILES_NAMED_MAX);
    assert_int_equal(c.drain_ms, 60000);
    put_text("conf.d/999.json", "{\"drain\":\"3m\"}");
    if (read_dir(&e) < 0)
        fail_msg("%s", e.text);
    assert_int_equal(c.drain_ms, 180000);
    make_conf_d(64);
    assert_int_equal(read_dir(&e), -E2BIG);
    assert_non_null(strstr(e.text, "holds more than 64 files"));
}

static void a_file_that_is_wrong_is_named(void **state)
{
    (void)state;
    struct err e = {0};
    put_text("config.json", "{}");
    make_conf_d(1);
    put_text("conf.d/500.json", "{\"drain\":}");
    assert_int_equal(read_dir(&e), -EINVAL);
    assert_non_null(strstr(e.text, "500.json"));
}

#define FILES(f) cmocka_unit_test_setup_teardown(f, make_dir, remove_dir)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(listening_addresses_have_bounds),
        cmocka_unit_test(entries_of_etc_are_names_of_one_or_two_parts),
        cmocka_unit_test(grants_are_bounded_and_plain),
        cmocka_unit_test(texts_have_a_form),
        FILES(what_is_no_file_of_a_configuration_s_size_is_refused),
        FILES(files_beyond_those_that_are_named_count_all_the_same),
        FILES(a_file_that_is_wrong_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
