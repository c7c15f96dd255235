/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/listen.h"

#include "base/fdio.h"
#include "os/sock.h"
#include "supervisor/message.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

static char scratch[] = "/tmp/faasd-listen-test-XXXXXX";
static struct supervisor_paths paths;
static const struct accounts ACCOUNTS = {.gateway_uid = 70001, .gateway_gid = 70001};

static int make_scratch(void **state)
{
    (void)state;
    if (!mkdtemp(scratch))
        return -1;
    snprintf(paths.run, sizeof(paths.run), "%s", scratch);
    return 0;
}

static int remove_scratch(void **state)
{
    (void)state;
    return rmdir(scratch); /* fails when a test left a socket */
}

static struct config on_any_port(void)
{
    struct config c = {.listen_count = 1, .invoke_mode = 0660};
    strcpy(c.listen[0], "127.0.0.1:0");
    return c;
}

static void all_listeners_are_made_and_their_files_removed(void **state)
{
    (void)state;
    struct config c = on_any_port();
    struct listeners l = {0};
    struct err e;
    c.listen_count = 2;
    snprintf(c.listen[1], sizeof(c.listen[1]), "unix:%s/extra.sock", scratch);
    if (listeners_open(&l, &c, &ACCOUNTS, &paths, &e) < 0)
        fail_msg("%s", e.text);
    assert_int_equal(l.count, 4);
    assert_int_equal(l.at[0].kind, GATEWAY_LISTENER_LOOPBACK);
    assert_int_equal(l.at[1].kind, GATEWAY_LISTENER_INVOKE);
    assert_int_equal(l.at[2].kind, GATEWAY_LISTENER_INVOKE);
    assert_int_equal(l.at[3].kind, GATEWAY_LISTENER_CONTROL);
    char text[1024], wanted[1024];
    listeners_print(&l, text, sizeof(text));
    snprintf(wanted, sizeof(wanted), "listen=%s,unix:%s/extra.sock control=%s/control.sock invoke=%s/invoke.sock",
             l.at[0].name, scratch, scratch, scratch);
    assert_string_equal(text, wanted);
    struct stat st;
    assert_int_equal(lstat(l.at[3].name, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600); /* no group faasd: root alone */
    assert_int_equal(lstat(l.at[2].name, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0660);
    listeners_close(&l);
}

static void a_taken_port_is_reported_with_its_holder(void **state)
{
    (void)state;
    struct config c = on_any_port();
    struct listeners first = {0}, second = {0};
    struct err e;
    assert_int_equal(listeners_open(&first, &c, &ACCOUNTS, &paths, &e), 0);
    strcpy(c.listen[0], first.at[0].name);
    assert_int_equal(listeners_open(&second, &c, &ACCOUNTS, &paths, &e), -EADDRINUSE);
    char holder[32];
    snprintf(holder, sizeof(holder), "(pid %d)", getpid());
    assert_non_null(strstr(e.text, holder));
    listeners_close(&first);
}

static void a_stale_socket_is_replaced_and_a_live_one_is_not(void **state)
{
    (void)state;
    struct config c = on_any_port();
    struct listeners l = {0};
    struct err e;
    char path[128];
    snprintf(path, sizeof(path), "%s/control.sock", scratch);
    const struct sock_unix u = {.path = path, .mode = 0600, .uid = geteuid(), .gid = getegid()};
    int fd = sock_listen_unix(&u, &e);
    assert_true(fd >= 0);
    assert_int_equal(listeners_open(&l, &c, &ACCOUNTS, &paths, &e), -EADDRINUSE);
    close(fd); /* as a killed daemon leaves it */
    if (listeners_open(&l, &c, &ACCOUNTS, &paths, &e) < 0)
        fail_msg("%s", e.text);
    listeners_close(&l);
    assert_int_equal(access(path, F_OK), -1);
}

static void what_is_no_socket_stays(void **state)
{
    (void)state;
    struct config c = on_any_port();
    struct listeners l = {0};
    struct err e;
    char path[128];
    snprintf(path, sizeof(path), "%s/invoke.sock", scratch);
    assert_int_equal(symlink("/etc/passwd", path), 0);
    assert_int_equal(listeners_open(&l, &c, &ACCOUNTS, &paths, &e), -EEXIST);
    assert_int_equal(unlink(path), 0);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    close(fd);
    assert_int_equal(listeners_open(&l, &c, &ACCOUNTS, &paths, &e), -EEXIST);
    assert_int_equal(unlink(path), 0);
}

static void a_socket_that_was_replaced_is_not_removed_at_the_end(void **state)
{
    (void)state;
    struct config c = on_any_port();
    struct listeners l = {0};
    struct err e;
    assert_int_equal(listeners_open(&l, &c, &ACCOUNTS, &paths, &e), 0);
    char path[128];
    snprintf(path, sizeof(path), "%s/control.sock", scratch);
    char kept[160];
    snprintf(kept, sizeof(kept), "%s.kept", path); /* so that its inode is not used again at once */
    assert_int_equal(rename(path, kept), 0);
    const struct sock_unix u = {.path = path, .mode = 0600, .uid = geteuid(), .gid = getegid()};
    int fd = sock_listen_unix(&u, &e);
    assert_true(fd >= 0);
    listeners_close(&l);
    assert_int_equal(access(path, F_OK), 0);
    close(fd);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(unlink(kept), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_listeners_are_made_and_their_files_removed),
        cmocka_unit_test(a_taken_port_is_reported_with_its_holder),
        cmocka_unit_test(a_stale_socket_is_replaced_and_a_live_one_is_not),
        cmocka_unit_test(what_is_no_socket_stays),
        cmocka_unit_test(a_socket_that_was_replaced_is_not_removed_at_the_end),
    };
    return cmocka_run_group_tests(tests, make_scratch, remove_scratch);
}
