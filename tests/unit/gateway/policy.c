/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct policy_view quiet(void)
{
    return (struct policy_view){
        .max_concurrency = 4, .queue_max = 10, .host_free = 100, .now_ms = 1000000, .keep_warm_ms = 60000};
}

static void nothing_asked_starts_nothing(void **state)
{
    (void)state;
    struct policy_view v = quiet();
    struct policy_decision d = policy_decide(&v);
    assert_int_equal(d.start, 0);
    assert_false(d.stop_oldest_idle);
    assert_int_equal(d.wake_ms, 0);
}

static void each_waiting_request_gets_one_start_and_no_more(void **state)
{
    (void)state;
    struct policy_view v = quiet();
    v.queued = 3;
    assert_int_equal(policy_decide(&v).start, 3);
    v.starting = 2;
    assert_int_equal(policy_decide(&v).start, 1);
    v.starting = 3;
    assert_int_equal(policy_decide(&v).start, 0);
}

static void concurrency_and_the_host_cap_the_starts(void **state)
{
    (void)state;
    struct policy_view v = quiet();
    v.queued = 10;
    v.busy = 3;
    assert_int_equal(policy_decide(&v).start, 1);
    v.busy = 4;
    assert_int_equal(policy_decide(&v).start, 0);
    v.busy = 5; /* the limit was lowered meanwhile */
    assert_int_equal(policy_decide(&v).start, 0);
    v.busy = 0;
    v.host_free = 2;
    assert_int_equal(policy_decide(&v).start, 2);
}

static void min_warm_is_held_without_requests(void **state)
{
    (void)state;
    struct policy_view v = quiet();
    v.min_warm = 2;
    assert_int_equal(policy_decide(&v).start, 2);
    v.idle = 1;
    v.idle_oldest_ms = v.now_ms;
    assert_int_equal(policy_decide(&v).start, 1);
    v.idle = 2;
    v.idle_oldest_ms = 1;
    assert_false(policy_decide(&v).stop_oldest_idle);
    v.idle = 3;
    assert_true(policy_decide(&v).stop_oldest_idle);
}

static void an_idle_instance_goes_after_keep_warm_and_not_before(void **state)
{
    (void)state;
    struct policy_view v = quiet();
    v.idle = 1;
    v.idle_oldest_ms = v.now_ms - 59999;
    struct policy_decision d = policy_decide(&v);
    assert_false(d.stop_oldest_idle);
    assert_int_equal(d.wake_ms, v.now_ms + 1);
    v.now_ms++;
    assert_true(policy_decide(&v).stop_oldest_idle);
}

static void a_backoff_holds_starts_back_until_it_ends(void **state)
{
    (void)state;
    struct policy_view v = quiet();
    v.queued = 1;
    v.backoff_until_ms = v.now_ms + 500;
    struct policy_decision d = policy_decide(&v);
    assert_int_equal(d.start, 0);
    assert_int_equal(d.wake_ms, v.backoff_until_ms);
    v.now_ms = v.backoff_until_ms;
    assert_int_equal(policy_decide(&v).start, 1);
}

static void draining_starts_nothing(void **state)
{
    (void)state;
    struct policy_view v = quiet();
    v.queued = 3;
    v.min_warm = 2;
    v.draining = true;
    assert_int_equal(policy_decide(&v).start, 0);
}

static void the_queue_is_bounded(void **state)
{
    (void)state;
    struct policy_view v = quiet();
    v.queued = 9;
    assert_true(policy_may_queue(&v));
    v.queued = 10;
    assert_false(policy_may_queue(&v));
    v.queue_max = 0;
    v.queued = 0;
    assert_false(policy_may_queue(&v));
}

static struct policy_use used(uint32_t concurrency)
{
    return (struct policy_use){
        .single_use = true, .concurrency = concurrency, .used_ms = 1000000, .keep_warm_ms = 60000, .now_ms = 1000001};
}

