/* SPDX-License-Identifier: Apache-2.0 */
/* Packing what a real directory may hold and an archive may not, and places that can't be read or written. */
#include "codec/archive.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct scene {
    char path[64]; /* what is packed */
    int dir;
    int out;
    struct buf left_out;
};

static int set_up(void **state)
{
    struct scene *s = calloc(1, sizeof(*s));
    if (!s)
        return -1;
    strcpy(s->path, "/tmp/faasd-pack-XXXXXX");
    if (!mkdtemp(s->path))
        return -1;
    s->dir = open(s->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    s->out = memfd_create("archive", MFD_CLOEXEC);
    buf_init(&s->left_out, 0);
    *state = s;
    return s->dir < 0 || s->out < 0 ? -1 : 0;
}

static int tear_down(void **state)
{
    struct scene *s = *state;
    char command[128];
    snprintf(command, sizeof(command), "rm -rf '%s'", s->path);
    close(s->dir);
    close(s->out);
    buf_fini(&s->left_out);
    int r = system(command); /* of a directory that this test made */
    free(s);
    return r;
}

static void put_bytes(const struct scene *s, const char *name, const char *content, size_t n)
{
    int fd = openat(s->dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, content, n), (ssize_t)n);
    close(fd);
}

static void put(const struct scene *s, const char *name, const char *content)
{
    put_bytes(s, name, content, strlen(content));
}

static int pack(struct scene *s, struct err *e)
{
    assert_int_equal(ftruncate(s->out, 0) | lseek(s->out, 0, SEEK_SET), 0);
    s->left_out.len = 0;
    return archive_pack(s->path, s->out, &s->left_out, e);
}

static void expect_failure(struct scene *s, int error, const char *why)
{
    struct err e = {0};
    int r = pack(s, &e);
    if (r != error || !strstr(e.text, why))
        fail_msg("%d, '%s' does not say '%s'", r, e.text, why);
}

static void expect_left_out(struct scene *s, const char *want)
{
    struct err e = {0};
    if (pack(s, &e) < 0)
        fail_msg("%s", e.text);
    assert_int_equal(buf_add(&s->left_out, "", 1), 0);
    assert_string_equal(s->left_out.data, want);
}

static void a_directory_that_is_not_there_is_named(void **state)
{
    struct scene *s = *state;
    struct err e = {0};
    assert_int_equal(archive_pack("/nowhere/at/all", s->out, &s->left_out, &e), -ENOENT);
    assert_non_null(strstr(e.text, "open '/nowhere/at/all'"));
}

static void blanks_behind_a_pattern_do_not_belong_to_it(void **state)
{
    struct scene *s = *state;
    put(s, "a.txt", "");
    put(s, "b.txt", "");
    put(s, ".faasdignore", "a.txt \t\r\n   \nb.txt");
    expect_left_out(s, ".faasdignore\na.txt\nb.txt\n");
}

static void patterns_that_can_mean_nothing_are_refused_with_their_line(void **state)
{
    struct scene *s = *state;
    put(s, ".faasdignore", "*.o\n/\n");
    expect_failure(s, -EINVAL, ".faasdignore:2: a pattern that names nothing");
    put(s, ".faasdignore", "a/**/b\n");
    expect_failure(s, -EINVAL, ".faasdignore:1: 'a/**/b': '!' and '**' are not supported");
}

static void as_many_patterns_as_are_allowed_and_no_more(void **state)
{
    struct scene *s = *state;
    char rules[2 * 257 + 1] = "";
    for (unsigned i = 0; i < 256; i++)
        strcat(rules, "x\n");
    put(s, ".faasdignore", rules);
    expect_left_out(s, ".faasdignore\n");
    strcat(rules, "x\n");
    put(s, ".faasdignore", rules);
    expect_failure(s, -EINVAL, ".faasdignore: more than 256 patterns");
}

/* Read up to it, the rules behind it would be left out, and the secret would go up. */
static void a_nul_byte_is_refused_wherever_it_stands(void **state)
{
    static const char utf16[] = "\xff\xfe*\0.\0o\0", middle[] = "*.o\n*.a\nke\0y\nsecret\n", end[] = "*.o\nsecret\n";
    struct scene *s = *state;
    put(s, "secret", "");
    put_bytes(s, ".faasdignore", utf16, sizeof(utf16) - 1);
    expect_failure(s, -EINVAL, ".faasdignore:1: a NUL byte: save the file as plain text (UTF-8)");
    put_bytes(s, ".faasdignore", middle, sizeof(middle) - 1);
    expect_failure(s, -EINVAL, ".faasdignore:3: a NUL byte");
    put_bytes(s, ".faasdignore", end, sizeof(end));
    expect_failure(s, -EINVAL, ".faasdignore:3: a NUL byte");
    put_bytes(s, ".faasdignore", end, sizeof(end) - 1);
    expect_left_out(s, ".faasdignore\nsecret\n");
}

