/* SPDX-License-Identifier: Apache-2.0 */
/* Directories, lock and format marker, in a scratch directory. As root: the directories are handed to other uids. */
#include "supervisor/state.h"

#include "base/fdio.h"
#include "supervisor/directory.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

enum { GATEWAY = 70001, OWNER = 70002, STRANGER = 70003 };

static const struct accounts ACCOUNTS = {.gateway_uid = GATEWAY, .gateway_gid = GATEWAY};
static char scratch[] = "/tmp/faasd-state-test-XXXXXX";
static unsigned number;

static struct supervisor_paths fresh(void)
{
    struct supervisor_paths p = {0};
    number++;
    snprintf(p.run, sizeof(p.run), "%s/%u/run", scratch, number);
    snprintf(p.state, sizeof(p.state), "%s/%u/state", scratch, number);
    return p;
}

static int make_scratch(void **state)
{
    (void)state;
    return mkdtemp(scratch) && chmod(scratch, 0755) == 0 ? 0 : -1;
}

static int remove_scratch(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof(command), "rm -rf '%s'", scratch);
    return system(command);
}

static void put_file(const char *dir, const char *name, const char *text)
{
    char path[600];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static void make_dirs(const struct supervisor_paths *p)
{
    char parent[CONFIG_PATH_MAX];
    snprintf(parent, sizeof(parent), "%s/%u", scratch, number);
    assert_int_equal(mkdir(parent, 0755), 0);
    assert_int_equal(mkdir(p->state, 0755), 0);
}

static int open_state(struct state *s, const struct supervisor_paths *p, struct err *e)
{
    return state_open(s, p, &ACCOUNTS, OWNER, e);
}

static void a_first_start_makes_the_layout_and_a_second_finds_it(void **state)
{
    (void)state;
    struct supervisor_paths p = fresh();
    struct state s;
    struct err e = {0};
    mode_t before = umask(077);
    for (int i = 0; i < 2; i++) {
        if (open_state(&s, &p, &e) < 0)
            fail_msg("%s", e.text);
        struct stat st;
        assert_int_equal(stat(s.db, &st), 0);
        assert_int_equal(st.st_uid, GATEWAY);
        assert_int_equal(st.st_mode & 07777, 0700);
        assert_int_equal(fstat(s.trash_fd, &st), 0);
        assert_int_equal(st.st_uid, OWNER);
        assert_int_equal(fstat(s.versions_fd, &st), 0);
        assert_int_equal(st.st_uid, 0);
        assert_int_equal(st.st_mode & 07777, 0755);
        assert_int_equal(fstat(s.state_fd, &st), 0);
        assert_int_equal(st.st_gid, GATEWAY);
        assert_int_equal(st.st_mode & 07777, 0710);
        char text[32];
        assert_true(fd_read_file_at(s.state_fd, "FORMAT", text, sizeof(text), &e) > 0);
        assert_string_equal(text, "faasd 1\n");
        state_close(&s);
    }
    umask(before);
}

static void a_directory_of_somebody_elses_is_refused_untouched(void **state)
{
    (void)state;
    struct supervisor_paths p = fresh();
    struct state s;
    struct err e;
    make_dirs(&p);
    put_file(p.state, "their.db", "x");
    assert_int_equal(open_state(&s, &p, &e), -EEXIST);
    assert_non_null(strstr(e.text, "their.db"));
    char path[600];
    snprintf(path, sizeof(path), "%s/FORMAT", p.state);
    assert_int_equal(access(path, F_OK), -1);
}

static void an_interrupted_first_start_does_not_bar_the_next(void **state)
{
    (void)state;
    struct supervisor_paths p = fresh();
    struct state s;
    struct err e;
    make_dirs(&p);
    put_file(p.state, "FORMAT.new", "fa");
    if (open_state(&s, &p, &e) < 0)
        fail_msg("%s", e.text);
    state_close(&s);
}

static void a_newer_or_foreign_format_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {"faasd 2\n", "faasd 1", "faasd 0\n", "faasd\n", "", "faasd 1\nx", "other 1\n"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct supervisor_paths p = fresh();
        struct state s;
        struct err e;
        make_dirs(&p);
        put_file(p.state, "FORMAT", texts[i]);
        assert_int_equal(open_state(&s, &p, &e), -EINVAL);
    }
}

static void a_second_daemon_is_told_the_firsts_pid(void **state)
{
    (void)state;
    struct supervisor_paths p = fresh();
    struct state first, second;
    struct err e;
    assert_int_equal(open_state(&first, &p, &e), 0);
    assert_int_equal(open_state(&second, &p, &e), -EBUSY);
    char pid[32];
    snprintf(pid, sizeof(pid), "pid %d", getpid());
    assert_non_null(strstr(e.text, "another faasd runs on this root"));
    assert_non_null(strstr(e.text, pid));
    state_close(&first);
    assert_int_equal(open_state(&second, &p, &e), 0);
    state_close(&second);
}

static void two_roots_can_not_share_one_state(void **state)
{
    (void)state;
    struct supervisor_paths p = fresh();
    struct supervisor_paths q = p;
    struct state first, second;
    struct err e;
    snprintf(q.run, sizeof(q.run), "%s/%u/other", scratch, number);
    assert_int_equal(open_state(&first, &p, &e), 0);
    assert_int_equal(open_state(&second, &q, &e), -EBUSY);
    state_close(&first);
}

