/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/bucket.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/*
 * A directory of the test's own:
 *   outside          a file that no bucket has
 *   zips/            the bucket "zips"
 *     a.zip, deep/b.zip
 *     link.zip -> a.zip, absolute -> /etc/passwd, above -> .., inner -> deep, loop -> loop
 *     pipe
 * "gone" is a bucket whose directory is not there, "file" one that is a file.
 */
static char top[] = "/tmp/bucket-XXXXXX";
static struct config config;

static const char *at(const char *name)
{
    static char path[256];
    snprintf(path, sizeof(path), "%s/%s", top, name);
    return path;
}

static void write_file(const char *name, const char *text)
{
    int fd = open(at(name), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static void add_bucket(const char *name, const char *directory)
{
    struct config_bucket *b = &config.lambda.buckets[config.lambda.bucket_count++];
    snprintf(b->name, sizeof(b->name), "%s", name);
    snprintf(b->path, sizeof(b->path), "%s", at(directory));
}

static int make_directory(void **state)
{
    (void)state;
    static const char *const links[][2] = {{"a.zip", "zips/link.zip"},
                                           {"/etc/passwd", "zips/absolute"},
                                           {"..", "zips/above"},
                                           {"deep", "zips/inner"},
                                           {"loop", "zips/loop"}};
    assert_non_null(mkdtemp(top));
    assert_int_equal(mkdir(at("zips"), 0700), 0);
    assert_int_equal(mkdir(at("zips/deep"), 0700), 0);
    write_file("outside", "not yours");
    write_file("zips/a.zip", "first");
    write_file("zips/deep/b.zip", "second");
    for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++)
        assert_int_equal(symlink(links[i][0], at(links[i][1])), 0);
    assert_int_equal(mkfifo(at("zips/pipe"), 0600), 0);
    add_bucket("zips", "zips");
    add_bucket("gone", "gone");
    add_bucket("file", "outside");
    return 0;
}

static int remove_directory(void **state)
{
    (void)state;
    static const char *const names[] = {
        "zips/a.zip", "zips/deep/b.zip", "zips/link.zip", "zips/absolute", "zips/above", "zips/inner",
        "zips/loop",  "zips/pipe",       "zips/deep",     "zips",          "outside",    "."};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        remove(i + 1 < sizeof(names) / sizeof(names[0]) ? at(names[i]) : top);
    return access(top, F_OK) < 0 ? 0 : -1;
}

static void a_file_of_the_bucket_is_opened_for_reading(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"a.zip", "first"}, {"deep/b.zip", "second"}, {"./a.zip", "first"}, {"deep/../a.zip", "first"}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[16] = "";
        struct err e = {0};
        int fd = bucket_open(&config, "zips", rows[i][0], &e);
        assert_true(fd >= 0);
        assert_int_equal(read(fd, text, sizeof(text)), strlen(rows[i][1]));
        assert_string_equal(text, rows[i][1]);
        assert_int_equal(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
        assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
        close(fd);
    }
}

static void what_is_not_in_the_bucket_is_absent(void **state)
{
    (void)state;
    static const char *const keys[] = {
        "absent.zip",      "../outside",         "deep/../../outside", "..", "/etc/passwd", "//etc/passwd", "a.zip/x",
        "deep/absent.zip", "/proc/self/environ", "a.zip/../../outside"};
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        struct err e = {0};
        assert_int_equal(bucket_open(&config, "zips", keys[i], &e), -ENOENT);
        assert_non_null(strstr(e.text, "'zips'"));
        assert_null(strstr(e.text, top)); /* where the directory lies is nobody's business */
    }
}

static void a_key_that_is_too_long_for_a_name_is_absent(void **state)
{
    (void)state;
    struct err e = {0};
    char key[MESSAGE_KEY_MAX];
    memset(key, 'k', sizeof(key));
    key[sizeof(key) - 1] = '\0';
    assert_int_equal(bucket_open(&config, "zips", key, &e), -ENOENT);
}

static void no_link_is_followed(void **state)
{
    (void)state;
    static const char *const keys[] = {"link.zip",    "absolute", "above", "above/outside",
                                       "inner/b.zip", "loop",     "loop/x"};
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        struct err e = {0};
        assert_int_equal(bucket_open(&config, "zips", keys[i], &e), -ENOENT);
    }
}

/* A pipe that nobody writes would hold the supervisor for ever if it were opened. */
static void what_is_no_regular_file_is_absent(void **state)
{
    (void)state;
    static const char *const keys[] = {"deep", "deep/", ".", "pipe", "a.zip/"};
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        struct err e = {0};
        assert_int_equal(bucket_open(&config, "zips", keys[i], &e), -ENOENT);
    }
}

static void a_bucket_is_one_of_the_configurations_directories(void **state)
{
    (void)state;
    static const char *const names[] = {"nothing", "", "zip", "zips2", "../zips", "gone", "file"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct err e = {0};
        assert_int_equal(bucket_open(&config, names[i], "a.zip", &e), -ENXIO);
        assert_null(strstr(e.text, top));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_of_the_bucket_is_opened_for_reading),
        cmocka_unit_test(what_is_not_in_the_bucket_is_absent),
        cmocka_unit_test(a_key_that_is_too_long_for_a_name_is_absent),
        cmocka_unit_test(no_link_is_followed),
        cmocka_unit_test(what_is_no_regular_file_is_absent),
        cmocka_unit_test(a_bucket_is_one_of_the_configurations_directories),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