static void spares_follow_the_recent_concurrency_where_instances_are_used_up(void **state)
{
    (void)state;
    struct policy_use u = used(0);
    assert_int_equal(policy_spares(&u), 1);
    u = used(7);
    assert_int_equal(policy_spares(&u), 7);
    u.single_use = false;
    assert_int_equal(policy_spares(&u), 0);
    u.forks = true; /* one for the second request of a burst */
    assert_int_equal(policy_spares(&u), 1);
}

static void nothing_is_made_ahead_for_a_function_that_is_not_used(void **state)
{
    (void)state;
    struct policy_use u = used(7);
    u.now_ms = u.used_ms + u.keep_warm_ms - 1;
    assert_int_equal(policy_spares(&u), 7);
    u.now_ms++;
    assert_int_equal(policy_spares(&u), 0);
    u = used(7);
    u.used_ms = 0;
    assert_int_equal(policy_spares(&u), 0);
    u = used(7);
    u.keep_warm_ms = 0;
    assert_int_equal(policy_spares(&u), 0);
}

static void spares_are_started_beside_the_busy_within_max_concurrency(void **state)
{
    (void)state;
    struct policy_view v = quiet();
    v.spares = 2;
    v.spares_until_ms = v.now_ms + 60000;
    assert_int_equal(policy_decide(&v).start, 2);
    assert_int_equal(policy_decide(&v).ahead, 2);
    v.queued = 1; /* one for the request, the spares beside it */
    assert_int_equal(policy_decide(&v).start, 3);
    assert_int_equal(policy_decide(&v).ahead, 2);
    v.host_free = 1; /* what is needed comes first */
    assert_int_equal(policy_decide(&v).start, 1);
    assert_int_equal(policy_decide(&v).ahead, 0);
    v.host_free = 100;
    v.min_warm = 4; /* held whether or not spares are wanted */
    assert_int_equal(policy_decide(&v).start, 4);
    assert_int_equal(policy_decide(&v).ahead, 0);
    v.min_warm = 0;
    v.queued = 0;
    v.busy = 3; /* of 4 */
    assert_int_equal(policy_decide(&v).start, 1);
    v.busy = 4;
    assert_int_equal(policy_decide(&v).start, 0);
    v.busy = 1;
    v.idle = 1;
    v.starting = 1;
    v.idle_oldest_ms = v.now_ms;
    assert_int_equal(policy_decide(&v).start, 0);
}

static void a_wanted_spare_outlives_keep_warm_until_the_function_is_not_used_any_more(void **state)
{
    (void)state;
    struct policy_view v = quiet();
    v.idle = 1;
    v.spares = 1;
    v.idle_oldest_ms = v.now_ms - 60000;
    v.spares_until_ms = v.now_ms + 500;
    struct policy_decision d = policy_decide(&v);
    assert_false(d.stop_oldest_idle);
    assert_int_equal(d.start, 0);
    assert_int_equal(d.wake_ms, v.spares_until_ms);
    v.idle = 2; /* more than are wanted */
    assert_true(policy_decide(&v).stop_oldest_idle);
    v.idle = 1;
    v.spares = 0;
    assert_true(policy_decide(&v).stop_oldest_idle);
}

static void the_peak_is_of_the_last_two_windows(void **state)
{
    (void)state;
    struct policy_peak p = {0};
    uint64_t now = 50 * (uint64_t)POLICY_PEAK_WINDOW_MS;
    assert_int_equal(policy_peak_read(&p, now), 0);
    policy_peak_note(&p, now, 3);
    policy_peak_note(&p, now + 1, 9);
    policy_peak_note(&p, now + 2, 1);
    assert_int_equal(policy_peak_read(&p, now + 3), 9);
    assert_int_equal(policy_peak_read(&p, now + POLICY_PEAK_WINDOW_MS), 9);
    policy_peak_note(&p, now + POLICY_PEAK_WINDOW_MS, 2);
    assert_int_equal(policy_peak_read(&p, now + 2 * POLICY_PEAK_WINDOW_MS - 1), 9);
    policy_peak_note(&p, now + 2 * POLICY_PEAK_WINDOW_MS, 1);
    assert_int_equal(policy_peak_read(&p, now + 2 * POLICY_PEAK_WINDOW_MS), 2);
    assert_int_equal(policy_peak_read(&p, now + 9 * (uint64_t)POLICY_PEAK_WINDOW_MS), 0);
}

