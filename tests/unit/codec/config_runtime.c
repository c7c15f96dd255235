/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/config_runtime.h"
#include "codec/config.h"

#include "base/fmt.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
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
static struct err e;

static void refuse(const char *name, const char *path, const char *why)
{
    config_init(&c);
    assert_int_equal(config_set_runtime(&c, name, path, &e), -EINVAL);
    if (!strstr(e.text, why))
        fail_msg("%s=%s: '%s' does not say '%s'", name, path, e.text, why);
    assert_int_equal(c.runtime_count, 0);
}

static void set(const char *name, const char *path)
{
    if (config_set_runtime(&c, name, path, &e) < 0)
        fail_msg("%s=%s: %s", name, path, e.text);
}

static void the_prefix_is_the_directory_above_bin(void **state)
{
    (void)state;
    config_init(&c);
    set("python3.12", "/opt/py312/bin/python3");
    set("node22", "/srv/nodes/22/bin/node");
    set("python3", "/usr/bin/python3");
    set("python3.9", "/usr/local/bin/python3.9");
    assert_string_equal(c.runtimes[0].prefix, "/opt/py312");
    assert_string_equal(c.runtimes[1].prefix, "/srv/nodes/22");
    assert_string_equal(c.runtimes[2].prefix, "");
    assert_string_equal(c.runtimes[3].prefix, "");
    assert_int_equal(config_check(&c, &e), 0);
}

static void an_entry_replaces_an_earlier_one_of_its_name(void **state)
{
    (void)state;
    config_init(&c);
    set("python", "/opt/a/bin/python3");
    set("node", "/opt/n/bin/node");
    set("python", "/opt/b/bin/python3");
    assert_int_equal(c.runtime_count, 2);
    assert_string_equal(c.runtimes[0].path, "/opt/b/bin/python3");
}

static void what_can_not_be_mounted_or_named_is_refused(void **state)
{
    (void)state;
    refuse("ruby", "/opt/r/bin/ruby", "not a name such as python");
    refuse("provided", "/opt/r/bin/x", "not a name such as python");
    refuse("python3.12", "python3", "absolute path");
    refuse("python3.12", "/opt/../bin/python3", "absolute path");
    refuse("python3.12", "/opt/python3", "a directory bin/");
    refuse("python3.12", "/opt/py/sbin/python3", "a directory bin/");
    refuse("python3.12", "/tmp/py/bin/python3", "hide /tmp");
    refuse("python3.12", "/var/bin/python3", "hide /var");
    refuse("python3.12", "/var/task/py/bin/python3", "hide /var/task");
    refuse("python3.12", "/etc/alternatives/bin/python3", "hide /etc");
    refuse("python3.12", "/opt/a\nb/bin/python3", "control character");
}

static void a_struct_from_elsewhere_is_checked_like_a_file(void **state)
{
    (void)state;
    config_init(&c);
    set("python3.12", "/opt/py312/bin/python3");
    strcpy(c.runtimes[0].prefix, "/root");
    assert_int_equal(config_check(&c, &e), -EINVAL);
    strcpy(c.runtimes[0].prefix, "/opt/py312");
    assert_int_equal(config_check(&c, &e), 0);
    c.runtimes[0].found = true; /* nothing outside /usr is ever found */
    assert_int_equal(config_check(&c, &e), -EINVAL);
    c.runtimes[0].found = false;
    c.runtime_count = CONFIG_RUNTIMES_MAX + 1;
    assert_int_equal(config_check(&c, &e), -EINVAL);
    c.runtime_count = 1;
    memset(c.runtimes[0].name, 'a', sizeof(c.runtimes[0].name));
    assert_int_equal(config_check(&c, &e), -EINVAL);
}

static const char *choose(enum settings_runtime family, const char *name)
{
    const struct config_runtime *r = config_choose_runtime(&c, family, name, &e);
    return r ? r->path : NULL;
}

