/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of requests whose instance is lost before it has read them, or never became ready. */
#include "pool_fixture.h"

static struct settings forking(void)
{
    struct settings s = settings_for(SETTINGS_RUNTIME_NATIVE, SETTINGS_ISOLATION_FORK);
    s.max_concurrency = 1;
    return s;
}

static void publish_reusing(unsigned max_concurrency)
{
    struct settings s = settings_for(SETTINGS_RUNTIME_NATIVE, SETTINGS_ISOLATION_REUSE);
    s.max_concurrency = max_concurrency;
    publish(&s);
}

static void answer_is(unsigned at, int status, const char *type)
{
    assert_true(answer_count > at);
    assert_int_equal(answers[at].status, status);
    assert_string_equal(answers[at].type, type);
}

static void tell_exited(struct peer *p, uint32_t oom_kills)
{
    struct message_exited m = {
        .header = {.type = MESSAGE_EXITED, .size = sizeof(m), .id = p->id}, .status = SIGKILL, .oom_kills = oom_kills};
    peer_close(p);
    turn();
    tell(&m, sizeof(m), NULL, 0);
}

/* ---- forks ---- */

/* A request waits for the child that FORK was sent for. */
static struct peer begin_fork(struct peer *ret_template)
{
    uint32_t slot;
    struct settings s = forking();
    publish(&s);
    request("");
    *ret_template = start_template();
    union heard m = expect(MESSAGE_PREPARE);
    prepared(m.header.id);
    return forked(ret_template, m.header.id, &slot);
}

/* A sandbox that is no template answers what waited, and forks are tried again. */
static void expect_own_instance(void)
{
    assert_int_equal(answer_count, 0);
    union heard m = expect(MESSAGE_SPAWN);
    assert_int_equal(m.spawn.slots, 0);
    struct peer w = spawned(m.header.id);
    say_ready(&w, NULL);
    serve(&w);
    answer_is(0, 200, "");
    expect_kill(&w);
    peer_close(&w);
    assert_false(function->pool->doubts_forks);
    assert_int_equal(function->pool->failures, 0);
    struct peer next = start_template();
    peer_close(&next);
}

static void a_fork_that_ends_with_its_template_is_made_up_for(void **state)
{
    (void)state;
    struct peer t;
    struct peer child = begin_fork(&t);
    peer_close(&child);
    peer_close(&t);
    expect_kill_of(&child);
    exited(&child, MESSAGE_STATUS_UNKNOWN);
    expect_kill_of(&t);
    exited(&t, SIGKILL);
    expect_own_instance();
}

static void a_fork_whose_sandbox_is_dead_at_once_is_made_up_for(void **state)
{
    (void)state;
    struct peer t;
    struct peer child = begin_fork(&t);
    struct message_exited m = {.header = {.type = MESSAGE_EXITED, .size = sizeof(m), .id = child.id},
                               .status = MESSAGE_STATUS_UNKNOWN};
    tell(&m, sizeof(m), NULL, 0); /* before its socket's end is seen */
    expect_kill_of(&t);
    m.header.id = t.id;
    m.status = SIGKILL;
    peer_close(&t);
    tell(&m, sizeof(m), NULL, 0);
    peer_close(&child);
    expect_own_instance();
}

static void groups_that_a_dead_template_was_refused_are_made_up_for(void **state)
{
    (void)state;
    struct settings s = forking();
    publish(&s);
    request("");
    struct peer t = start_template();
    union heard m = expect(MESSAGE_PREPARE);
    struct message_failed f = {.header = {.type = MESSAGE_SPAWN_FAILED, .size = sizeof(f), .id = m.header.id},
                               .error = {.code = ESRCH, .text = "the template is ending"}};
    tell(&f, sizeof(f), NULL, 0);
    exited(&t, SIGKILL);
    expect_own_instance();
}

static void a_refusal_that_crosses_a_kill_is_no_failure(void **state)
{
    (void)state;
    struct settings s = forking();
    publish(&s);
    request("");
    struct peer t = start_template();
    union heard m = expect(MESSAGE_PREPARE);
    fd_close(&t.worker); /* seen while the supervisor is asked for groups: the child is given up */
    turn();
    assert_int_equal(expect(MESSAGE_KILL).header.id, m.header.id);
    struct message_failed f = {.header = {.type = MESSAGE_SPAWN_FAILED, .size = sizeof(f), .id = m.header.id},
                               .error = {.code = ESRCH, .text = "the template is ending"}};
    tell(&f, sizeof(f), NULL, 0);
    assert_int_equal(answer_count, 0);
    assert_int_equal(function->pool->failures, 0);
    exited(&t, SIGKILL);
    t = start_template();
    struct peer child = fork_child(&t);
    serve(&child);
    answer_is(0, 200, "");
    peer_close(&t);
    peer_close(&child);
}

