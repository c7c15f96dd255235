/* SPDX-License-Identifier: Apache-2.0 */
/* Isolation, freezing, budgets and processes that are started again, with a supervisor and workers that the test plays. */
#include "pool_fixture.h"

static struct settings native(void)
{
    return settings_for(SETTINGS_RUNTIME_NATIVE, SETTINGS_ISOLATION_REUSE);
}

static void publish_native(void)
{
    struct settings s = native();
    publish(&s);
}

static struct peer ready_worker(void)
{
    struct peer p = start_worker();
    say_ready(&p, NULL);
    return p;
}

/* ---- isolation: sandbox ---- */

static void each_request_gets_a_sandbox_made_ahead(void **state)
{
    (void)state;
    struct settings s = settings_for(SETTINGS_RUNTIME_NATIVE, SETTINGS_ISOLATION_SANDBOX);
    s.max_concurrency = 2;
    publish(&s);
    expect_silence(); /* not in use yet */
    request("");
    struct peer a = ready_worker();
    struct peer b = ready_worker(); /* the spare */
    for (int i = 0; i < 10; i++) {
        serve(&a);
        expect_kill_of(&a);
        request("");
        assert_true(has_work(&b));
        struct peer c = ready_worker(); /* though nobody has found a dead yet */
        exited(&a, SIGKILL);
        a = b;
        b = c;
    }
    assert_string_equal(answers[0].start, "cold");
    assert_string_equal(answers[9].start, "warm");
    assert_int_equal(function->pool->failures, 0);
    peer_close(&a);
    peer_close(&b);
}

static void spares_follow_the_concurrency_seen(void **state)
{
    (void)state;
    struct settings s = settings_for(SETTINGS_RUNTIME_NATIVE, SETTINGS_ISOLATION_SANDBOX);
    s.max_concurrency = 10;
    publish(&s);
    struct peer workers[6];
    for (int i = 0; i < 3; i++)
        request("");
    for (int i = 0; i < 6; i++)
        workers[i] = ready_worker(); /* three work, three are ready for as many again */
    expect_silence();
    for (int i = 0; i < 3; i++) {
        serve(&workers[i]);
        expect_kill(&workers[i]);
    }
    expect_silence();
    for (int i = 0; i < 6; i++)
        peer_close(&workers[i]);
}

static void an_unused_function_has_no_spares_after_keep_warm(void **state)
{
    (void)state;
    struct settings s = settings_for(SETTINGS_RUNTIME_NATIVE, SETTINGS_ISOLATION_SANDBOX);
    s.keep_warm_ms = 100;
    publish(&s);
    request("");
    struct peer a = ready_worker();
    struct peer spare = ready_worker();
    serve(&a);
    expect_kill(&a);
    pass(0.25);
    expect_kill(&spare);
    expect_silence();
}

/* ---- idle times ---- */

/* Every request came three seconds after the one before. */
static void remember_a_rhythm(void)
{
    struct history *h = &function->pool->history;
    for (unsigned i = 0; i < HISTORY_IDLES; i++)
        h->idle_ms[i] = 3000 + i % 3 * 10;
    h->count = HISTORY_IDLES;
}

static void a_rhythm_lets_an_instance_go_and_starts_the_next_ahead_of_need(void **state)
{
    (void)state;
    config.prewarm = true;
    publish_native();
    request("");
    struct peer a = ready_worker();
    remember_a_rhythm();
    serve(&a);
    pass(1.5);
    expect_kill(&a);
    expect_silence();
    pass(1.4);
    struct peer b = ready_worker(); /* before the request that is expected at 3 s */
    request("");
    assert_true(has_work(&b));
    serve(&b);
    assert_string_equal(answers[1].start, "warm");
    assert_true(function->pool->history.idle_ms[0] >= 2800); /* the spell was noted */
    peer_close(&b);
}

static void a_keep_warm_that_was_given_is_kept(void **state)
{
    (void)state;
    config.prewarm = true;
    struct settings s = native();
    s.given |= UINT64_C(1) << SETTINGS_KEY_KEEP_WARM;
    publish(&s);
    request("");
    struct peer a = ready_worker();
    remember_a_rhythm();
    serve(&a);
    pass(1.5);
    expect_silence();
    peer_close(&a);
}

