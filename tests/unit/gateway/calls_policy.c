/* SPDX-License-Identifier: Apache-2.0 */
/* What follows an attempt at an asynchronous call, and the clock by which calls age: both pure. */
#include "gateway/calls_policy.h"

#include "gateway/calls_clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { MINUTE = 60000, HOUR = 60 * MINUTE, DAY = 24 * HOUR };
#define YEAR (UINT64_C(365) * DAY)
#define REAL (CALLS_REAL_SET_MS + UINT64_C(100) * DAY)

/* Lambda's defaults. */
static const struct calls_try LAMBDA = {
    .outcome = CALLS_OUTCOME_BAD,
    .attempts = 1,
    .delays = 1,
    .retries = 2,
    .backoff_ms = MINUTE,
    .max_age_ms = 6 * HOUR,
    .retry_min_ms = 1000,
    .retry_max_ms = 5 * MINUTE,
};

static void expect(struct calls_try t, enum calls_status status, uint64_t delay_ms)
{
    struct calls_verdict v = calls_judge(&t);
    assert_string_equal(calls_status_name(v.status), calls_status_name(status));
    assert_int_equal(v.delay_ms, delay_ms);
}

static void a_failure_is_tried_again_after_one_minute_and_after_two(void **state)
{
    (void)state;
    struct calls_try t = LAMBDA;
    expect(t, CALLS_QUEUED, MINUTE);
    t.attempts = 2;
    expect(t, CALLS_QUEUED, 2 * MINUTE);
    t.attempts = 3;
    expect(t, CALLS_FAILED, 0);
    t.retries = 0;
    t.attempts = 1;
    expect(t, CALLS_FAILED, 0);
    t.retries = 1000;
    t.attempts = 1000;
    t.max_age_ms = YEAR;
    t.backoff_ms = 0;
    expect(t, CALLS_QUEUED, 0);
}

static void a_throttle_is_no_attempt_and_waits_one_second_to_five_minutes(void **state)
{
    (void)state;
    struct calls_try t = LAMBDA;
    t.outcome = CALLS_OUTCOME_DELAYED;
    t.attempts = 3; /* all of them used up, and it goes on all the same */
    expect(t, CALLS_QUEUED, 1000);
    t.delays = 2;
    expect(t, CALLS_QUEUED, 2000);
    t.delays = 9;
    expect(t, CALLS_QUEUED, 256000);
    t.delays = 10;
    expect(t, CALLS_QUEUED, 5 * MINUTE);
    t.delays = UINT32_MAX;
    expect(t, CALLS_QUEUED, 5 * MINUTE);
}

static void an_attempt_that_would_come_too_late_is_the_end(void **state)
{
    (void)state;
    struct calls_try t = LAMBDA;
    t.age_ms = 6 * HOUR - MINUTE - 1;
    expect(t, CALLS_QUEUED, MINUTE);
    t.age_ms++;
    expect(t, CALLS_EXPIRED, 0);
    t.outcome = CALLS_OUTCOME_GOOD;
    expect(t, CALLS_SUCCEEDED, 0);
    t.outcome = CALLS_OUTCOME_DELAYED;
    t.age_ms = 7 * HOUR;
    expect(t, CALLS_EXPIRED, 0);
}

static void a_cancelled_call_is_not_tried_again_but_may_have_succeeded(void **state)
{
    (void)state;
    struct calls_try t = LAMBDA;
    t.cancelled = true;
    expect(t, CALLS_CANCELLED, 0);
    t.outcome = CALLS_OUTCOME_DELAYED;
    expect(t, CALLS_CANCELLED, 0);
    t.outcome = CALLS_OUTCOME_GOOD;
    expect(t, CALLS_SUCCEEDED, 0);
}

static void what_can_never_work_fails_at_once(void **state)
{
    (void)state;
    struct calls_try t = LAMBDA;
    t.outcome = CALLS_OUTCOME_HOPELESS;
    expect(t, CALLS_FAILED, 0);
}