static void a_name_means_its_own_entry_or_the_hosts_default(void **state)
{
    (void)state;
    config_init(&c);
    set("python3.12", "/opt/py312/bin/python3");
    set("python3.9", "/opt/py39/bin/python3");
    set("node22", "/opt/n22/bin/node");
    /* the highest, while no entry leaves the version open */
    assert_string_equal(choose(SETTINGS_RUNTIME_PYTHON, "python"), "/opt/py312/bin/python3");
    assert_string_equal(choose(SETTINGS_RUNTIME_NODE, "node"), "/opt/n22/bin/node");
    assert_null(choose(SETTINGS_RUNTIME_NODE, "nodejs20.x"));
    set("python3", "/usr/bin/python3.11");
    set("node", "/usr/bin/node");
    assert_string_equal(choose(SETTINGS_RUNTIME_PYTHON, "python"), "/usr/bin/python3.11");
    assert_string_equal(choose(SETTINGS_RUNTIME_PYTHON, "python3"), "/usr/bin/python3.11");
    assert_string_equal(choose(SETTINGS_RUNTIME_PYTHON, "python3.9"), "/opt/py39/bin/python3");
    assert_string_equal(choose(SETTINGS_RUNTIME_NODE, "nodejs"), "/usr/bin/node");
    assert_string_equal(choose(SETTINGS_RUNTIME_NODE, "nodejs22.x"), "/opt/n22/bin/node");
    assert_string_equal(choose(SETTINGS_RUNTIME_NODE, "node22"), "/opt/n22/bin/node");
    /* of a major version that only the process knows */
    assert_string_equal(choose(SETTINGS_RUNTIME_NODE, "nodejs20.x"), "/usr/bin/node");
}

static void one_that_is_not_there_is_refused_with_what_is(void **state)
{
    (void)state;
    config_init(&c);
    assert_null(choose(SETTINGS_RUNTIME_PYTHON, "python3.12"));
    assert_int_equal(e.code, ENOENT);
    assert_non_null(strstr(e.text, "install python3, or name one in `runtimes`"));
    set("python3.11", "/usr/bin/python3.11");
    set("node", "/usr/bin/node");
    assert_null(choose(SETTINGS_RUNTIME_PYTHON, "python3.12"));
    assert_non_null(strstr(e.text, "'python3.12' is not on this host: there is python3.11; install it"));
    assert_null(strstr(e.text, "node"));
}

static void the_minor_version_is_in_the_name_or_the_path(void **state)
{
    (void)state;
    config_init(&c);
    set("python3.12", "/opt/py/bin/python3");
    set("python3", "/usr/bin/python3.11");
    set("python", "/opt/p/bin/python");
    assert_int_equal(config_python_minor(&c.runtimes[0]), 12);
    assert_int_equal(config_python_minor(&c.runtimes[1]), 11);
    assert_int_equal(config_python_minor(&c.runtimes[2]), -1);
}

/* ---- the host's files ---- */

/* Not under /tmp: sandboxes have one of their own. */
static char top[PATH_MAX];

static const char *in_top(const char *name)
{
    static char path[2][PATH_MAX];
    static unsigned turn;
    char *out = path[turn++ % 2];
    fmt_to(out, PATH_MAX, "%s/%s", top, name);
    return out;
}

