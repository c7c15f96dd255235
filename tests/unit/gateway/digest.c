/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/store_digest.h"

#include "base/fdio.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static char root[] = "/tmp/faasd-digest-XXXXXX";
static int root_fd;

static int set_up(void **state)
{
    (void)state;
    strcpy(root + sizeof(root) - 7, "XXXXXX");
    if (!mkdtemp(root))
        return -1;
    root_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return root_fd < 0;
}

static int tear_down(void **state)
{
    (void)state;
    char command[64];
    fd_close(&root_fd);
    snprintf(command, sizeof(command), "rm -rf %s", root);
    return system(command);
}

static void put(const char *path, const char *text, mode_t mode)
{
    int fd = openat(root_fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(fd_write_full(fd, text, strlen(text)), 0);
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static unsigned pauses;

static void on_pause(void *context)
{
    (void)context;
    pauses++;
}

static int digest(const char *path, char out[STORE_DIGEST_MAX], uint64_t *ret_bytes, struct err *e)
{
    struct store_digest_options o = {.on_pause = on_pause};
    return store_digest_compute(root_fd, path, &o, out, ret_bytes, e);
}

static const char *of(const char *path)
{
    static char out[4][STORE_DIGEST_MAX];
    static unsigned at;
    struct err e = {.text = ""};
    uint64_t bytes;
    char *mine = out[at++ % 4];
    if (digest(path, mine, &bytes, &e) < 0)
        fail_msg("%s", e.text);
    return mine;
}

static void an_empty_tree_has_the_digest_that_the_header_describes(void **state)
{
    (void)state;
    mkdirat(root_fd, "empty", 0755);
    /* printf 'faasd-tree-1\0e' | sha256sum */
    char command[128];
    char expected[STORE_DIGEST_MAX];
    snprintf(command, sizeof(command), "printf 'faasd-tree-1\\0e' | sha256sum");
    FILE *f = popen(command, "r");
    assert_int_equal(fread(expected, 1, 64, f), 64);
    expected[64] = '\0';
    pclose(f);
    assert_string_equal(of("empty"), expected);
}

static void a_file_has_the_digest_that_the_header_describes(void **state)
{
    (void)state;
    mkdirat(root_fd, "t", 0755);
    put("t/run", "hi", 0755);
    char expected[STORE_DIGEST_MAX];
    FILE *f = popen("printf 'faasd-tree-1\\0x\\003\\0\\0\\0run\\002\\0\\0\\0\\0\\0\\0\\0hie' | sha256sum", "r");
    assert_int_equal(fread(expected, 1, 64, f), 64);
    expected[64] = '\0';
    pclose(f);
    assert_string_equal(of("t"), expected);
}

static void fill(const char *dir, const char *order)
{
    char path[64];
    mkdirat(root_fd, dir, 0755);
    for (const char *c = order; *c; c++) {
        snprintf(path, sizeof(path), "%s/%c", dir, *c);
        put(path, "same", 0644);
    }
}

static void the_order_of_making_does_not_matter(void **state)
{
    (void)state;
    fill("a", "qwertzuiopasdfg");
    fill("b", "gfdsapoiuztrewq");
    assert_string_equal(of("a"), of("b"));
}

static void names_contents_modes_targets_and_shape_matter(void **state)
{
    (void)state;
    const char *variants[] = {"plain", "name", "content", "mode", "dir", "link", "target", "empty-dir"};
    enum { COUNT = sizeof(variants) / sizeof(variants[0]) };
    char digests[COUNT][STORE_DIGEST_MAX];
    for (int i = 0; i < COUNT; i++)
        mkdirat(root_fd, variants[i], 0755);
    put("plain/f", "x", 0644);
    put("name/g", "x", 0644);
    put("content/f", "y", 0644);
    put("mode/f", "x", 0755);
    mkdirat(root_fd, "dir/f", 0755);
    assert_int_equal(symlinkat("x", root_fd, "link/f"), 0);
    assert_int_equal(symlinkat("y", root_fd, "target/f"), 0);
    put("empty-dir/f", "x", 0644);
    mkdirat(root_fd, "empty-dir/g", 0755);
    for (int i = 0; i < COUNT; i++)
        strcpy(digests[i], of(variants[i]));
    for (int i = 0; i < COUNT; i++)
        for (int k = 0; k < i; k++)
            assert_string_not_equal(digests[i], digests[k]);
}

static void owners_times_and_other_modes_do_not_matter(void **state)
{
    (void)state;
    mkdirat(root_fd, "a", 0755);
    mkdirat(root_fd, "b", 0700);
    put("a/f", "x", 0644);
    put("b/f", "x", 0600);
    struct timespec times[2] = {{1, 0}, {1, 0}};
    utimensat(root_fd, "b/f", times, 0);
    assert_string_equal(of("a"), of("b"));
}

static void links_are_not_followed(void **state)
{
    (void)state;
    mkdirat(root_fd, "a", 0755);
    mkdirat(root_fd, "out", 0755);
    assert_int_equal(symlinkat("../out", root_fd, "a/l"), 0);
    char before[STORE_DIGEST_MAX];
    strcpy(before, of("a"));
    put("out/f", "changes behind the link", 0644);
    assert_string_equal(of("a"), before);
    /* Nor is the tree itself one. */
    struct err e;
    uint64_t bytes;
    char out[STORE_DIGEST_MAX];
    assert_int_equal(symlinkat("a", root_fd, "tree"), 0);
    assert_true(digest("tree", out, &bytes, &e) < 0);
}

static void a_pipe_is_refused_and_named(void **state)
{
    (void)state;
    struct err e;
    uint64_t bytes;
    char out[STORE_DIGEST_MAX];
    mkdirat(root_fd, "a", 0755);
    assert_int_equal(mkfifoat(root_fd, "a/pipe", 0600), 0);
    assert_int_equal(digest("a", out, &bytes, &e), -EINVAL);
    assert_non_null(strstr(e.text, "'pipe'"));
}

static void a_tree_too_deep_is_refused(void **state)
{
    (void)state;
    struct err e;
    uint64_t bytes;
    char out[STORE_DIGEST_MAX];
    mkdirat(root_fd, "a", 0755);
    int fd = openat(root_fd, "a", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (unsigned i = 0; i < STORE_DIGEST_DEPTH_MAX + 1; i++) {
        assert_int_equal(mkdirat(fd, "d", 0755), 0);
        int next = openat(fd, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        close(fd);
        fd = next;
    }
    close(fd);
    assert_int_equal(digest("a", out, &bytes, &e), -ELOOP);
}

static void a_missing_tree_is_an_error(void **state)
{
    (void)state;
    struct err e;
    uint64_t bytes;
    char out[STORE_DIGEST_MAX];
    assert_int_equal(digest("nowhere", out, &bytes, &e), -ENOENT);
}

static void bytes_are_counted_and_large_files_pause(void **state)
{
    (void)state;
    struct err e;
    uint64_t bytes;
    char out[STORE_DIGEST_MAX];
    enum { SIZE = 3 << 20 };
    mkdirat(root_fd, "a", 0755);
    int fd = openat(root_fd, "a/big", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    assert_int_equal(ftruncate(fd, SIZE), 0);
    close(fd);
    put("a/small", "12345", 0644);
    pauses = 0;
    assert_int_equal(digest("a", out, &bytes, &e), 0);
    assert_int_equal(bytes, SIZE + 5);
    assert_true(pauses >= 3);
}

static void a_revision_depends_on_code_handler_and_settings(void **state)
{
    (void)state;
    char a[STORE_DIGEST_MAX], b[STORE_DIGEST_MAX];
    store_digest_revision(&(struct store_digest_trees){.code = "c0de"}, "run", STR_LITERAL("{}"), a);
    store_digest_revision(&(struct store_digest_trees){.code = "c0de"}, "run", STR_LITERAL("{}"), b);
    assert_string_equal(a, b);
    store_digest_revision(&(struct store_digest_trees){.code = "c0df"}, "run", STR_LITERAL("{}"), b);
    assert_string_not_equal(a, b);
    store_digest_revision(&(struct store_digest_trees){.code = "c0de"}, "run2", STR_LITERAL("{}"), b);
    assert_string_not_equal(a, b);
    store_digest_revision(&(struct store_digest_trees){.code = "c0de"}, "run", STR_LITERAL("{ }"), b);
    assert_string_not_equal(a, b);
    /* The parts can't run into each other. */
    store_digest_revision(&(struct store_digest_trees){.code = "c0de"}, "ru", STR_LITERAL("n{}"), b);
    assert_string_not_equal(a, b);
}

int main(void)
{
#define DIGEST_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        DIGEST_TEST(an_empty_tree_has_the_digest_that_the_header_describes),
        DIGEST_TEST(a_file_has_the_digest_that_the_header_describes),
        DIGEST_TEST(the_order_of_making_does_not_matter),
        DIGEST_TEST(names_contents_modes_targets_and_shape_matter),
        DIGEST_TEST(owners_times_and_other_modes_do_not_matter),
        DIGEST_TEST(links_are_not_followed),
        DIGEST_TEST(a_pipe_is_refused_and_named),
        DIGEST_TEST(a_tree_too_deep_is_refused),
        DIGEST_TEST(a_missing_tree_is_an_error),
        DIGEST_TEST(bytes_are_counted_and_large_files_pause),
        DIGEST_TEST(a_revision_depends_on_code_handler_and_settings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