static void without_prewarm_nothing_is_learnt(void **state)
{
    (void)state;
    config.prewarm = false;
    publish_native();
    request("");
    struct peer a = ready_worker();
    remember_a_rhythm();
    serve(&a);
    assert_int_equal(function->pool->history.quiet_since_ms, 0);
    pass(1.2);
    expect_silence();
    peer_close(&a);
}

/* ---- freezing ---- */

static void an_idle_instance_is_frozen_and_thawed_before_its_next_request(void **state)
{
    (void)state;
    config.idle_freeze_ms = 50;
    publish_native();
    request("");
    struct peer w = ready_worker();
    serve(&w);
    expect_silence();
    pass(0.15);
    assert_int_equal(expect(MESSAGE_FREEZE).header.id, w.id);
    expect_silence();
    request("");
    assert_true(has_work(&w)); /* the frame is there at once */
    assert_int_equal(expect(MESSAGE_THAW).header.id, w.id);
    serve(&w);
    assert_int_equal(answer_count, 2);
    pass(0.15);
    expect(MESSAGE_FREEZE);
    peer_close(&w);
}

static void a_busy_function_is_never_frozen_and_pays_no_message(void **state)
{
    (void)state;
    config.idle_freeze_ms = 500; /* far from the pauses below, near to what they add up to */
    publish_native();
    request("");
    struct peer w = ready_worker();
    serve(&w);
    for (int i = 0; i < 20; i++) {
        pass(0.04);
        request("");
        serve(&w);
    }
    expect_silence();
    peer_close(&w);
}

static void each_idle_instance_is_frozen_in_its_own_time(void **state)
{
    (void)state;
    config.idle_freeze_ms = 200;
    publish_native();
    request("");
    request("");
    struct peer a = ready_worker();
    struct peer b = ready_worker();
    serve(&a);
    pass(0.15);
    serve(&b);
    pass(0.1);
    assert_int_equal(expect(MESSAGE_FREEZE).header.id, a.id);
    expect_silence();
    pass(0.15);
    assert_int_equal(expect(MESSAGE_FREEZE).header.id, b.id);
    peer_close(&a);
    peer_close(&b);
}

static void zero_freezes_nothing(void **state)
{
    (void)state;
    config.idle_freeze_ms = 0;
    publish_native();
    request("");
    struct peer w = ready_worker();
    serve(&w);
    pass(0.1);
    expect_silence();
    peer_close(&w);
}

static void a_frozen_instance_is_stopped_as_any_other(void **state)
{
    (void)state;
    struct settings s = native();
    s.keep_warm_ms = 150;
    config.idle_freeze_ms = 30;
    publish(&s);
    request("");
    struct peer w = ready_worker();
    serve(&w);
    pass(0.3);
    expect(MESSAGE_FREEZE);
    expect_kill(&w);
    expect_silence();
}

static void templates_and_unused_children_are_not_frozen(void **state)
{
    (void)state;
    struct settings s = native();
    s.template = SETTINGS_TEMPLATE_ON;
    config.idle_freeze_ms = 30;
    publish(&s);
    request("");
    struct peer t = start_template();
    struct peer used = fork_child(&t);
    struct peer spare = fork_child(&t);
    serve(&used);
    pass(0.15);
    assert_int_equal(expect(MESSAGE_FREEZE).header.id, used.id);
    expect_silence();
    peer_close(&t);
    peer_close(&used);
    peer_close(&spare);
}

/* ---- reserved memory ---- */

static void reserved_memory_is_kept_from_others(void **state)
{
    (void)state;
    struct settings s = native();
    config.memory_budget_bytes = 3 * 64 * (uint64_t)MIB;
    config.queue_timeout_ms = 50;
    s.reserved = 2;
    publish(&s);
    turn_to_other_function();
    publish_native();
    request("");
    request("");
    struct peer a = start_worker(); /* one is all that is left for it */
    expect_silence();
    pass(0.15);
    assert_int_equal(answers[0].status, 503);
    assert_string_equal(answers[0].type, "NoCapacity");
    function = functions[0];
    config.queue_timeout_ms = 60000;
    request("");
    request("");
    struct peer b = start_worker();
    struct peer c = start_worker();
    peer_close(&a);
    peer_close(&b);
    peer_close(&c);
}