static int make_top(void **state)
{
    (void)state;
    const char *home = getenv("HOME");
    fmt_to(top, sizeof(top), "%s/faasd-test-XXXXXX", geteuid() == 0 || !home ? "/var/lib" : home);
    if (!mkdtemp(top))
        return 1;
    chmod(top, 0755);
    mkdir(in_top("bin"), 0755);
    int fd = open(in_top("bin/python3.12"), O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
    if (fd < 0)
        return 1;
    fchmod(fd, 0755);
    close(fd);
    return symlink("python3.12", in_top("bin/python3"));
}

static int remove_top(void **state)
{
    (void)state;
    unlink(in_top("bin/python3"));
    unlink(in_top("bin/python3.12"));
    unlink(in_top("bin/outside"));
    rmdir(in_top("bin"));
    return rmdir(top);
}

static int find(const char *path)
{
    config_init(&c);
    set("python3.12", path);
    return config_find_runtimes(&c, &e);
}

static void refuse_on_host(const char *path, int code, const char *why)
{
    assert_int_equal(find(path), -code);
    if (!strstr(e.text, why) || strncmp(e.text, "runtimes.python3.12: ", 21) != 0)
        fail_msg("'%s' does not say '%s'", e.text, why);
}

static void an_interpreter_must_exist_and_belong_to_root_or_the_caller(void **state)
{
    (void)state;
    if (find(in_top("bin/python3")) < 0)
        fail_msg("%s", e.text);
    refuse_on_host(in_top("bin/python3.13"), ENOENT, "there is no");
    chmod(in_top("bin/python3.12"), 0644);
    refuse_on_host(in_top("bin/python3"), EACCES, "not an executable file");
    chmod(in_top("bin/python3.12"), 0750);
    refuse_on_host(in_top("bin/python3"), EACCES, "functions may not execute");
    chmod(in_top("bin/python3.12"), 0775);
    refuse_on_host(in_top("bin/python3"), EPERM, "written by others");
    chmod(in_top("bin/python3.12"), 0755);
    chmod(in_top("bin"), 0777);
    refuse_on_host(in_top("bin/python3"), EPERM, "written by others");
    chmod(in_top("bin"), 0700);
    refuse_on_host(in_top("bin/python3"), EACCES, "functions may not enter");
    chmod(in_top("bin"), 0755);
    chmod(top, 01777); /* the prefix itself: sticky is not enough, anybody may put a library there */
    refuse_on_host(in_top("bin/python3"), EPERM, "written by others");
    chmod(top, 0755);
    if (geteuid() == 0) {
        assert_int_equal(chown(in_top("bin/python3.12"), 12345, 0), 0);
        refuse_on_host(in_top("bin/python3"), EPERM, "belongs to uid 12345");
        assert_int_equal(chown(in_top("bin/python3.12"), 0, 0), 0);
    }
}

static void links_may_lead_where_sandboxes_see_it_and_nowhere_else(void **state)
{
    (void)state;
    assert_int_equal(symlink("/usr/bin/env", in_top("bin/outside")), 0);
    assert_int_equal(find(in_top("bin/outside")), 0);
    unlink(in_top("bin/outside"));
    assert_int_equal(symlink("/sbin/../etc/passwd", in_top("bin/outside")), 0);
    assert_true(find(in_top("bin/outside")) < 0);
    char link[PATH_MAX], path[PATH_MAX];
    fmt_to(link, sizeof(link), "%s-link", top);
    fmt_to(path, sizeof(path), "%s/bin/python3", link);
    assert_int_equal(symlink(top, link), 0);
    refuse_on_host(path, EINVAL, "by a link: write the path itself");
    unlink(link);
}

/* What this host has is not known here: what is found must stand, and nothing of the configuration is lost. */
static void what_usr_bin_has_is_found_behind_the_configuration(void **state)
{
    (void)state;
    assert_int_equal(find(in_top("bin/python3")), 0);
    assert_string_equal(c.runtimes[0].name, "python3.12");
    assert_false(c.runtimes[0].found);
    for (uint32_t i = 1; i < c.runtime_count; i++) {
        assert_true(c.runtimes[i].found);
        assert_int_equal(strncmp(c.runtimes[i].path, "/usr/", 5), 0);
        assert_int_equal(access(c.runtimes[i].path, X_OK), 0);
    }
    assert_int_equal(config_check(&c, &e), 0);
    if (access("/usr/bin/python3", X_OK) == 0) {
        const char *path = choose(SETTINGS_RUNTIME_PYTHON, "python3");
        assert_non_null(path);
        assert_int_equal(strncmp(path, "/usr/bin/python3", 16), 0);
    }
    struct buf out;
    buf_init(&out, 0);
    assert_int_equal(config_print_json(&c, &out), 0);
    assert_int_equal(buf_add(&out, "", 1), 0);
    assert_non_null(strstr(out.data, "\"python3.12\""));
    assert_null(strstr(out.data, "/usr/bin/")); /* not as if somebody had written it */
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_prefix_is_the_directory_above_bin),
        cmocka_unit_test(an_entry_replaces_an_earlier_one_of_its_name),
        cmocka_unit_test(what_can_not_be_mounted_or_named_is_refused),
        cmocka_unit_test(a_struct_from_elsewhere_is_checked_like_a_file),
        cmocka_unit_test(a_name_means_its_own_entry_or_the_hosts_default),
        cmocka_unit_test(one_that_is_not_there_is_refused_with_what_is),
        cmocka_unit_test(the_minor_version_is_in_the_name_or_the_path),
        cmocka_unit_test(an_interpreter_must_exist_and_belong_to_root_or_the_caller),
        cmocka_unit_test(links_may_lead_where_sandboxes_see_it_and_nowhere_else),
        cmocka_unit_test(what_usr_bin_has_is_found_behind_the_configuration),
    };
    return cmocka_run_group_tests(tests, make_top, remove_top);
}