static void a_prepared_link_or_a_strangers_directory_is_refused(void **state)
{
    (void)state;
    struct supervisor_paths p = fresh();
    struct state s;
    struct err e;
    char target[CONFIG_PATH_MAX];
    make_dirs(&p);
    snprintf(target, sizeof(target), "%s/%u/target", scratch, number);
    assert_int_equal(mkdir(target, 0755), 0);
    assert_int_equal(symlink(target, p.run), 0);
    assert_int_equal(open_state(&s, &p, &e), -ENOTDIR);
    assert_int_equal(rmdir(target), 0); /* nothing was put into it */
    assert_int_equal(unlink(p.run), 0);

    assert_int_equal(mkdir(p.run, 0755), 0);
    assert_int_equal(chown(p.run, STRANGER, STRANGER), 0);
    assert_int_equal(open_state(&s, &p, &e), -EPERM);
    assert_int_equal(chown(p.run, 0, 0), 0);
    assert_int_equal(chmod(p.run, 0777), 0);
    assert_int_equal(open_state(&s, &p, &e), -EPERM);
    assert_int_equal(chmod(p.run, 0755), 0);
    if (open_state(&s, &p, &e) < 0)
        fail_msg("%s", e.text);
    state_close(&s);
}

static void a_strangers_link_or_directory_on_the_way_is_refused(void **state)
{
    (void)state;
    struct err e;
    char path[600], link[300];
    snprintf(path, sizeof(path), "%s/open", scratch);
    assert_int_equal(mkdir(path, 0755), 0);
    assert_int_equal(chmod(path, 01777), 0);
    snprintf(link, sizeof(link), "%s/open/link", scratch);
    assert_int_equal(symlink(scratch, link), 0);
    assert_int_equal(lchown(link, STRANGER, STRANGER), 0);
    snprintf(path, sizeof(path), "%s/x/run", link);
    assert_int_equal(directory_open_own(path, 0755, &e), -EPERM);
    assert_int_equal(lchown(link, 0, 0), 0);
    int fd = directory_open_own(path, 0755, &e);
    assert_true(fd >= 0);
    close(fd);
    snprintf(path, sizeof(path), "%s/open/his", scratch);
    assert_int_equal(mkdir(path, 0755), 0);
    assert_int_equal(chown(path, STRANGER, STRANGER), 0);
    snprintf(path, sizeof(path), "%s/open/his/run", scratch);
    assert_int_equal(directory_open_own(path, 0755, &e), -EPERM);
    snprintf(path, sizeof(path), "%s/wide", scratch);
    assert_int_equal(mkdir(path, 0755), 0);
    assert_int_equal(chmod(path, 0777), 0);
    snprintf(path, sizeof(path), "%s/wide/run", scratch);
    assert_int_equal(directory_open_own(path, 0755, &e), -EPERM);
}

static void a_root_that_the_gateway_can_not_reach_is_named(void **state)
{
    (void)state;
    struct supervisor_paths p = fresh();
    struct state s;
    struct err e;
    make_dirs(&p);
    char parent[CONFIG_PATH_MAX];
    snprintf(parent, sizeof(parent), "%s/%u", scratch, number);
    assert_int_equal(chmod(parent, 0700), 0);
    assert_int_equal(open_state(&s, &p, &e), -EACCES);
    assert_non_null(strstr(e.text, parent));
}

static void staging_goes_to_the_trash_and_versions_are_only_the_owners(void **state)
{
    (void)state;
    struct supervisor_paths p = fresh();
    struct state s;
    struct err e;
    assert_int_equal(open_state(&s, &p, &e), 0);
    int fd = state_make_staging(&s, 5, OWNER, &e);
    assert_true(fd >= 0);
    struct stat st;
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_uid, OWNER);
    close(fd);
    assert_int_equal(state_make_staging(&s, 5, OWNER, &e), -EEXIST);
    assert_int_equal(state_make_staging(&s, 6, OWNER, &e) >= 0, 1);
    assert_int_equal(state_sweep_staging(&s, &e), 2);
    assert_int_equal(state_sweep_staging(&s, &e), 0);
    assert_int_equal(faccessat(s.staging_fd, "5", F_OK, 0), -1);

    assert_int_equal(state_open_version(&s, "aa", OWNER, &e), -ENOENT);
    assert_int_equal(mkdirat(s.versions_fd, "aa", 0755), 0);
    assert_int_equal(state_open_version(&s, "aa", OWNER, &e), -EPERM);
    assert_int_equal(fchownat(s.versions_fd, "aa", OWNER, OWNER, 0), 0);
    fd = state_open_version(&s, "aa", OWNER, &e);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(symlinkat("/etc", s.versions_fd, "bb"), 0);
    assert_int_equal(state_open_version(&s, "bb", OWNER, &e), -ELOOP);
    assert_int_equal(state_throw_away(&s, s.versions_fd, "aa", &e), 0);
    assert_int_equal(state_throw_away(&s, s.versions_fd, "aa", &e), 0);
    state_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_first_start_makes_the_layout_and_a_second_finds_it),
        cmocka_unit_test(a_directory_of_somebody_elses_is_refused_untouched),
        cmocka_unit_test(an_interrupted_first_start_does_not_bar_the_next),
        cmocka_unit_test(a_newer_or_foreign_format_is_refused),
        cmocka_unit_test(a_second_daemon_is_told_the_firsts_pid),
        cmocka_unit_test(two_roots_can_not_share_one_state),
        cmocka_unit_test(a_prepared_link_or_a_strangers_directory_is_refused),
        cmocka_unit_test(a_strangers_link_or_directory_on_the_way_is_refused),
        cmocka_unit_test(a_root_that_the_gateway_can_not_reach_is_named),
        cmocka_unit_test(staging_goes_to_the_trash_and_versions_are_only_the_owners),
    };
    if (geteuid() != 0) {
        fprintf(stderr, "skipped: the state directory's owners can only be set by root\n");
        return 0;
    }
    return cmocka_run_group_tests(tests, make_scratch, remove_scratch);
}