static void a_faasdignore_that_is_no_file_is_refused(void **state)
{
    struct scene *s = *state;
    struct err e = {0};
    assert_int_equal(mkdirat(s->dir, ".faasdignore", 0755), 0);
    assert_true(pack(s, &e) < 0);
    assert_non_null(strstr(e.text, ".faasdignore"));
}

static void a_link_longer_than_an_archive_takes_is_named(void **state)
{
    struct scene *s = *state;
    char target[1100];
    memset(target, 'x', sizeof(target) - 1);
    target[sizeof(target) - 1] = '\0';
    target[1023] = '\0';
    assert_int_equal(symlinkat(target, s->dir, "fits"), 0);
    expect_left_out(s, "");
    target[1023] = 'x';
    assert_int_equal(symlinkat(target, s->dir, "link"), 0);
    expect_failure(s, -ENAMETOOLONG, "read link 'link'");
}

static void a_path_longer_than_an_archive_takes_is_named(void **state)
{
    struct scene *s = *state;
    char name[251];
    memset(name, 'd', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    int at = dup(s->dir);
    for (unsigned depth = 0; depth < 5; depth++) {
        assert_int_equal(mkdirat(at, name, 0755), 0);
        int next = openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(next >= 0);
        close(at);
        at = next;
        if (depth == 3)
            expect_left_out(s, ""); /* 4 x 250 and the slashes between */
    }
    close(at);
    expect_failure(s, -EINVAL, "has a path of more than 1023 bytes");
}

static void an_archive_that_can_not_be_written_is_said(void **state)
{
    struct scene *s = *state;
    struct err e = {0};
    char content[32768 + 1];
    memset(content, 'x', sizeof(content) - 1);
    content[sizeof(content) - 1] = '\0';
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    assert_true(full >= 0);
    /* nothing but its end, then a file's bytes */
    assert_int_equal(archive_pack(s->path, full, &s->left_out, &e), -ENOSPC);
    assert_non_null(strstr(e.text, "to the archive: ENOSPC"));
    put(s, "data", content);
    assert_int_equal(archive_pack(s->path, full, &s->left_out, &e), -ENOSPC);
    assert_non_null(strstr(e.text, "write 'data' to the archive: ENOSPC"));
    close(full);
}

static void out_of_descriptors_it_says_where(void **state)
{
    struct scene *s = *state;
    struct rlimit before;
    char path[2 * 20];
    strcpy(path, "d");
    for (unsigned depth = 0; depth < 16; depth++, strcat(path, "/d"))
        assert_int_equal(mkdirat(s->dir, path, 0755), 0);
    expect_left_out(s, ""); /* what is loaded for it is open by now */
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    for (rlim_t most = (rlim_t)s->out + 2; most < (rlim_t)s->out + 12; most++) {
        const struct rlimit few = {.rlim_cur = most, .rlim_max = before.rlim_max};
        struct err e = {0};
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
        int r = pack(s, &e);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
        assert_int_equal(r, -EMFILE);
        assert_true(strncmp(e.text, "open '", 6) == 0 || strncmp(e.text, "read directory '", 16) == 0);
    }
}

/* Files of sysfs tell a page as their size and have less. */
static void a_file_that_ends_before_its_size_is_named(void **state)
{
    struct scene *s = *state;
    struct err e = {0};
    if (access("/sys/kernel/mm/transparent_hugepage", F_OK) < 0)
        skip();
    assert_int_equal(archive_pack("/sys/kernel/mm/transparent_hugepage", s->out, &s->left_out, &e), -EAGAIN);
    assert_non_null(strstr(e.text, "became shorter while it was read"));
}

static void what_is_left_out_has_a_bound_where_the_caller_gives_one(void **state)
{
    struct scene *s = *state;
    struct err e = {0};
    buf_fini(&s->left_out);
    buf_init(&s->left_out, 4);
    assert_int_equal(mkdirat(s->dir, "__pycache__", 0755), 0);
    assert_int_equal(pack(s, &e), -ENOMEM);
    assert_non_null(strstr(e.text, "list what is left out"));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_directory_that_is_not_there_is_named),
        TEST(blanks_behind_a_pattern_do_not_belong_to_it),
        TEST(patterns_that_can_mean_nothing_are_refused_with_their_line),
        TEST(as_many_patterns_as_are_allowed_and_no_more),
        TEST(a_nul_byte_is_refused_wherever_it_stands),
        TEST(a_faasdignore_that_is_no_file_is_refused),
        TEST(a_link_longer_than_an_archive_takes_is_named),
        TEST(a_path_longer_than_an_archive_takes_is_named),
        TEST(an_archive_that_can_not_be_written_is_said),
        TEST(out_of_descriptors_it_says_where),
        TEST(a_file_that_ends_before_its_size_is_named),
        TEST(what_is_left_out_has_a_bound_where_the_caller_gives_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
