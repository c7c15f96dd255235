/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/history.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE, KEEP = 10 * MINUTE, LEAD = 200 };

static uint64_t now_ms;

static void spell(struct history *h, uint64_t idle_ms)
{
    history_quiet(h, now_ms);
    now_ms += idle_ms;
    history_awake(h, now_ms);
    now_ms += 100;
}

static struct history fill(unsigned count, uint64_t idle_ms, uint64_t step_ms)
{
    struct history h = {0};
    now_ms = 1;
    for (unsigned i = 0; i < count; i++)
        spell(&h, idle_ms + i % 5 * step_ms);
    return h;
}

static void test_without_enough_history_the_keep_alive_is_fixed(void **state)
{
    (void)state;
    struct history h = fill(HISTORY_IDLES_MIN - 1, HOUR, 0);
    struct history_plan p = history_plan(&h, KEEP, LEAD);
    assert_int_equal(p.keep_ms, KEEP);
    assert_int_equal(p.until_ms, p.prewarm_ms);
}

static void test_short_spells_leave_no_trace(void **state)
{
    (void)state;
    struct history h = fill(100, HISTORY_SPELL_MS - 1, 0);
    assert_int_equal(h.count, 0);
    spell(&h, HISTORY_SPELL_MS);
    assert_int_equal(h.count, 1);
}

static void test_a_timer_beyond_the_keep_alive_is_met_by_a_start_ahead(void **state)
{
    (void)state;
    struct history h = fill(20, HOUR, SECOND);
    struct history_plan p = history_plan(&h, KEEP, LEAD);
    assert_true(p.keep_ms < MINUTE);
    assert_true(p.prewarm_ms > 50 * MINUTE && p.prewarm_ms < HOUR - 2 * LEAD);
    assert_true(p.until_ms > HOUR + 4 * SECOND && p.until_ms < HOUR + 10 * MINUTE);
}

static void test_a_timer_within_the_keep_alive_costs_less_memory_and_no_cold_start(void **state)
{
    (void)state;
    struct history h = fill(HISTORY_IDLES, 5 * MINUTE, SECOND);
    struct history_plan p = history_plan(&h, KEEP, LEAD);
    for (uint64_t idle = 5 * MINUTE; idle <= 5 * MINUTE + 4 * SECOND; idle += SECOND)
        assert_true(idle <= p.keep_ms || (idle > p.prewarm_ms + LEAD && idle <= p.until_ms));
    assert_true(p.keep_ms + (p.until_ms - p.prewarm_ms) < KEEP);
}

static void test_it_never_holds_more_than_the_fixed_keep_alive(void **state)
{
    (void)state;
    /* Idle times all over: from seconds to a day, a new one each time. */
    struct history h = {0};
    uint64_t x = 12345;
    now_ms = 1;
    for (int round = 0; round < 500; round++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        spell(&h, SECOND + (x >> 33) % (1u << (10 + (x >> 20) % 16)));
        struct history_plan p = history_plan(&h, KEEP, LEAD);
        double fixed = 0;
        double held = 0;
        for (unsigned i = 0; i < h.count; i++) {
            double idle = h.idle_ms[i];
            fixed += idle < KEEP ? idle : KEEP;
            held += idle < (double)p.keep_ms ? idle : (double)p.keep_ms;
            if (p.until_ms > p.prewarm_ms && idle > (double)p.prewarm_ms)
                held += (idle < (double)p.until_ms ? idle : (double)p.until_ms) - (double)p.prewarm_ms;
        }
        assert_true(held <= fixed * 1.0001);
        assert_true(p.until_ms == p.prewarm_ms || (p.prewarm_ms >= p.keep_ms && p.until_ms > p.prewarm_ms));
    }
}

static void test_old_habits_are_forgotten(void **state)
{
    (void)state;
    struct history h = fill(HISTORY_IDLES, HOUR, SECOND);
    for (int i = 0; i < HISTORY_IDLES; i++)
        spell(&h, 2 * HOUR);
    struct history_plan p = history_plan(&h, KEEP, LEAD);
    assert_true(p.prewarm_ms > HOUR + 10 * MINUTE);
}

static void test_advice_follows_the_plan_through_a_spell(void **state)
{
    (void)state;
    struct history h = {0};
    const struct history_plan p = {.keep_ms = 5 * SECOND, .prewarm_ms = MINUTE, .until_ms = 2 * MINUTE};
    history_quiet(&h, 1000000);
    struct history_advice a = history_advise(&h, &p, 1000000 + SECOND);
    assert_int_equal(a.keep_ms, 5 * SECOND);
    assert_int_equal(a.hold, 0);
    assert_int_equal(a.wake_ms, 1000000 + MINUTE);
    a = history_advise(&h, &p, 1000000 + MINUTE);
    assert_int_equal(a.hold, 1);
    assert_int_equal(a.wake_ms, 1000000 + 2 * MINUTE);
    a = history_advise(&h, &p, 1000000 + 2 * MINUTE);
    assert_int_equal(a.hold, 0);
    assert_int_equal(a.wake_ms, 0);
}

static void test_a_busy_function_is_not_advised_to_hold(void **state)
{
    (void)state;
    struct history h = {0};
    const struct history_plan p = {.keep_ms = 1, .prewarm_ms = 2, .until_ms = UINT64_MAX};
    assert_int_equal(history_advise(&h, &p, 50).hold, 0);
    assert_int_equal(history_advise(&h, &p, 50).wake_ms, 0);
}

static void test_a_clock_that_steps_back_changes_nothing(void **state)
{
    (void)state;
    struct history h = {0};
    history_quiet(&h, 5000000);
    history_awake(&h, 4000000);
    assert_int_equal(h.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_enough_history_the_keep_alive_is_fixed),
        cmocka_unit_test(test_short_spells_leave_no_trace),
        cmocka_unit_test(test_a_timer_beyond_the_keep_alive_is_met_by_a_start_ahead),
        cmocka_unit_test(test_a_timer_within_the_keep_alive_costs_less_memory_and_no_cold_start),
        cmocka_unit_test(test_it_never_holds_more_than_the_fixed_keep_alive),
        cmocka_unit_test(test_old_habits_are_forgotten),
        cmocka_unit_test(test_advice_follows_the_plan_through_a_spell),
        cmocka_unit_test(test_a_busy_function_is_not_advised_to_hold),
        cmocka_unit_test(test_a_clock_that_steps_back_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
