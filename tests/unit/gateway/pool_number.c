/* SPDX-License-Identifier: Apache-2.0 */
/* The pools of one function: requests for a version by number, and what holds over all of its pools together. */
#include "pool_fixture.h"

static struct settings native(void)
{
    return settings_for(SETTINGS_RUNTIME_NATIVE, SETTINGS_ISOLATION_REUSE);
}

static void publish_native(unsigned max_concurrency)
{
    struct settings s = native();
    s.max_concurrency = max_concurrency;
    publish(&s);
    stored_settings = s;
}

static struct peer ready_worker(void)
{
    struct peer p = start_worker();
    say_ready(&p, NULL);
    return p;
}

static void assert_answered(unsigned n, int status, uint64_t version)
{
    assert_true(answer_count > n);
    assert_int_equal(answers[n].status, status);
    assert_int_equal(answers[n].version, version);
}

/* ---- which pool ---- */

static void a_number_is_read_once_and_served_by_instances_of_its_own(void **state)
{
    (void)state;
    publish_native(4);
    publish_native(4);
    request_version("", 1);
    request_version("", 1);
    assert_int_equal(read_count, 1);
    expect_silence();
    answer_read(1, 0);
    struct peer a = ready_worker();
    struct peer b = ready_worker();
    serve(&a);
    serve(&b);
    request("");
    struct peer current = ready_worker();
    serve(&current);
    request_version("", 1);
    serve(has_work(&a) ? &a : &b);
    assert_answered(0, 200, 1);
    assert_answered(1, 200, 1);
    assert_answered(2, 200, 2);
    assert_answered(3, 200, 1);
    peer_close(&a);
    peer_close(&b);
    peer_close(&current);
}

static void the_number_that_is_current_is_served_by_the_current_pool(void **state)
{
    (void)state;
    publish_native(4);
    request("");
    struct peer p = ready_worker();
    serve(&p);
    request_version("", 1);
    assert_true(has_work(&p));
    serve(&p);
    assert_int_equal(read_count, 0);
    assert_answered(1, 200, 1);
    peer_close(&p);
}

static void what_waits_for_a_number_keeps_it_when_another_becomes_current(void **state)
{
    (void)state;
    publish_native(1);
    request_version("", 1);
    struct peer old = ready_worker();
    request_version("", 1); /* in the queue */
    request("");            /* the same, but any will do */
    publish_native(1);
    assert_int_equal(read_count, 1);
    serve(&old);
    expect_kill(&old);
    struct peer fresh = ready_worker();
    serve(&fresh);
    assert_answered(0, 200, 1);
    assert_answered(1, 200, 2);
    assert_int_equal(answer_count, 2);
    answer_read(1, 0);
    expect_kill(&fresh); /* idle, and max_concurrency is 1 */
    struct peer again = ready_worker();
    serve(&again);
    assert_answered(2, 200, 1);
    peer_close(&again);
}

static void what_waits_for_a_number_that_becomes_current_is_served_there(void **state)
{
    (void)state;
    publish_native(4);
    publish_native(4);
    request_version("", 1); /* still being read */
    registry_set_current(gateway.registry, function, make_version(&stored_settings, 1));
    turn();
    struct peer p = ready_worker();
    serve(&p);
    assert_answered(0, 200, 1);
    answer_read(1, 0); /* too late: nobody needs it */
    assert_null(versions_find(&function->versions, 1)->pool);
    peer_close(&p);
}

static void what_comes_back_unread_goes_to_the_number_that_it_asked_for(void **state)
{
    (void)state;
    publish_native(4);
    request_version("", 1);
    struct peer a = ready_worker();
    request("");
    struct peer b = ready_worker();
    publish_native(4);
    peer_close(&a); /* both with the request in their sockets */
    peer_close(&b);
    turn();
    answer_read(1, 0);
    struct peer one = ready_worker();
    struct peer two = ready_worker();
    serve(&one);
    serve(&two);
    assert_int_equal(answers[0].status, 200);
    assert_int_equal(answers[1].status, 200);
    assert_int_equal(answers[0].version + answers[1].version, 3);
    assert_int_equal(versions_find(&function->versions, 1)->pool->queued, 0);
    exited(&a, SIGKILL);
    exited(&b, SIGKILL);
    peer_close(&one);
    peer_close(&two);
}

