/* SPDX-License-Identifier: Apache-2.0 */
/* A limit that stands in place of max_concurrency and of reserved: Lambda's reserved concurrency. */
#include "gateway/pool_limit.h"

#include "pool_fixture.h"

static void publish_native(unsigned max_concurrency, unsigned queue)
{
    struct settings s = settings_for(SETTINGS_RUNTIME_NATIVE, SETTINGS_ISOLATION_REUSE);
    s.max_concurrency = max_concurrency;
    s.queue = queue;
    publish(&s);
}

static struct peer ready_worker(void)
{
    struct peer p = start_worker();
    say_ready(&p, NULL);
    return p;
}

static void limit_to(uint32_t limit)
{
    pool_limit_set(function, limit);
    turn();
}

static void it_may_be_less_than_max_concurrency(void **state)
{
    (void)state;
    publish_native(4, 10);
    limit_to(1);
    request("");
    request("");
    struct peer a = ready_worker();
    expect_silence();
    assert_true(has_work(&a));
    serve(&a);
    serve(&a);
    assert_int_equal(answer_count, 2);
    peer_close(&a);
}

static void it_may_be_more(void **state)
{
    (void)state;
    publish_native(1, 10);
    limit_to(2);
    request("");
    request("");
    struct peer a = ready_worker(), b = ready_worker();
    serve(&a);
    serve(&b);
    assert_int_equal(answer_count, 2);
    peer_close(&a);
    peer_close(&b);
}

static void at_0_requests_are_throttled_those_that_wait_too(void **state)
{
    (void)state;
    publish_native(1, 10);
    request("");
    request("");
    struct peer a = ready_worker();
    limit_to(0);
    assert_int_equal(answer_count, 1);
    assert_int_equal(answers[0].status, 429);
    request("");
    assert_int_equal(answers[1].status, 429);
    serve(&a); /* what runs, finishes */
    assert_int_equal(answers[2].status, 200);
    expect_kill(&a);
    pool_limit_lift(function);
    request("");
    a = ready_worker();
    serve(&a);
    assert_int_equal(answers[3].status, 200);
    peer_close(&a);
}

static void what_is_beyond_it_goes_when_it_is_idle(void **state)
{
    (void)state;
    publish_native(3, 10);
    for (int i = 0; i < 3; i++)
        request("");
    struct peer a = ready_worker(), b = ready_worker(), c = ready_worker();
    serve(&a);
    limit_to(1);
    expect_kill(&a);
    serve(&b);
    expect_kill(&b);
    serve(&c);
    expect_silence();
    request("");
    serve(&c);
    assert_int_equal(answer_count, 4);
    peer_close(&c);
}

static void its_memory_is_kept_from_others(void **state)
{
    (void)state;
    struct err e;
    publish_native(4, 10);
    config.memory_budget_bytes = 3 * function->current->settings.memory_bytes;
    assert_int_equal(pool_limit_check(function, 4, &e), -EINVAL);
    assert_non_null(strstr(e.text, "memory_budget"));
    assert_int_equal(pool_limit_check(function, 3, &e), 0);
    limit_to(3);
    turn_to_other_function();
    publish_native(4, 10);
    assert_int_equal(pool_limit_check(function, 1, &e), -EINVAL);
    request("");
    expect_silence(); /* there is no room for it */
    pool_limit_lift(functions[0]);
    turn();
    struct peer a = ready_worker();
    serve(&a);
    assert_int_equal(answers[0].status, 200);
    peer_close(&a);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(it_may_be_less_than_max_concurrency),
        TEST(it_may_be_more),
        TEST(at_0_requests_are_throttled_those_that_wait_too),
        TEST(what_is_beyond_it_goes_when_it_is_idle),
        TEST(its_memory_is_kept_from_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