static void what_can_t_be_started_without_a_template_either_is_told(void **state)
{
    (void)state;
    struct peer t;
    struct peer child = begin_fork(&t);
    peer_close(&child);
    expect(MESSAGE_KILL);
    exited(&child, MESSAGE_STATUS_UNKNOWN);
    union heard m = expect(MESSAGE_SPAWN);
    assert_int_equal(m.spawn.slots, 0);
    struct peer w = spawned(m.header.id);
    exited(&w, 1 << 8);
    answer_is(0, 502, "FunctionCrashed");
    peer_close(&t);
}

/* ---- requests that were not read ---- */

static struct peer ready_worker(void)
{
    struct peer w = start_worker();
    say_ready(&w, NULL);
    return w;
}

static void a_request_that_was_not_read_goes_to_another_instance(void **state)
{
    (void)state;
    publish_reusing(2);
    request("");
    request("");
    struct peer a = ready_worker();
    struct peer b = ready_worker();
    serve(&b);
    answer_is(0, 200, "");
    peer_close(&a); /* with the request in its socket */
    turn();
    assert_true(has_work(&b));
    serve(&b);
    answer_is(1, 200, "");
    exited(&a, SIGKILL);
    expect_silence();
    peer_close(&b);
}

static void one_for_which_nobody_was_there_to_send_it_to_as_well(void **state)
{
    (void)state;
    publish_reusing(2);
    request("");
    struct peer a = ready_worker();
    serve(&a);
    fd_close(&a.worker); /* not seen yet when the request comes */
    struct exchange *x = &exchanges[exchange_count];
    *x = exchanges[0];
    exchange_count++;
    invocation_start(x, function, STR_LITERAL(""));
    turn();
    assert_int_equal(answer_count, 1);
    struct peer b = ready_worker();
    serve(&b);
    answer_is(1, 200, "");
    exited(&a, SIGKILL);
    peer_close(&b);
}

static void an_answer_that_is_heard_after_the_end_is_given(void **state)
{
    (void)state;
    publish_reusing(1);
    request("");
    struct peer a = ready_worker();
    fd_close(&a.control); /* init is dead: its end is seen first */
    turn();
    serve(&a);
    answer_is(0, 200, "");
    exited(&a, SIGKILL);
    assert_int_equal(answer_count, 1);
}

static void one_that_was_read_is_not_given_to_another(void **state)
{
    (void)state;
    publish_reusing(1);
    request("");
    struct peer a = ready_worker();
    take_request(&a);
    exited(&a, SIGSEGV);
    answer_is(0, 502, "FunctionCrashed");
    expect_silence();
}

static void one_that_waited_too_long_is_not_either(void **state)
{
    (void)state;
    struct settings s = settings_for(SETTINGS_RUNTIME_NATIVE, SETTINGS_ISOLATION_REUSE);
    s.timeout_ms = 20;
    publish(&s);
    request("");
    struct peer a = ready_worker();
    pass(0.1);
    expect_kill(&a);
    answer_is(0, 504, "Timeout");
}

static void a_worker_that_never_reads_does_not_get_it_for_ever(void **state)
{
    (void)state;
    publish_reusing(1);
    request("");
    unsigned lost = 0;
    while (answer_count == 0) {
        assert_true(lost < 20);
        function->pool->backoff_until_ms = 0; /* how long that grows is another test's */
        function->pool->failures = 0;
        struct peer a = ready_worker();
        exited(&a, SIGSEGV);
        lost++;
    }
    assert_int_equal(lost, 9);
    answer_is(0, 502, "FunctionCrashed");
}

static void one_that_comes_back_when_its_function_is_removed_is_told_so(void **state)
{
    (void)state;
    publish_reusing(1);
    request("");
    struct peer a = ready_worker();
    registry_remove(gateway.registry, function_get(function));
    exited(&a, SIGKILL);
    assert_int_equal(answers[0].status, 502);
    function_put(functions[0]);
    functions[0] = NULL;
}

