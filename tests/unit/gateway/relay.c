/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes through a relay between two socketpairs: order, back-pressure, and both ways of ending. */
#include "gateway/relay.h"

#include "base/fdio.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

static struct relay relay;
static int source = -1, from = -1, to = -1, target = -1;
static unsigned ends;

static void on_end(struct relay *r)
{
    (void)r;
    ends++;
}

static void turn_loop(void)
{
    for (int i = 0; i < 4; i++)
        ev_run(relay.loop, EVRUN_NOWAIT);
}

static int set_up(void **state)
{
    int a[2];
    int b[2];
    (void)state;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, a) < 0 ||
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, b) < 0)
        return -1;
    source = a[0];
    from = a[1];
    to = b[0];
    target = b[1];
    ends = 0;
    relay.loop = ev_loop_new(EVFLAG_AUTO);
    relay.on_end = on_end;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    relay_stop(&relay);
    ev_loop_destroy(relay.loop);
    fd_close(&source);
    fd_close(&from);
    fd_close(&to);
    fd_close(&target);
    return 0;
}

static void what_was_read_already_goes_first(void **state)
{
    char out[32] = "";
    (void)state;
    relay_start(&relay, from, to, STR_LITERAL("early "));
    assert_int_equal(write(source, "late", 4), 4);
    turn_loop();
    assert_int_equal(read(target, out, sizeof(out) - 1), 10);
    assert_string_equal(out, "early late");
    assert_int_equal(ends, 0);
}

static void a_far_side_that_does_not_read_stops_the_reading(void **state)
{
    static char bytes[65536];
    size_t sent = 0;
    size_t got = 0;
    ssize_t n;
    (void)state;
    relay_start(&relay, from, to, (struct str){0});
    for (int i = 0; i < 100; i++) {
        for (size_t at = 0; at < sizeof(bytes); at++)
            bytes[at] = (char)((sent + at) * 31 >> 3);
        n = write(source, bytes, sizeof(bytes));
        if (n < 0)
            break;
        sent += (size_t)n;
        turn_loop();
    }
    assert_int_equal(errno, EAGAIN); /* the source felt it */
    while ((n = read(target, bytes, sizeof(bytes))) > 0) {
        for (size_t at = 0; at < (size_t)n; at++)
            assert_int_equal(bytes[at], (char)((got + at) * 31 >> 3));
        got += (size_t)n;
        turn_loop();
    }
    assert_int_equal(got, sent);
}

static void the_end_of_the_source_comes_after_its_last_byte(void **state)
{
    char out[8];
    (void)state;
    relay_start(&relay, from, to, (struct str){0});
    assert_int_equal(write(source, "bye", 3), 3);
    fd_close(&source);
    turn_loop();
    assert_int_equal(ends, 1);
    assert_int_equal(read(target, out, sizeof(out)), 3);
}

static void a_far_side_that_left_ends_it(void **state)
{
    (void)state;
    relay_start(&relay, from, to, (struct str){0});
    fd_close(&target);
    assert_int_equal(send(source, "x", 1, 0), 1);
    turn_loop();
    assert_int_equal(ends, 1);
}

static void finishing_takes_what_stands_there_and_no_more(void **state)
{
    char out[8];
    (void)state;
    relay_start(&relay, from, to, (struct str){0});
    assert_int_equal(write(source, "bye", 3), 3);
    relay_finish(&relay);
    assert_int_equal(ends, 1);
    assert_int_equal(read(target, out, sizeof(out)), 3);
    assert_int_equal(write(source, "x", 1), 1);
    turn_loop();
    assert_int_equal(ends, 1);
    assert_int_equal(read(target, out, sizeof(out)), -1);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN); /* as the gateway does */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_read_already_goes_first, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_far_side_that_does_not_read_stops_the_reading, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_end_of_the_source_comes_after_its_last_byte, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_far_side_that_left_ends_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(finishing_takes_what_stands_there_and_no_more, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
