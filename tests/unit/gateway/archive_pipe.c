/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/archive_pipe.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct ev_loop *loop;
static struct archive_pipe p;
static int out_fd;
static unsigned rooms;

static void on_room(void *owner)
{
    assert_ptr_equal(owner, &rooms);
    rooms++;
}

static int set_up(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_IGN); /* as the gateway has it */
    loop = ev_loop_new(EVBACKEND_EPOLL);
    rooms = 0;
    archive_pipe_init(&p);
    p.on_room = on_room;
    p.owner = &rooms;
    return archive_pipe_open(&p, loop, &out_fd);
}

static int tear_down(void **state)
{
    (void)state;
    archive_pipe_close(&p);
    archive_pipe_close(&p); /* of a closed one, too */
    close(out_fd);
    ev_loop_destroy(loop);
    return 0;
}

static void what_does_not_fit_waits_for_room(void **state)
{
    (void)state;
    static char in[300000], out[300000];
    size_t sent = 0, got = 0;
    unsigned shorts = 0;
    for (size_t i = 0; i < sizeof(in); i++)
        in[i] = (char)(i * 31 + i / 251);
    while (got < sizeof(in)) {
        struct str rest = {in + sent, sizeof(in) - sent};
        size_t n = rest.n ? archive_pipe_write(&p, rest) : 0;
        sent += n;
        if (n < rest.n) {
            shorts++;
            ev_run(loop, EVRUN_NOWAIT);
            assert_int_equal(rooms, shorts - 1); /* nobody has read yet */
        }
        ssize_t read_n = read(out_fd, out + got, sizeof(out) - got);
        assert_true(read_n > 0);
        got += (size_t)read_n;
        ev_run(loop, EVRUN_NOWAIT);
        assert_int_equal(rooms, shorts); /* told once for each short write */
    }
    assert_int_equal(sent, sizeof(in));
    assert_true(shorts > 0);
    assert_memory_equal(in, out, sizeof(in));
}

static void closing_it_is_the_readers_end_of_file(void **state)
{
    (void)state;
    char out[8];
    assert_int_equal(archive_pipe_write(&p, STR_LITERAL("abc")), 3);
    archive_pipe_close(&p);
    assert_false(archive_pipe_is_open(&p));
    assert_int_equal(read(out_fd, out, sizeof(out)), 3);
    assert_int_equal(read(out_fd, out, sizeof(out)), 0);
    assert_int_equal(archive_pipe_write(&p, STR_LITERAL("abc")), 3); /* goes nowhere */
}

static void a_reader_that_has_gone_gets_the_rest_swallowed(void **state)
{
    (void)state;
    close(out_fd);
    out_fd = -1;
    assert_true(archive_pipe_is_open(&p));
    assert_int_equal(archive_pipe_write(&p, STR_LITERAL("abc")), 3);
    assert_false(archive_pipe_is_open(&p));
    ev_run(loop, EVRUN_NOWAIT);
    assert_int_equal(rooms, 0);
}

static void no_room_is_told_of_after_it_was_closed(void **state)
{
    (void)state;
    static char in[300000];
    assert_true(archive_pipe_write(&p, (struct str){in, sizeof(in)}) < sizeof(in));
    archive_pipe_close(&p);
    ev_run(loop, EVRUN_NOWAIT);
    assert_int_equal(rooms, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_does_not_fit_waits_for_room, set_up, tear_down),
        cmocka_unit_test_setup_teardown(closing_it_is_the_readers_end_of_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_reader_that_has_gone_gets_the_rest_swallowed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_room_is_told_of_after_it_was_closed, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
