/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/turn.h"

#include "base/clock.h"
#include "gateway/gateway.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct gateway gateway;
static uint64_t first_ns, first_ms;
static unsigned turns;

static void let_time_pass(void)
{
    for (uint64_t from = clock_mono_ns(); clock_mono_ns() - from < 3000000;)
        ;
}

static void outside_of_the_loop_the_clocks_are_read_each_time(void **state)
{
    (void)state;
    uint64_t before = clock_mono_ns();
    uint64_t now = turn_now_ns(&gateway);
    assert_in_range(now, before, clock_mono_ns());
    uint64_t ms = turn_boot_ms(&gateway);
    let_time_pass();
    assert_true(turn_now_ns(&gateway) >= now + 3000000);
    assert_in_range(turn_boot_ms(&gateway), ms + 3, clock_boot_ns() / 1000000);
}

static void on_timer(struct ev_loop *loop, ev_timer *t, int events)
{
    (void)events;
    uint64_t before = clock_mono_ns();
    uint64_t now = turn_now_ns(&gateway);
    assert_in_range(now, before, clock_mono_ns()); /* nothing of an earlier turn is left */
    uint64_t ms = turn_boot_ms(&gateway);
    if (turns++) {
        assert_true(now >= first_ns + 3000000 && ms >= first_ms + 3);
        ev_timer_stop(loop, t);
        return;
    }
    first_ns = now;
    first_ms = ms;
    let_time_pass();
    assert_true(turn_now_ns(&gateway) - now < 3000000 && turn_boot_ms(&gateway) == ms);
    uint64_t next = turn_begin(&gateway); /* another event of the same turn */
    assert_true(next >= now + 3000000);
    assert_int_equal(turn_now_ns(&gateway), next);
    assert_in_range(turn_boot_ms(&gateway), ms + 3, clock_boot_ns() / 1000000);
}

static void in_the_loop_they_stand_still_until_an_event_begins(void **state)
{
    (void)state;
    ev_timer timer;
    ev_timer_init(&timer, on_timer, 0., 0.001);
    ev_timer_start(gateway.loop, &timer);
    ev_run(gateway.loop, 0);
    assert_int_equal(turns, 2);
}

int main(void)
{
    gateway.loop = ev_loop_new(EVFLAG_AUTO);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(outside_of_the_loop_the_clocks_are_read_each_time),
        cmocka_unit_test(in_the_loop_they_stand_still_until_an_event_begins),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    ev_loop_destroy(gateway.loop);
    return failed;
}