static void idle_instances_within_the_reserve_are_not_given_up(void **state)
{
    (void)state;
    struct settings s = native();
    config.memory_budget_bytes = 2 * 64 * (uint64_t)MIB;
    s.reserved = 1;
    publish(&s);
    request("");
    request("");
    struct peer a = ready_worker();
    struct peer b = ready_worker();
    serve(&a);
    serve(&b);
    turn_to_other_function();
    publish_native();
    request("");
    request("");
    expect_kill(&a); /* the least recently used of the two; the other one is reserved */
    struct peer c = start_worker();
    expect_silence();
    peer_close(&b);
    peer_close(&c);
}

static void more_than_the_budget_can_t_be_reserved(void **state)
{
    (void)state;
    struct settings s = native();
    config.memory_budget_bytes = 4 * 64 * (uint64_t)MIB;
    s.reserved = 3;
    publish(&s);
    turn_to_other_function();
    s.reserved = 2;
    struct version *v = make_version(&s, 1);
    pool_trial(function->pool, v, on_trial, NULL);
    assert_int_equal(trials_done, 1);
    assert_int_equal(trial_result.code, EINVAL);
    assert_non_null(strstr(trial_result.text, "64M"));
    expect_silence();
    version_put(v);
}

static void a_reserve_ends_with_its_function(void **state)
{
    (void)state;
    struct settings s = native();
    s.reserved = 2;
    publish(&s);
    assert_int_equal(gateway.pools->kept_bytes, 2 * 64 * MIB);
    s.reserved = 1;
    publish(&s);
    assert_int_equal(gateway.pools->kept_bytes, 64 * MIB);
    end_function(functions[0]);
    functions[0] = NULL;
    assert_int_equal(gateway.pools->kept_bytes, 0);
}

/* ---- events ---- */

static void python_takes_json_alone_and_no_instance_is_started_for_less(void **state)
{
    (void)state;
    struct settings s = settings_for(SETTINGS_RUNTIME_PYTHON, SETTINGS_ISOLATION_REUSE);
    s.template = SETTINGS_TEMPLATE_OFF;
    publish(&s);
    request("{\"a\": }");
    request("{\"a\": 1");
    assert_int_equal(answer_count, 2);
    assert_int_equal(answers[0].status, 400);
    assert_string_equal(answers[0].type, "BadRequest");
    expect_silence();
    request("");
    struct peer w = ready_worker();
    char in[4096];
    ssize_t n = recv(w.worker, in, sizeof(in), MSG_DONTWAIT | MSG_PEEK);
    assert_true(n > 2 && memcmp(in + n - 2, "{}", 2) == 0); /* nothing is an empty object */
    serve(&w);
    assert_int_equal(answers[2].status, 200);
    publish_native(); /* bytes are bytes */
    request("{\"a\": }");
    struct peer x = ready_worker();
    serve(&x);
    assert_int_equal(answers[3].status, 200);
    peer_close(&w);
    peer_close(&x);
}

/* ---- processes started again in their sandbox ---- */