/* ---- starts that fail ---- */

static void an_init_timeout_is_a_timeout(void **state)
{
    (void)state;
    config.init_timeout_ms = config.queue_timeout_ms = 50; /* as they are the same by default */
    publish_reusing(1);
    request("");
    struct peer a = start_worker();
    pass(0.15);
    expect_kill(&a);
    assert_int_equal(answer_count, 1);
    answer_is(0, 504, "Timeout");
}

static void a_start_that_takes_longer_than_queue_timeout_serves_what_waited_for_it(void **state)
{
    (void)state;
    config.queue_timeout_ms = 50;
    publish_reusing(1);
    request("");
    request("");
    struct peer a = start_worker();
    pass(0.15);
    answer_is(0, 429, "TooManyRequests"); /* one start serves one */
    assert_int_equal(answer_count, 1);
    say_ready(&a, NULL);
    serve(&a);
    answer_is(1, 200, "");
    peer_close(&a);
}

static void a_start_that_somebody_killed_is_made_again(void **state)
{
    (void)state;
    publish_reusing(1);
    request("");
    for (unsigned k = 0; k < 3; k++) {
        struct peer a = start_worker();
        exited(&a, SIGKILL);
        assert_int_equal(answer_count, 0);
    }
    struct peer a = start_worker(); /* it may be the function's own doing */
    exited(&a, SIGKILL);
    answer_is(0, 502, "FunctionCrashed");
}

enum { STARTS = 3, FAILED = 1 << 8 };

/* So many requests, and a start under way for each. */
static void begin_starts(struct peer starts[STARTS])
{
    for (unsigned k = 0; k < STARTS; k++)
        request("");
    for (unsigned k = 0; k < STARTS; k++)
        starts[k] = start_worker();
}

static void crashes_of_before_do_not_end_the_wait_for_starts_under_way(void **state)
{
    (void)state;
    struct peer starts[STARTS];
    publish_reusing(STARTS);
    for (unsigned k = 0; k < 4; k++) {
        request("");
        struct peer a = ready_worker();
        take_request(&a);
        exited(&a, SIGSEGV);
        answer_is(k, 502, "FunctionCrashed");
    }
    begin_starts(starts);
    exited(&starts[0], FAILED);
    assert_int_equal(answer_count, 4);
    for (unsigned k = 1; k < STARTS; k++) {
        say_ready(&starts[k], NULL);
        serve(&starts[k]);
        answer_is(3 + k, 200, "");
    }
    serve(&starts[1]); /* that of the one which failed */
    answer_is(6, 200, "");
    peer_close(&starts[1]);
    peer_close(&starts[2]);
}

static void when_all_starts_under_way_have_failed_everybody_is_told(void **state)
{
    (void)state;
    struct peer starts[STARTS];
    publish_reusing(STARTS);
    begin_starts(starts);
    for (unsigned k = 0; k < STARTS; k++) {
        assert_int_equal(answer_count, 0);
        exited(&starts[k], FAILED); /* its successor is under way, and nobody's hope */
    }
    assert_int_equal(answer_count, STARTS);
    for (unsigned k = 0; k < STARTS; k++)
        answer_is(k, 502, "FunctionCrashed");
}

static void a_start_that_fails_over_and_over_does_not_end_the_wait_for_another(void **state)
{
    (void)state;
    struct peer starts[STARTS];
    publish_reusing(STARTS);
    begin_starts(starts);
    exited(&starts[0], FAILED);
    for (unsigned k = 0; k < 3; k++) {
        struct peer next = start_worker();
        exited(&next, FAILED);
        assert_int_equal(answer_count, 0);
    }
    say_ready(&starts[1], NULL);
    for (unsigned k = 0; k < STARTS; k++) {
        serve(&starts[1]);
        answer_is(k, 200, "");
    }
    peer_close(&starts[1]);
    peer_close(&starts[2]);
}

static void who_comes_after_all_were_told_waits_for_starts_of_its_own(void **state)
{
    (void)state;
    publish_reusing(2);
    request("");
    struct peer a = start_worker();
    exited(&a, FAILED);
    answer_is(0, 502, "FunctionCrashed");
    request("");
    request("");
    a = start_worker();
    struct peer b = start_worker();
    exited(&a, FAILED);
    assert_int_equal(answer_count, 1);
    say_ready(&b, NULL);
    serve(&b);
    serve(&b);
    answer_is(1, 200, "");
    answer_is(2, 200, "");
    peer_close(&b);
}

