/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/watch.h"

#include "base/fdio.h"
#include "base/fmt.h"
#include "cmd/tree.h"

#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static char top[64];
static struct watch *watch;

static int make_top(void **state)
{
    (void)state;
    strcpy(top, "/tmp/faasd-watch-XXXXXX");
    return mkdtemp(top) ? 0 : -1;
}

static int remove_top(void **state)
{
    (void)state;
    struct err e;
    watch_close(watch);
    watch = NULL;
    return tree_remove(top, &e);
}

static const char *at(const char *name)
{
    static char paths[2][PATH_MAX];
    static unsigned turn;
    char *path = paths[turn++ % 2];
    fmt_to(path, PATH_MAX, "%s%s%s", top, *name ? "/" : "", name);
    return path;
}

static void put(const char *name)
{
    scoped_fd fd = open(at(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(fd_write_full(fd, "x", 1), 0);
}

static void put_text(const char *name, const char *text)
{
    scoped_fd fd = open(at(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(fd_write_full(fd, text, strlen(text)), 0);
}

static void start(const char *name)
{
    struct err e = {0};
    if (watch_open(&watch, at(name), &e) < 0)
        fail_msg("%s", e.text);
}

/* inotify events stand in the queue before the call that made them returns: nothing here waits. */
static void expect(const char *names)
{
    struct err e = {0};
    struct buf out;
    buf_init(&out, 0);
    int r = watch_read(watch, &out, &e);
    if (r < 0)
        fail_msg("%s", e.text);
    assert_int_equal(r, names != NULL);
    assert_int_equal(buf_add(&out, "", 1), 0);
    assert_string_equal(out.data, names ? names : "");
    buf_fini(&out);
}

static void a_written_file_counts_once_and_only_when_it_is_closed(void **state)
{
    (void)state;
    start("");
    expect(NULL);
    scoped_fd fd = open(at("a"), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(fd_write_full(fd, "x", 1), 0);
    expect(NULL);
    fd_close(&fd);
    expect("a\n");
    put("a");
    put("a");
    put("b");
    expect("a\nb\n");
    expect(NULL);
}

static void removing_linking_and_a_new_mode_count_and_reading_does_not(void **state)
{
    (void)state;
    char byte;
    put("a");
    start("");
    scoped_fd fd = open(at("a"), O_RDONLY | O_CLOEXEC);
    assert_int_equal(read(fd, &byte, 1), 1);
    fd_close(&fd);
    expect(NULL);
    assert_int_equal(chmod(at("a"), 0755), 0);
    expect("a\n");
    assert_int_equal(symlink("a", at("l")), 0);
    expect("l\n");
    assert_int_equal(link(at("a"), at("h")), 0);
    expect("h\n");
    assert_int_equal(unlink(at("l")), 0);
    expect("l\n");
}

static void an_editor_that_renames_over_the_file_is_seen(void **state)
{
    (void)state;
    put("app.py");
    start("");
    put("app.py.tmp");
    assert_int_equal(rename(at("app.py.tmp"), at("app.py")), 0);
    expect("app.py.tmp\napp.py\n");
    put("app.py");
    expect("app.py\n");
}

static void new_directories_are_watched_with_what_they_hold(void **state)
{
    (void)state;
    start("");
    assert_int_equal(mkdir(at("d"), 0755), 0);
    assert_int_equal(mkdir(at("d/e"), 0755), 0);
    put("d/e/early");
    expect("d\n");
    put("d/e/late");
    expect("d/e/late\n");
    assert_int_equal(mkdir(at("d/f"), 0755), 0);
    expect("d/f\n");
    put("d/f/g");
    expect("d/f/g\n");
}

static void a_moved_directory_is_watched_under_its_new_name(void **state)
{
    (void)state;
    assert_int_equal(mkdir(at("d"), 0755), 0);
    assert_int_equal(mkdir(at("d/e"), 0755), 0);
    start("");
    assert_int_equal(rename(at("d"), at("n")), 0);
    expect("d\nn\n");
    put("n/e/x");
    expect("n/e/x\n");
    struct err e;
    assert_int_equal(tree_remove(at("n"), &e), 0);
    expect("n/e/x\nn/e\nn\n");
    assert_int_equal(mkdir(at("n"), 0755), 0);
    expect("n\n");
    put("n/y");
    expect("n/y\n");
}

static void what_the_rules_name_does_not_count(void **state)
{
    (void)state;
    assert_int_equal(mkdir(at(".git"), 0755), 0);
    start("");
    put(".git/index");
    assert_int_equal(mkdir(at("__pycache__"), 0755), 0);
    expect(NULL);
    put("__pycache__/a.pyc");
    expect(NULL);
    put_text(".faasdignore", "*.log\nout/\n");
    expect(".faasdignore\n");
    put("a.log");
    assert_int_equal(mkdir(at("out"), 0755), 0);
    expect(NULL);
    put("out/x");
    expect(NULL);
    put(".git/index"); /* the file replaces the default rules */
    expect(".git/index\n");
    assert_int_equal(unlink(at(".faasdignore")), 0);
    expect(".faasdignore\n");
    put("a.log");
    expect("a.log\n");
}

static void one_file_is_watched_alone_through_every_way_of_writing_it(void **state)
{
    (void)state;
    put("app.py");
    start("app.py");
    put("other.py");
    expect(NULL);
    put("app.py");
    expect("app.py\n");
    assert_int_equal(rename(at("other.py"), at("app.py")), 0);
    expect("app.py\n");
    assert_int_equal(unlink(at("app.py")), 0);
    expect("app.py\n");
    put("app.py");
    expect("app.py\n");
    assert_int_equal(mkdir(at("d"), 0755), 0);
    put("d/app.py");
    expect(NULL);
}

static void a_top_that_is_replaced_is_found_again(void **state)
{
    (void)state;
    assert_int_equal(mkdir(at("src"), 0755), 0);
    start("src");
    assert_int_equal(rename(at("src"), at("old")), 0);
    expect(NULL);
    assert_int_equal(watch_fd(watch), -1);
    expect(NULL);
    assert_int_equal(mkdir(at("src"), 0755), 0);
    expect(""); /* changed, and nobody knows what */
    assert_true(watch_fd(watch) >= 0);
    put("src/a");
    expect("a\n");
    put("old/a");
    expect(NULL);
}

static void names_have_a_limit_and_changes_have_none(void **state)
{
    (void)state;
    char name[32];
    struct err e = {0};
    struct buf out;
    start("");
    for (unsigned i = 0; i < 500; i++) {
        snprintf(name, sizeof(name), "file-number-%u", i);
        put(name);
    }
    buf_init(&out, 0);
    assert_int_equal(watch_read(watch, &out, &e), 1);
    assert_true(out.len > 0 && out.len <= WATCH_NAMES_BYTES_MAX);
    put("file-number-499");
    assert_int_equal(watch_read(watch, &out, &e), 1);
    assert_true(out.len <= WATCH_NAMES_BYTES_MAX);
    buf_fini(&out);
}

static void what_is_not_there_is_refused(void **state)
{
    (void)state;
    struct err e = {0};
    assert_int_equal(watch_open(&watch, at("absent"), &e), -ENOENT);
    assert_non_null(strstr(e.text, "there is no"));
    assert_null(watch);
}

int main(void)
{
#define IN_A_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, make_top, remove_top)
    const struct CMUnitTest tests[] = {
        IN_A_DIRECTORY(a_written_file_counts_once_and_only_when_it_is_closed),
        IN_A_DIRECTORY(removing_linking_and_a_new_mode_count_and_reading_does_not),
        IN_A_DIRECTORY(an_editor_that_renames_over_the_file_is_seen),
        IN_A_DIRECTORY(new_directories_are_watched_with_what_they_hold),
        IN_A_DIRECTORY(a_moved_directory_is_watched_under_its_new_name),
        IN_A_DIRECTORY(what_the_rules_name_does_not_count),
        IN_A_DIRECTORY(one_file_is_watched_alone_through_every_way_of_writing_it),
        IN_A_DIRECTORY(a_top_that_is_replaced_is_found_again),
        IN_A_DIRECTORY(names_have_a_limit_and_changes_have_none),
        IN_A_DIRECTORY(what_is_not_there_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