/* What init reads, and the new worker's end of its socket. */
static struct peer started_again(const struct peer *before, uint32_t type)
{
    static char record[INIT_RECORD_MAX];
    union {
        struct cmsghdr h;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec iov = {.iov_base = record, .iov_len = sizeof(record)};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
    struct init_command command;
    ssize_t n = recvmsg(before->control, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    assert_true(n >= (ssize_t)sizeof(struct init_head));
    memcpy(&command, record, (size_t)n < sizeof(command) ? (size_t)n : sizeof(command));
    assert_int_equal(command.head.type, type);
    struct peer p = *before;
    if (type != INIT_START)
        return p;
    assert_int_equal(command.flags, INIT_COMMAND_AGAIN);
    p.worker = -1;
    if (m.msg_controllen)
        memcpy(&p.worker, CMSG_DATA(&control.h), sizeof(int));
    return p;
}

static void say_worker_exited(struct peer *p, int status)
{
    const struct init_done done = {.head = {.type = INIT_WORKER_EXITED, .size = sizeof(done)}, .status = status};
    fd_close(&p->worker);
    assert_int_equal(send(p->control, &done, sizeof(done), 0), sizeof(done));
    turn();
}

static void tell_usage(uint64_t id, uint32_t oom_kills)
{
    struct message_exited m = {.header = {.type = MESSAGE_USAGE_IS, .size = sizeof(m), .id = id},
                               .oom_kills = oom_kills};
    tell(&m, sizeof(m), NULL, 0);
}

/* Taking a process down is not its request's: it is asked what that used before init may kill. */
static void expect_stop_when_counted(struct peer *p)
{
    char byte;
    turn();
    assert_int_equal(recv(p->control, &byte, 1, MSG_PEEK | MSG_DONTWAIT), -1);
    listen_on(); /* answers it */
    started_again(p, INIT_STOP);
}

static struct settings node(void)
{
    struct settings s = settings_for(SETTINGS_RUNTIME_NODE, SETTINGS_ISOLATION_FORK);
    s.max_concurrency = 1;
    return s;
}

static struct peer start_node(void)
{
    struct peer p = start_worker();
    int first = p.worker;
    p = started_again(&p, INIT_START);
    assert_int_equal(p.worker, -1); /* the one that was made with the sandbox */
    p.worker = first;
    say_ready(&p, NULL);
    return p;
}

static void with_isolation_fork_node_gets_a_process_for_each_request_in_one_sandbox(void **state)
{
    (void)state;
    struct settings s = node();
    publish(&s);
    request("");
    struct peer p = start_node();
    for (int i = 0; i < 5; i++) {
        serve(&p);
        assert_int_equal(answer_count, i + 1);
        expect_stop_when_counted(&p);
        say_worker_exited(&p, SIGKILL);
        p = started_again(&p, INIT_START);
        say_ready(&p, NULL); /* ahead of the next request */
        request("");
    }
    assert_string_equal(answers[4].start, "warm");
    assert_int_equal(function->pool->failures, 0);
    expect_silence();
    peer_close(&p);
}

static void after_a_crash_the_process_is_judged_and_started_again(void **state)
{
    (void)state;
    struct settings s = node();
    publish(&s);
    request("");
    struct peer p = start_node();
    take_request(&p);
    say_worker_exited(&p, 3 << 8);
    expect(MESSAGE_USAGE);
    assert_int_equal(answer_count, 0);
    tell_usage(p.id, 0);
    assert_int_equal(answers[0].status, 502);
    assert_string_equal(answers[0].type, "FunctionCrashed");
    p = started_again(&p, INIT_START);
    say_ready(&p, NULL);
    request("");
    serve(&p);
    assert_int_equal(answers[1].status, 200);
    peer_close(&p);
}

static void after_a_timeout_too(void **state)
{
    (void)state;
    struct settings s = node();
    s.timeout_ms = 50;
    publish(&s);
    request("");
    struct peer p = start_node();
    pass(0.1);
    started_again(&p, INIT_STOP);
    assert_int_equal(answer_count, 0); /* not before it is dead */
    say_worker_exited(&p, SIGKILL);
    expect(MESSAGE_USAGE);
    tell_usage(p.id, 0);
    assert_int_equal(answers[0].status, 504);
    p = started_again(&p, INIT_START);
    peer_close(&p);
}

static void after_out_of_memory_the_sandbox_is_replaced(void **state)
{
    (void)state;
    struct settings s = node();
    publish(&s);
    request("");
    struct peer p = start_node();
    take_request(&p);
    say_worker_exited(&p, SIGKILL);
    expect(MESSAGE_USAGE);
    tell_usage(p.id, 1);
    expect_kill_of(&p);
    peer_close(&p);
    struct message_exited m = {.header = {.type = MESSAGE_EXITED, .size = sizeof(m), .id = p.id}, .oom_kills = 1};
    tell(&m, sizeof(m), NULL, 0);
    assert_int_equal(answers[0].status, 502);
    assert_string_equal(answers[0].type, "OutOfMemory");
}

static void a_process_that_does_not_end_takes_its_sandbox_along(void **state)
{
    (void)state;
    struct settings s = node();
    s.timeout_ms = 50;
    publish(&s);
    request("");
    struct peer p = start_node();
    pass(0.1);
    fd_close(&p.control); /* init is gone */
    turn();
    pass(0.25);
    expect_kill(&p);
    assert_int_equal(answers[0].status, 504);
}

static void processes_lost_over_and_over_fall_under_the_backoff(void **state)
{
    (void)state;
    struct settings s = node();
    publish(&s);
    request("");
    struct peer p = start_node();
    for (int i = 0; i < POLICY_FREE_FAILURES; i++) {
        take_request(&p);
        say_worker_exited(&p, 1 << 8);
        expect(MESSAGE_USAGE);
        tell_usage(p.id, 0);
        p = started_again(&p, INIT_START);
        say_ready(&p, NULL);
        request("");
    }
    take_request(&p);
    say_worker_exited(&p, 1 << 8);
    expect(MESSAGE_USAGE);
    tell_usage(p.id, 0);
    expect_kill(&p);
    assert_true(function->pool->backoff_until_ms > 0);
    request("");
    expect_silence();
    pass(0.2);
    expect(MESSAGE_SPAWN);
}

static void a_new_version_ends_the_processes_of_the_old_one(void **state)
{
    (void)state;
    struct settings s = node();
    publish(&s);
    request("");
    struct peer p = start_node();
    publish_native();
    serve(&p);
    assert_int_equal(answers[0].status, 200);
    expect_stop_when_counted(&p);
    say_worker_exited(&p, SIGKILL);
    expect_kill(&p);
}

/* ---- failed initialisations ---- */

static void a_failed_initialisation_is_told_to_all_who_wait(void **state)
{
    (void)state;
    struct settings s = native();
    s.max_concurrency = 1;
    publish(&s);
    request("");
    request("");
    struct peer w = start_worker();
    say_init_error(&w);
    expect_kill(&w);
    assert_int_equal(answer_count, 2);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(answers[i].status, 500);
        assert_string_equal(answers[i].type, "ImportError");
    }
    assert_int_equal(function->pool->failures, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(each_request_gets_a_sandbox_made_ahead),
        TEST(spares_follow_the_concurrency_seen),
        TEST(an_unused_function_has_no_spares_after_keep_warm),
        TEST(a_rhythm_lets_an_instance_go_and_starts_the_next_ahead_of_need),
        TEST(a_keep_warm_that_was_given_is_kept),
        TEST(without_prewarm_nothing_is_learnt),
        TEST(an_idle_instance_is_frozen_and_thawed_before_its_next_request),
        TEST(a_busy_function_is_never_frozen_and_pays_no_message),
        TEST(each_idle_instance_is_frozen_in_its_own_time),
        TEST(zero_freezes_nothing),
        TEST(a_frozen_instance_is_stopped_as_any_other),
        TEST(templates_and_unused_children_are_not_frozen),
        TEST(reserved_memory_is_kept_from_others),
        TEST(idle_instances_within_the_reserve_are_not_given_up),
        TEST(more_than_the_budget_can_t_be_reserved),
        TEST(a_reserve_ends_with_its_function),
        TEST(python_takes_json_alone_and_no_instance_is_started_for_less),
        TEST(with_isolation_fork_node_gets_a_process_for_each_request_in_one_sandbox),
        TEST(after_a_crash_the_process_is_judged_and_started_again),
        TEST(after_a_timeout_too),
        TEST(after_out_of_memory_the_sandbox_is_replaced),
        TEST(a_process_that_does_not_end_takes_its_sandbox_along),
        TEST(processes_lost_over_and_over_fall_under_the_backoff),
        TEST(a_new_version_ends_the_processes_of_the_old_one),
        TEST(a_failed_initialisation_is_told_to_all_who_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