/* ---- memory that others hold ---- */

static void two_functions_in_a_budget_for_one(void)
{
    config.memory_budget_bytes = 64 * (uint64_t)MIB;
    publish_reusing(1);
    turn_to_other_function();
    publish_reusing(1);
}

static void whoever_waits_for_memory_is_asked_when_some_is_given_back(void **state)
{
    (void)state;
    two_functions_in_a_budget_for_one();
    function = functions[0];
    request("");
    struct peer a = ready_worker();
    take_request(&a);
    function = functions[1];
    request("");
    expect_silence();
    peer_close(&a);
    expect_silence(); /* the supervisor counts it until it is dead */
    exited(&a, SIGSEGV);
    answer_is(0, 502, "FunctionCrashed");
    struct peer b = ready_worker();
    serve(&b);
    answer_is(1, 200, "");
    peer_close(&b);
}

static void whoever_waits_for_memory_gets_that_of_an_instance_that_is_idle(void **state)
{
    (void)state;
    two_functions_in_a_budget_for_one();
    function = functions[0];
    request("");
    struct peer a = ready_worker();
    function = functions[1];
    request("");
    expect_silence();
    serve(&a);
    expect_kill(&a);
    struct peer b = ready_worker();
    serve(&b);
    answer_is(1, 200, "");
    peer_close(&b);
}

static void a_queue_that_is_never_empty_does_not_keep_others_waiting_for_ever(void **state)
{
    (void)state;
    two_functions_in_a_budget_for_one();
    function = functions[0];
    request("");
    struct peer a = ready_worker();
    function = functions[1];
    request("");
    function = functions[0];
    request("");
    serve(&a);
    assert_true(has_work(&a)); /* not at once */
    pass(0.6);
    request("");
    serve(&a);
    expect_kill(&a);
    struct peer b = ready_worker();
    serve(&b);
    assert_int_equal(answer_count, 3);
    expect_kill(&b); /* and back */
    a = ready_worker();
    serve(&a);
    assert_int_equal(answer_count, 4);
    peer_close(&a);
}

static void memory_that_runs_out_in_a_start_is_told_as_that(void **state)
{
    (void)state;
    publish_reusing(1);
    request("");
    struct peer a = start_worker();
    tell_exited(&a, 1);
    answer_is(0, 502, "OutOfMemory");
    struct settings s = forking();
    publish(&s);
    request("");
    a = start_worker(); /* a template, as far as it got */
    tell_exited(&a, 1);
    answer_is(1, 502, "OutOfMemory");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_fork_that_ends_with_its_template_is_made_up_for),
        TEST(a_fork_whose_sandbox_is_dead_at_once_is_made_up_for),
        TEST(groups_that_a_dead_template_was_refused_are_made_up_for),
        TEST(a_refusal_that_crosses_a_kill_is_no_failure),
        TEST(what_can_t_be_started_without_a_template_either_is_told),
        TEST(a_request_that_was_not_read_goes_to_another_instance),
        TEST(one_for_which_nobody_was_there_to_send_it_to_as_well),
        TEST(an_answer_that_is_heard_after_the_end_is_given),
        TEST(one_that_was_read_is_not_given_to_another),
        TEST(one_that_waited_too_long_is_not_either),
        TEST(a_worker_that_never_reads_does_not_get_it_for_ever),
        TEST(one_that_comes_back_when_its_function_is_removed_is_told_so),
        TEST(an_init_timeout_is_a_timeout),
        TEST(a_start_that_takes_longer_than_queue_timeout_serves_what_waited_for_it),
        TEST(a_start_that_somebody_killed_is_made_again),
        TEST(crashes_of_before_do_not_end_the_wait_for_starts_under_way),
        TEST(when_all_starts_under_way_have_failed_everybody_is_told),
        TEST(a_start_that_fails_over_and_over_does_not_end_the_wait_for_another),
        TEST(who_comes_after_all_were_told_waits_for_starts_of_its_own),
        TEST(whoever_waits_for_memory_is_asked_when_some_is_given_back),
        TEST(whoever_waits_for_memory_gets_that_of_an_instance_that_is_idle),
        TEST(a_queue_that_is_never_empty_does_not_keep_others_waiting_for_ever),
        TEST(memory_that_runs_out_in_a_start_is_told_as_that),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
