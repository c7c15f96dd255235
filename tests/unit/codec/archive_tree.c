/* SPDX-License-Identifier: Apache-2.0 */
/* Bounds of a tree that is being unpacked, and where its links lead, entry by entry: whatever the format they came in. */
#include "codec/archive_tree.h"

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

static const struct archive_options usual = {.bytes_max = 1 << 20, .entries_max = 1 << 20, .transient = true};

struct scene {
    char path[64];
    int dir;
    struct archive_totals totals;
    struct archive_tree tree;
};

static int set_up(void **state)
{
    struct scene *s = calloc(1, sizeof(*s));
    if (!s)
        return -1;
    strcpy(s->path, "/tmp/faasd-tree-XXXXXX");
    if (!mkdtemp(s->path))
        return -1;
    s->dir = open(s->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    archive_tree_init(&s->tree, s->dir, &usual, &s->totals);
    *state = s;
    return s->dir < 0 ? -1 : 0;
}

static int tear_down(void **state)
{
    struct scene *s = *state;
    char command[128];
    archive_tree_fini(&s->tree);
    close(s->dir);
    snprintf(command, sizeof(command), "rm -rf '%s'", s->path);
    int r = system(command); /* of a directory that this test made */
    free(s);
    return r;
}

static int add(struct scene *s, enum archive_item_kind kind, const char *name, const char *target, struct err *e)
{
    const struct archive_item item = {.kind = kind, .name = name, .target = target};
    int fd;
    int r = archive_tree_add(&s->tree, &item, &fd, e);
    return r == 0 && fd >= 0 ? archive_tree_end_file(&s->tree, &item, &fd, e) : r;
}

static void take(struct scene *s, enum archive_item_kind kind, const char *name, const char *target)
{
    struct err e = {0};
    if (add(s, kind, name, target, &e) < 0)
        fail_msg("%s", e.text);
}

static void refuse(struct scene *s, enum archive_item_kind kind, const char *name, const char *target, int error,
                   const char *why)
{
    struct err e = {0};
    int r = add(s, kind, name, target, &e);
    if (r != error || !strstr(e.text, why))
        fail_msg("%d, '%s' does not say '%s'", r, e.text, why);
}

/* "abab...": `n` bytes of `unit` and a NUL */
static char *repeat(char *out, const char *unit, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = unit[i % strlen(unit)];
    out[n] = '\0';
    return out;
}

static void names_that_name_nothing_are_refused(void **state)
{
    struct scene *s = *state;
    refuse(s, ARCHIVE_ITEM_FILE, "", NULL, -EINVAL, "has no name");
    refuse(s, ARCHIVE_ITEM_FILE, "./", NULL, -EINVAL, "has no name");
    refuse(s, ARCHIVE_ITEM_LINK, ".", "x", -EINVAL, "has no name");
    refuse(s, ARCHIVE_ITEM_HARD_LINK, "x", "", -EINVAL, "has no name");
    refuse(s, ARCHIVE_ITEM_FILE, "a\x7f", NULL, -EINVAL, "control character");
    /* as a directory it is the tree itself */
    take(s, ARCHIVE_ITEM_DIRECTORY, ".", NULL);
    take(s, ARCHIVE_ITEM_DIRECTORY, "./", NULL);
    assert_int_equal(s->totals.entries, 0);
}

static void paths_have_bounds_and_what_just_fits_is_taken(void **state)
{
    struct scene *s = *state;
    char name[ARCHIVE_PATH_MAX + 1], deep[2 * (ARCHIVE_DEPTH_MAX + 1)];
    take(s, ARCHIVE_ITEM_FILE, repeat(name, "n", 255), NULL);
    refuse(s, ARCHIVE_ITEM_FILE, repeat(name, "n", 256), NULL, -EINVAL, "a component of more than 255 bytes");
    take(s, ARCHIVE_ITEM_FILE, repeat(deep, "d/", 2 * ARCHIVE_DEPTH_MAX - 1), NULL);
    refuse(s, ARCHIVE_ITEM_FILE, repeat(deep, "d/", 2 * ARCHIVE_DEPTH_MAX + 1), NULL, -EINVAL,
           "lies deeper than 64 directories");
    refuse(s, ARCHIVE_ITEM_FILE, repeat(name, "x", ARCHIVE_PATH_MAX), NULL, -EINVAL,
           "has a path of 1024 bytes; the most is 1023");
    /* 16 components of 63 bytes and the slashes between them: 1023 */
    repeat(name, "p", ARCHIVE_PATH_MAX - 1);
    for (unsigned i = 63; i < ARCHIVE_PATH_MAX - 1; i += 64)
        name[i] = '/';
    take(s, ARCHIVE_ITEM_FILE, name, NULL);
    assert_int_equal(faccessat(s->dir, name, F_OK, 0), 0);
}

static void as_many_entries_as_are_allowed_and_no_more(void **state)
{
    struct scene *s = *state;
    struct archive_options few = usual;
    few.entries_max = 3;
    s->tree.options = &few;
    take(s, ARCHIVE_ITEM_FILE, "a/b/file", NULL);
    take(s, ARCHIVE_ITEM_DIRECTORY, "a/b", NULL); /* there already */
    assert_int_equal(s->totals.entries, 3);
    refuse(s, ARCHIVE_ITEM_DIRECTORY, "c/d", NULL, -EMSGSIZE, "more than 3 entries (code_entries)");
    refuse(s, ARCHIVE_ITEM_FILE, "e", NULL, -EMSGSIZE, "more than 3 entries");
    refuse(s, ARCHIVE_ITEM_HARD_LINK, "f", "a/b/file", -EMSGSIZE, "more than 3 entries");
    refuse(s, ARCHIVE_ITEM_LINK, "g", "a", -EMSGSIZE, "more than 3 entries");
    refuse(s, ARCHIVE_ITEM_HARD_LINK, "c/x", "y/z", -EMSGSIZE, "more than 3 entries");
}

static void names_that_begin_alike_are_different_directories(void **state)
{
    struct scene *s = *state;
    static const char *const names[] = {"ab/x", "abc/x", "ab/y", "a/x", "ab/cd/x", "ab/c/x", "abc/y"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        take(s, ARCHIVE_ITEM_FILE, names[i], NULL);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        assert_int_equal(faccessat(s->dir, names[i], F_OK, 0), 0);
    assert_int_equal(s->totals.files, 7);
}

static void hard_links_lead_to_earlier_files_and_take_free_names(void **state)
{
    struct scene *s = *state;
    take(s, ARCHIVE_ITEM_FILE, "d/file", NULL);
    take(s, ARCHIVE_ITEM_FILE, "other", NULL);
    refuse(s, ARCHIVE_ITEM_HARD_LINK, "l", "d/absent", -EINVAL, "is no earlier file");
    refuse(s, ARCHIVE_ITEM_HARD_LINK, "l", "d", -EINVAL, "is no earlier file");
    refuse(s, ARCHIVE_ITEM_HARD_LINK, "l", "other/file", -EINVAL, "needs a directory where the archive has a file");
    refuse(s, ARCHIVE_ITEM_HARD_LINK, "other", "d/file", -EINVAL, "'other' stands in the archive twice");
    refuse(s, ARCHIVE_ITEM_HARD_LINK, "d", "other", -EINVAL, "is a hard link, and the archive has a directory");
    refuse(s, ARCHIVE_ITEM_HARD_LINK, "other/x", "d/file", -EINVAL, "needs a directory");
    take(s, ARCHIVE_ITEM_HARD_LINK, "e/same", "./d/file");
    assert_int_equal(s->totals.files, 3);
    assert_string_equal(s->totals.file, "e/same");
}

static void hard_links_count_as_the_files_they_are(void **state)
{
    struct scene *s = *state;
    struct archive_options small = usual;
    small.bytes_max = 9;
    s->tree.options = &small;
    const struct archive_item item = {.kind = ARCHIVE_ITEM_FILE, .name = "five"};
    struct err e = {0};
    int fd;
    assert_int_equal(archive_tree_add(&s->tree, &item, &fd, &e), 0);
    assert_int_equal(write(fd, "12345", 5), 5);
    assert_int_equal(archive_tree_end_file(&s->tree, &item, &fd, &e), 0);
    assert_int_equal(fd, -1);
    refuse(s, ARCHIVE_ITEM_HARD_LINK, "again", "five", -EMSGSIZE, "with 'again' the archive unpacks to more than 9B");
}

static void links_need_a_target_that_can_be_one(void **state)
{
    struct scene *s = *state;
    char target[ARCHIVE_PATH_MAX + 1];
    refuse(s, ARCHIVE_ITEM_LINK, "l", "", -EINVAL, "'l' is a link without a usable target");
    refuse(s, ARCHIVE_ITEM_LINK, "l", "a\nb", -EINVAL, "without a usable target");
    refuse(s, ARCHIVE_ITEM_LINK, "l", repeat(target, "t", ARCHIVE_PATH_MAX), -EINVAL, "without a usable target");
    take(s, ARCHIVE_ITEM_LINK, "l", repeat(target, "t", ARCHIVE_PATH_MAX - 1));
}

static void names_and_targets_of_links_are_bounded_together(void **state)
{
    struct scene *s = *state;
    char name[8], target[ARCHIVE_PATH_MAX];
    struct err e = {0};
    unsigned taken = 0;
    repeat(target, "t",
           ARCHIVE_PATH_MAX - 2); /* with a name of five bytes: 1029 a link, so that the last name would still fit */
    for (int r = 0; r == 0 && taken < 10000; taken += r == 0) {
        snprintf(name, sizeof(name), "%05u", taken);
        r = add(s, ARCHIVE_ITEM_LINK, name, target, &e);
    }
    assert_int_equal(taken, ARCHIVE_LINK_BYTES_MAX / 1029);
    assert_int_equal(e.code, EMSGSIZE);
    assert_non_null(strstr(e.text, "more than 4194304 bytes of links"));
    while (s->tree.links.len <= ARCHIVE_LINK_BYTES_MAX - 6)
        assert_int_equal(buf_add(&s->tree.links, "", 1), 0);
    refuse(s, ARCHIVE_ITEM_LINK, "zzzzz", "t", -EMSGSIZE, "bytes of links");
    s->tree.links.len = 0;
}

static int finish(struct scene *s, struct err *e)
{
    return archive_tree_finish(&s->tree, e);
}

static void a_link_where_a_file_or_directory_stands_is_refused(void **state)
{
    struct scene *s = *state;
    struct err e = {0};
    take(s, ARCHIVE_ITEM_FILE, "file", NULL);
    take(s, ARCHIVE_ITEM_LINK, "file/l", "x");
    assert_int_equal(finish(s, &e), -EINVAL);
    assert_non_null(strstr(e.text, "'file' needs a directory where the archive has a file"));
}

static void pythons_at_the_top_and_below_are_known_by_their_place(void **state)
{
    struct scene *s = *state;
    struct err e = {0};
    take(s, ARCHIVE_ITEM_LINK, "bin/python", "/opt/python");
    assert_int_equal(finish(s, &e), -EINVAL);
    assert_non_null(strstr(e.text, "python -m venv --copies"));
    static const char *const others[] = {"python", "a/python", "bi/python", "bin/perl"};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        s->tree.links.len = 0;
        take(s, ARCHIVE_ITEM_LINK, others[i], "/opt/python");
        assert_int_equal(finish(s, &e), -EINVAL);
        assert_non_null(strstr(e.text, "(allowed: inside it, or under /usr, /bin, /lib)"));
    }
}

/* ---- where a path leads ---- */

static void expect_end(const struct scene *s, const char *path, const char *want)
{
    char end[ARCHIVE_PATH_MAX];
    struct err e = {0};
    if (archive_resolve(s->dir, path, end, &e) < 0)
        fail_msg("%s: %s", path, e.text);
    assert_string_equal(end, want);
}

static void expect_no_end(const struct scene *s, const char *path, int error, const char *why)
{
    char end[ARCHIVE_PATH_MAX];
    struct err e = {0};
    int r = archive_resolve(s->dir, path, end, &e);
    if (r != error || !strstr(e.text, why))
        fail_msg("%s: %d, '%s' does not say '%s'", path, r, e.text, why);
}

static void links_are_followed_as_the_kernel_would(void **state)
{
    struct scene *s = *state;
    assert_int_equal(mkdirat(s->dir, "d", 0755) | mkdirat(s->dir, "d/e", 0755), 0);
    assert_int_equal(symlinkat("d/e", s->dir, "down") | symlinkat("..", s->dir, "d/e/up"), 0);
    assert_int_equal(symlinkat("/usr/bin/../bin/awk", s->dir, "dots") | symlinkat("/usr", s->dir, "usr"), 0);
    assert_int_equal(symlinkat("/usrx", s->dir, "near") | symlinkat("/", s->dir, "top"), 0);
    expect_end(s, "down/../x", "d/x");
    expect_end(s, "./d//e/./up/y", "d/y");
    expect_end(s, "down/up/up2", "d/up2");
    expect_end(s, "usr/bin/awk", "/usr/bin/awk");
    expect_end(s, "usr", "/usr");
    expect_end(s, "d/..", "");
    expect_no_end(s, "dots", -EINVAL, "leads out of the tree");
    expect_no_end(s, "near", -EINVAL, "leads out of the tree");
    expect_no_end(s, "top", -EINVAL, "leads out of the tree");
    expect_no_end(s, "d/../..", -EINVAL, "leads out of the tree");
    expect_no_end(s, "/d", -EINVAL, "not a path of the tree");
}

static void a_walk_never_leaves_its_room(void **state)
{
    struct scene *s = *state;
    char text[4 * ARCHIVE_PATH_MAX], path[ARCHIVE_PATH_MAX];
    repeat(text, "t/", 3000);
    assert_int_equal(symlinkat(text, s->dir, "longer"), 0);
    expect_no_end(s, "longer", -EINVAL, "a link's target is too long");
    repeat(text, "../d/", 1020);
    assert_int_equal(mkdirat(s->dir, "d", 0755) | symlinkat(text, s->dir, "d/around"), 0);
    expect_end(s, "d/around", "d");
    /* each time round another target goes before what is left to walk */
    strcpy(path, "d/around");
    while (strlen(path) + sizeof("/around") < sizeof(path))
        strcat(path, "/around");
    expect_no_end(s, path, -ELOOP, "more than 40 links");
    repeat(text, "./", 1000);
    strcat(text, "next");
    assert_int_equal(symlinkat(text, s->dir, "next"), 0);
    expect_no_end(s, "next/x", -ELOOP, "more than 40 links");
    repeat(text, "next/", 1020);
    assert_int_equal(unlinkat(s->dir, "next", 0) | symlinkat(text, s->dir, "next"), 0);
    expect_no_end(s, "next/x", -EINVAL, "it leads to a path that is too long");
    expect_no_end(s, repeat(text, "p/", ARCHIVE_PATH_MAX), -EINVAL, "not a path of the tree");
    /* many names that don't exist, behind a link to a place that is deep already */
    repeat(text, "q/", 1000);
    assert_int_equal(symlinkat(text, s->dir, "deep"), 0);
    strcpy(path, "deep/");
    expect_no_end(s, strcat(path, repeat(text, "r/", 600)), -EINVAL, "it leads to a path of more than 1023 bytes");
    repeat(text, "/usr/", 1000);
    assert_int_equal(symlinkat(text, s->dir, "u"), 0);
    strcpy(path, "u/");
    expect_no_end(s, strcat(path, repeat(text, "v/", 600)), -EINVAL, "it leads to a path that is too long");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(names_that_name_nothing_are_refused),
        TEST(paths_have_bounds_and_what_just_fits_is_taken),
        TEST(as_many_entries_as_are_allowed_and_no_more),
        TEST(names_that_begin_alike_are_different_directories),
        TEST(hard_links_lead_to_earlier_files_and_take_free_names),
        TEST(hard_links_count_as_the_files_they_are),
        TEST(links_need_a_target_that_can_be_one),
        TEST(names_and_targets_of_links_are_bounded_together),
        TEST(a_link_where_a_file_or_directory_stands_is_refused),
        TEST(pythons_at_the_top_and_below_are_known_by_their_place),
        TEST(links_are_followed_as_the_kernel_would),
        TEST(a_walk_never_leaves_its_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