static void backoff_is_free_first_then_doubles_to_its_limit(void **state)
{
    (void)state;
    for (uint32_t n = 0; n <= POLICY_FREE_FAILURES; n++)
        assert_int_equal(policy_backoff_ms(n, 10000), 0);
    assert_int_equal(policy_backoff_ms(POLICY_FREE_FAILURES + 1, 10000), 100);
    assert_int_equal(policy_backoff_ms(POLICY_FREE_FAILURES + 2, 10000), 200);
    assert_int_equal(policy_backoff_ms(POLICY_FREE_FAILURES + 9, 10000), 10000);
    assert_int_equal(policy_backoff_ms(UINT32_MAX, 10000), 10000);
}

/* A day of a function under a fake clock: whatever arrives, the promises hold at every step. */
static void a_simulated_day_keeps_every_promise(void **state)
{
    (void)state;
    struct policy_view v = quiet();
    v.min_warm = 1;
    uint32_t random = 12345;
    uint64_t idle_since[8] = {0};
    for (int step = 0; step < 200000; step++) {
        random = random * 1103515245u + 12345u;
        v.now_ms += random >> 22;
        unsigned action = random >> 16 & 3;
        if (action == 0 && policy_may_queue(&v))
            v.queued++;
        if (action == 1 && v.starting) {
            v.starting--;
            v.busy++;
        }
        if (action == 2 && v.busy) {
            v.busy--;
            idle_since[v.idle++] = v.now_ms;
        }
        while (v.queued && v.idle) {
            v.queued--;
            v.idle--;
            v.busy++;
        }
        v.idle_oldest_ms = idle_since[0];
        v.spares = random >> 8 & 3;
        v.spares_until_ms = v.now_ms + (random >> 4 & 0xfff);
        struct policy_decision d = policy_decide(&v);
        uint32_t total = v.starting + v.idle + v.busy;
        assert_true(total + d.start <= v.max_concurrency);
        if (d.stop_oldest_idle) {
            assert_true(v.idle > 0 && total > v.min_warm && v.now_ms - v.idle_oldest_ms >= v.keep_warm_ms);
            for (uint32_t i = 1; i < v.idle; i++)
                idle_since[i - 1] = idle_since[i];
            v.idle--;
        }
        v.starting += d.start;
        assert_true(v.queued == 0 || v.starting + v.busy > 0);
        assert_true(v.starting + v.idle + v.busy >= v.min_warm);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_asked_starts_nothing),
        cmocka_unit_test(each_waiting_request_gets_one_start_and_no_more),
        cmocka_unit_test(concurrency_and_the_host_cap_the_starts),
        cmocka_unit_test(min_warm_is_held_without_requests),
        cmocka_unit_test(an_idle_instance_goes_after_keep_warm_and_not_before),
        cmocka_unit_test(a_backoff_holds_starts_back_until_it_ends),
        cmocka_unit_test(draining_starts_nothing),
        cmocka_unit_test(the_queue_is_bounded),
        cmocka_unit_test(spares_follow_the_recent_concurrency_where_instances_are_used_up),
        cmocka_unit_test(nothing_is_made_ahead_for_a_function_that_is_not_used),
        cmocka_unit_test(spares_are_started_beside_the_busy_within_max_concurrency),
        cmocka_unit_test(a_wanted_spare_outlives_keep_warm_until_the_function_is_not_used_any_more),
        cmocka_unit_test(the_peak_is_of_the_last_two_windows),
        cmocka_unit_test(backoff_is_free_first_then_doubles_to_its_limit),
        cmocka_unit_test(a_simulated_day_keeps_every_promise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