static void a_version_that_can_t_be_read_is_told_to_all_who_wait_and_asked_for_again(void **state)
{
    (void)state;
    publish_native(4);
    publish_native(4);
    request_version("", 1);
    request_version("", 1);
    answer_read(1, EIO);
    assert_answered(0, 503, 0);
    assert_answered(1, 503, 0);
    request_version("", 1);
    answer_read(1, ENOENT);
    assert_answered(2, 404, 0);
    request_version("", 7); /* never heard of */
    assert_answered(3, 404, 0);
}

static void a_removed_function_ends_the_pools_of_its_numbers(void **state)
{
    (void)state;
    publish_native(4);
    publish_native(4);
    request_version("", 1);
    answer_read(1, 0);
    struct peer p = ready_worker();
    request_version("", 1);
    struct peer starting = start_worker();
    struct function *f = function_get(function);
    registry_remove(gateway.registry, function);
    functions[0] = NULL;
    expect_kill(&starting);
    assert_answered(0, 404, 0); /* the second waited */
    serve(&p);
    assert_answered(1, 200, 1);
    expect_kill(&p);
    function_put(f);
}

static void a_removed_function_answers_those_whose_version_is_still_read(void **state)
{
    (void)state;
    publish_native(4);
    publish_native(4);
    request_version("", 1);
    registry_remove(gateway.registry, function);
    functions[0] = NULL;
    turn();
    assert_answered(0, 404, 0);
    answer_read(1, 0);
}

/* ---- its end ---- */

static void a_pool_that_nobody_calls_ends_with_its_last_instance(void **state)
{
    (void)state;
    stored_settings = native();
    struct settings s = native();
    publish(&s);
    publish(&s);
    stored_settings.keep_warm_ms = 1;
    stored_settings.min_warm = 2; /* is for what is current */
    request_version("", 1);
    answer_read(1, 0);
    assert_non_null(versions_find(&function->versions, 1)->pool);
    struct peer p = ready_worker();
    serve(&p);
    pass(0.02);
    expect_kill(&p);
    turn();
    struct versions_known *k = versions_find(&function->versions, 1);
    assert_null(k->pool);
    assert_true(k->used_ms > 0);
    assert_int_equal(collections, 1); /* the disk knows of the use */
    request_version("", 1);
    answer_read(1, 0);
    assert_int_equal(collections, 1); /* and needs not be told each time */
    struct peer again = ready_worker();
    serve(&again);
    assert_answered(1, 200, 1);
    peer_close(&again);
}

static void an_event_that_is_refused_leaves_no_pool(void **state)
{
    (void)state;
    publish_native(4);
    publish_native(4);
    stored_settings.runtime = SETTINGS_RUNTIME_NODE;
    request_version("no json", 1);
    answer_read(1, 0);
    assert_answered(0, 400, 0);
    assert_null(versions_find(&function->versions, 1)->pool);
    expect_silence();
}

static void a_crash_loop_is_remembered_though_the_pool_is_empty(void **state)
{
    (void)state;
    publish_native(4);
    publish_native(4);
    for (int i = 0; i < POLICY_FREE_FAILURES; i++) {
        request_version("", 1);
        if (i == 0)
            answer_read(1, 0);
        struct peer p = ready_worker();
        exited(&p, 1 << 8);
        turn();
    }
    struct pool *pool = versions_find(&function->versions, 1)->pool;
    assert_non_null(pool);
    assert_int_equal(pool->failures, POLICY_FREE_FAILURES);
    assert_int_equal(read_count, 0);
}

/* ---- what holds over all of them ---- */

static void max_concurrency_holds_over_all_versions(void **state)
{
    (void)state;
    publish_native(2);
    publish_native(2);
    request("");
    struct peer a = ready_worker();
    request_version("", 1);
    answer_read(1, 0);
    struct peer b = ready_worker();
    request("");
    request_version("", 1);
    expect_silence(); /* two work */
    serve(&a);        /* takes the next of its own version */
    assert_true(has_work(&a));
    serve(&b);
    assert_true(has_work(&b));
    serve(&a);
    serve(&b);
    assert_answered(3, 200, 1);
    peer_close(&a);
    peer_close(&b);
}

