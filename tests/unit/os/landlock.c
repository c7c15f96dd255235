/* SPDX-License-Identifier: Apache-2.0 */
#include "os/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char scratch[] = "/tmp/landlock-test-XXXXXX";
static char readable[64], writable[64], other[64];

static int make_directories(void **state)
{
    (void)state;
    if (!mkdtemp(scratch))
        return -1;
    snprintf(readable, sizeof(readable), "%s/readable", scratch);
    snprintf(writable, sizeof(writable), "%s/writable", scratch);
    snprintf(other, sizeof(other), "%s/other", scratch);
    return mkdir(readable, 0755) || mkdir(writable, 0755) || mkdir(other, 0755);
}

static int remove_directories(void **state)
{
    (void)state;
    return rmdir(readable) || rmdir(writable) || rmdir(other) || rmdir(scratch);
}

/* A skip names its reason; where the kernel has Landlock nothing is skipped. */
static void need_abi(int abi)
{
    if (landlock_abi() < abi) {
        print_message("skipped: Landlock ABI %d is below %d\n", landlock_abi(), abi);
        skip();
    }
}

static int restricted(const struct landlock_spec *s, int (*body)(void))
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct err e = {0};
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || (s && landlock_restrict(s, &e) < 0))
            _exit(99);
        _exit(body());
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int can_open(const char *directory, const char *name, int flags)
{
    int dir = open(directory, O_PATH | O_CLOEXEC);
    int fd = openat(dir, name, flags | O_CLOEXEC, 0600);
    int error = errno;
    if (fd >= 0)
        close(fd);
    if (flags & O_CREAT)
        unlinkat(dir, name, 0);
    close(dir);
    return fd >= 0 ? 0 : error;
}

static int use_paths(void)
{
    if (can_open(readable, ".", O_RDONLY | O_DIRECTORY) != 0)
        return 1;
    if (can_open(readable, "new", O_CREAT | O_WRONLY) != EACCES)
        return 2;
    if (can_open(writable, "new", O_CREAT | O_RDWR) != 0)
        return 3;
    if (can_open(other, ".", O_RDONLY | O_DIRECTORY) != EACCES)
        return 4;
    if (can_open("/etc", "passwd", O_RDONLY) != EACCES)
        return 5;
    if (mkdirat(AT_FDCWD, other, 0700) == 0 || (errno != EEXIST && errno != EACCES))
        return 6;
    return 0;
}

static void only_the_named_paths_are_left(void **state)
{
    (void)state;
    need_abi(1);
    const struct landlock_path paths[] = {
        {readable, LANDLOCK_RIGHT_READ},
        {writable, LANDLOCK_RIGHT_READ | LANDLOCK_RIGHT_WRITE},
        {"/nonexistent/path", LANDLOCK_RIGHT_READ},
        {"/dev/null", LANDLOCK_RIGHT_READ | LANDLOCK_RIGHT_WRITE},
    };
    const struct landlock_spec s = {.paths = paths, .path_count = 4};
    assert_int_equal(restricted(&s, use_paths), 0);
    assert_int_equal(restricted(NULL, use_paths), 2);
}

static int execute_false(void)
{
    execl("/bin/false", "false", (char *)NULL);
    return errno == EACCES ? 42 : 99;
}

static void execution_is_a_right_of_its_own(void **state)
{
    (void)state;
    need_abi(1);
    const struct landlock_path reads[] = {{"/", LANDLOCK_RIGHT_READ}};
    const struct landlock_path runs[] = {{"/", LANDLOCK_RIGHT_READ | LANDLOCK_RIGHT_EXECUTE}};
    const struct landlock_spec no = {.paths = reads, .path_count = 1}, yes = {.paths = runs, .path_count = 1};
    assert_int_equal(restricted(&yes, execute_false), 1);
    assert_int_equal(restricted(&no, execute_false), 42);
}

static int use_tcp(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0 || errno != EACCES)
        return 1;
    a.sin_port = htons(1);
    return connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0 && errno == EACCES ? 0 : 2;
}

static void tcp_can_be_denied(void **state)
{
    (void)state;
    need_abi(4);
    const struct landlock_spec s = {.deny_tcp = true};
    assert_int_equal(restricted(&s, use_tcp), 0);
    assert_int_equal(restricted(NULL, use_tcp), 1);
}

static int signal_the_parent(void)
{
    return kill(getppid(), 0) < 0 && errno == EPERM ? 0 : 1;
}

static void signals_do_not_leave_a_scope(void **state)
{
    (void)state;
    need_abi(6);
    const struct landlock_spec s = {.scope = true};
    assert_int_equal(restricted(&s, signal_the_parent), 0);
    assert_int_equal(restricted(NULL, signal_the_parent), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_named_paths_are_left),
        cmocka_unit_test(execution_is_a_right_of_its_own),
        cmocka_unit_test(tcp_can_be_denied),
        cmocka_unit_test(signals_do_not_leave_a_scope),
    };
    return cmocka_run_group_tests(tests, make_directories, remove_directories);
}