static void replies_are_told_apart(void **state)
{
    (void)state;
    assert_int_equal(calls_outcome_of(200, NULL), CALLS_OUTCOME_GOOD);
    assert_int_equal(calls_outcome_of(404, NULL), CALLS_OUTCOME_GOOD); /* the function's own word */
    assert_int_equal(calls_outcome_of(500, NULL), CALLS_OUTCOME_BAD);
    assert_int_equal(calls_outcome_of(500, "FunctionError"), CALLS_OUTCOME_BAD);
    assert_int_equal(calls_outcome_of(502, "OutOfMemory"), CALLS_OUTCOME_BAD);
    assert_int_equal(calls_outcome_of(504, "Timeout"), CALLS_OUTCOME_BAD);
    assert_int_equal(calls_outcome_of(429, "TooManyRequests"), CALLS_OUTCOME_DELAYED);
    assert_int_equal(calls_outcome_of(503, "NoCapacity"), CALLS_OUTCOME_DELAYED);
    assert_int_equal(calls_outcome_of(404, "ResourceNotFound"), CALLS_OUTCOME_HOPELESS);
    assert_int_equal(calls_outcome_of(400, "BadRequest"), CALLS_OUTCOME_HOPELESS);
}

/* ---- the clock ---- */

static struct calls_moment moment(uint64_t queue_ms, uint64_t boot_ms, uint64_t real_ms, const char *boot_id)
{
    struct calls_moment m = {.queue_ms = queue_ms, .boot_ms = boot_ms, .real_ms = real_ms};
    strcpy(m.boot_id, boot_id);
    return m;
}

/* What the queue's clock shows at the start. */
static uint64_t resume(struct calls_moment last, struct calls_moment now)
{
    struct calls_clock c;
    calls_clock_resume(&c, &last, &now);
    assert_int_equal(calls_clock_at(&c, now.boot_ms + 7), calls_clock_at(&c, now.boot_ms) + 7);
    return calls_clock_at(&c, now.boot_ms);
}

static void a_new_queue_starts_at_one(void **state)
{
    (void)state;
    assert_int_equal(resume(moment(0, 0, 0, ""), moment(0, 500000, REAL, "a")), 1);
}

static void within_a_boot_wall_time_is_not_asked(void **state)
{
    (void)state;
    struct calls_moment last = moment(1000, 5000, REAL, "a");
    assert_int_equal(resume(last, moment(0, 5300, REAL + 300, "a")), 1300);
    assert_int_equal(resume(last, moment(0, 5300, REAL + 10 * YEAR, "a")), 1300);
    assert_int_equal(resume(last, moment(0, 5300, 0, "a")), 1300);
}

static void across_boots_the_time_off_counts(void **state)
{
    (void)state;
    struct calls_moment last = moment(1000, 5000, REAL, "a");
    assert_int_equal(resume(last, moment(0, 20, REAL + HOUR, "b")), 1000 + HOUR);
    assert_int_equal(resume(last, moment(0, 9000, REAL + HOUR, "b")), 1000 + HOUR);
    /* nobody knows which boot it is: the same */
    assert_int_equal(resume(moment(1000, 5000, REAL, ""), moment(0, 9000, REAL + HOUR, "")), 1000 + HOUR);
}

static void a_clock_that_is_unset_or_jumps_lets_no_time_pass(void **state)
{
    (void)state;
    struct calls_moment last = moment(1000, 5000, REAL, "a");
    assert_int_equal(resume(last, moment(0, 20, 0, "b")), 1000);                           /* not set yet */
    assert_int_equal(resume(last, moment(0, 20, REAL - 1, "b")), 1000);                    /* backwards */
    assert_int_equal(resume(last, moment(0, 20, REAL + 10 * YEAR, "b")), 1000);            /* ten years ahead */
    assert_int_equal(resume(moment(1000, 5000, 77, "a"), moment(0, 20, REAL, "b")), 1000); /* was not set then */
    assert_int_equal(resume(last, moment(0, 20, REAL + CALLS_OFF_MAX_MS, "b")), 1000 + CALLS_OFF_MAX_MS);
    assert_int_equal(resume(last, moment(0, 20, REAL + CALLS_OFF_MAX_MS + 1, "b")), 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failure_is_tried_again_after_one_minute_and_after_two),
        cmocka_unit_test(a_throttle_is_no_attempt_and_waits_one_second_to_five_minutes),
        cmocka_unit_test(an_attempt_that_would_come_too_late_is_the_end),
        cmocka_unit_test(a_cancelled_call_is_not_tried_again_but_may_have_succeeded),
        cmocka_unit_test(what_can_never_work_fails_at_once),
        cmocka_unit_test(replies_are_told_apart),
        cmocka_unit_test(a_new_queue_starts_at_one),
        cmocka_unit_test(within_a_boot_wall_time_is_not_asked),
        cmocka_unit_test(across_boots_the_time_off_counts),
        cmocka_unit_test(a_clock_that_is_unset_or_jumps_lets_no_time_pass),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