static void an_idle_instance_gives_its_place_to_another_version(void **state)
{
    (void)state;
    publish_native(1);
    publish_native(1);
    request("");
    struct peer a = ready_worker();
    serve(&a);
    request_version("", 1);
    answer_read(1, 0);
    expect_kill_of(&a);
    struct peer b = ready_worker();
    exited(&a, 0);
    request("");
    expect_silence(); /* b works */
    serve(&b);
    turn();
    expect_kill(&b);
    struct peer c = ready_worker();
    serve(&c);
    assert_answered(1, 200, 1);
    assert_answered(2, 200, 2);
    peer_close(&c);
}

static void a_busy_version_does_not_starve_another(void **state)
{
    (void)state;
    publish_native(1);
    publish_native(1);
    request("");
    struct peer a = ready_worker();
    request("");
    request_version("", 1);
    answer_read(1, 0);
    serve(&a); /* at once it keeps its place */
    assert_true(has_work(&a));
    request("");
    pass(0.12);
    serve(&a); /* and then gives it up, though one more of its own waits */
    expect_kill(&a);
    struct peer b = ready_worker();
    serve(&b);
    assert_answered(2, 200, 1);
    turn();
    expect_kill(&b);
    struct peer c = ready_worker();
    serve(&c);
    assert_answered(3, 200, 2);
    peer_close(&c);
}

static void the_queue_is_one(void **state)
{
    (void)state;
    struct settings s = native();
    s.max_concurrency = 1;
    s.queue = 2;
    publish(&s);
    publish(&s);
    stored_settings = s;
    request("");
    struct peer a = ready_worker();
    request("");
    request_version("", 1);
    answer_read(1, 0);
    request_version("", 1);
    assert_answered(0, 429, 0);
    request("");
    assert_answered(1, 429, 0);
    serve(&a);
    serve(&a);
    turn();
    expect_kill(&a);
    struct peer b = ready_worker();
    serve(&b);
    peer_close(&b);
}

static void a_reserve_is_the_functions(void **state)
{
    (void)state;
    struct settings s = native();
    s.reserved = 2;
    publish(&s);
    publish(&s);
    stored_settings = s;
    assert_int_equal(gateway.pools->kept_bytes, 2 * s.memory_bytes);
    request_version("", 1);
    answer_read(1, 0);
    struct peer a = ready_worker();
    assert_int_equal(gateway.pools->kept_bytes, s.memory_bytes);
    request("");
    struct peer b = ready_worker();
    assert_int_equal(gateway.pools->kept_bytes, 0);
    struct pool_counts counts;
    pool_count(function->pool, &counts);
    assert_int_equal(counts.busy, 2);
    assert_int_equal(counts.memory_bytes, 2 * s.memory_bytes);
    serve(&a);
    serve(&b);
    peer_close(&a);
    peer_close(&b);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_number_is_read_once_and_served_by_instances_of_its_own),
        TEST(the_number_that_is_current_is_served_by_the_current_pool),
        TEST(what_waits_for_a_number_keeps_it_when_another_becomes_current),
        TEST(what_waits_for_a_number_that_becomes_current_is_served_there),
        TEST(what_comes_back_unread_goes_to_the_number_that_it_asked_for),
        TEST(a_version_that_can_t_be_read_is_told_to_all_who_wait_and_asked_for_again),
        TEST(a_removed_function_ends_the_pools_of_its_numbers),
        TEST(a_removed_function_answers_those_whose_version_is_still_read),
        TEST(a_pool_that_nobody_calls_ends_with_its_last_instance),
        TEST(an_event_that_is_refused_leaves_no_pool),
        TEST(a_crash_loop_is_remembered_though_the_pool_is_empty),
        TEST(max_concurrency_holds_over_all_versions),
        TEST(an_idle_instance_gives_its_place_to_another_version),
        TEST(a_busy_version_does_not_starve_another),
        TEST(the_queue_is_one),
        TEST(a_reserve_is_the_functions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
