/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/shared_pipe.h"

#include "base/fdio.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

/* What the test is about would stop it for ever. */
static int limit_time(void **state)
{
    (void)state;
    alarm(20);
    return 0;
}

static void an_empty_pipe_never_blocks_whatever_its_flags(void **state)
{
    (void)state;
    int fds[2];
    char out[16];
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0); /* blocking, as its other holder may make it */
    assert_int_equal(shared_pipe_read(fds[0], out, sizeof(out)), -1);
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(write(fds[1], "abc", 3), 3);
    assert_int_equal(shared_pipe_read(fds[0], out, sizeof(out)), 3);
    assert_memory_equal(out, "abc", 3);
    assert_int_equal(shared_pipe_read(fds[0], out, sizeof(out)), -1);
    assert_int_equal(errno, EAGAIN);
    close(fds[1]);
    assert_int_equal(shared_pipe_read(fds[0], out, sizeof(out)), 0);
    close(fds[0]);
}

static void everything_comes_out_in_order(void **state)
{
    (void)state;
    int fds[2];
    static char in[65536], out[65536];
    for (size_t i = 0; i < sizeof(in); i++)
        in[i] = (char)(i * 31 + i / 251);
    assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
    assert_int_equal(write(fds[1], in, sizeof(in)), sizeof(in));
    size_t got = 0;
    while (got < sizeof(in)) {
        ssize_t n = shared_pipe_read(fds[0], out + got, 10000);
        assert_true(n > 0 && n <= 10000);
        got += (size_t)n;
    }
    assert_memory_equal(in, out, sizeof(in));
    close(fds[0]);
    close(fds[1]);
}

static void what_is_no_readable_pipe_is_an_error(void **state)
{
    (void)state;
    int fds[2];
    char out[16];
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    assert_int_equal(shared_pipe_read(fds[1], out, sizeof(out)), -1);
    assert_int_not_equal(errno, EAGAIN);
    close(fds[0]);
    close(fds[1]);
    assert_int_equal(shared_pipe_read(-1, out, sizeof(out)), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(an_empty_pipe_never_blocks_whatever_its_flags, limit_time),
        cmocka_unit_test_setup(everything_comes_out_in_order, limit_time),
        cmocka_unit_test_setup(what_is_no_readable_pipe_is_an_error, limit_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
