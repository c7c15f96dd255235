/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { LINES = 3000, ROOM = 1 << 20 };

/* stderr is `theirs` while `f` runs. */
static void with_stderr(int theirs, void (*f)(int ours), int ours)
{
    int kept = dup(STDERR_FILENO);
    dup2(theirs, STDERR_FILENO);
    f(ours);
    dup2(kept, STDERR_FILENO);
    close(kept);
}

static char text[ROOM];

static unsigned read_lines(int fd)
{
    size_t n = 0;
    unsigned count = 0;
    for (ssize_t r; n < sizeof(text) - 1 && (r = read(fd, text + n, sizeof(text) - 1 - n)) > 0; n += (size_t)r)
        continue;
    text[n] = '\0';
    for (const char *p = strchr(text, '\n'); p; p = strchr(p + 1, '\n'))
        count++;
    return count;
}

static void fill_and_read(int ours)
{
    for (unsigned i = 0; i < LINES; i++)
        log_error("line %u of a log that nobody reads", i);
    unsigned kept = read_lines(ours), lost = 0;
    assert_true(kept > 0 && kept < LINES);
    assert_null(strstr(text, "were lost"));
    log_error("the next");
    assert_int_equal(read_lines(ours), 2);
    const char *told = strstr(text, "warn: ");
    assert_non_null(told);
    assert_int_equal(sscanf(told, "warn: %u lines of this log were lost before this one", &lost), 1);
    assert_int_equal(kept + lost, LINES);
    assert_true(strstr(text, "the next") > told);
    log_error("and once more");
    assert_int_equal(read_lines(ours), 1);
}

static void a_full_pipe_that_does_not_block_loses_lines_and_says_how_many(void **state)
{
    int ends[2];
    (void)state;
    assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    with_stderr(ends[1], fill_and_read, ends[0]);
    close(ends[0]);
    close(ends[1]);
}

static void a_socket_is_never_waited_for_even_one_that_blocks(void **state)
{
    int ends[2];
    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    assert_int_equal(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
    with_stderr(ends[1], fill_and_read, ends[0]);
    close(ends[0]);
    close(ends[1]);
}

static void log_once(int ours)
{
    (void)ours;
    log_error("nobody is there");
}

static void a_closed_reader_is_no_loss_that_could_be_told(void **state)
{
    int ends[2];
    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    close(ends[0]);
    with_stderr(ends[1], log_once, -1); /* no SIGPIPE either */
    close(ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_pipe_that_does_not_block_loses_lines_and_says_how_many),
        cmocka_unit_test(a_socket_is_never_waited_for_even_one_that_blocks),
        cmocka_unit_test(a_closed_reader_is_no_loss_that_could_be_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
