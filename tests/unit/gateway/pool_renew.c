/* SPDX-License-Identifier: Apache-2.0 */
/* A secret changes: who is replaced when, with a supervisor and workers that the test plays. */
#include "pool_fixture.h"

#include "gateway/secrets.h"

#include <errno.h>

static int set_up_secrets(void **state)
{
    static const uint8_t key[SECRET_KEY_BYTES] = {1};
    int r = set_up(state);
    gateway.secrets = secrets_new(key);
    return gateway.secrets ? r : -1;
}

static int tear_down_secrets(void **state)
{
    struct secrets *s = gateway.secrets;
    int r = tear_down(state);
    secrets_free(s);
    return r;
}

static void change(const char *name)
{
    struct secret *s = calloc(1, sizeof(*s) + SECRET_OVERHEAD + 1);
    assert_non_null(s);
    str_copy(str_from(name), s->name, sizeof(s->name));
    s->sealed_bytes = SECRET_OVERHEAD + 1;
    assert_int_equal(secrets_settle(gateway.secrets, s), 0);
}

/* What a version takes over is freed with it. */
static void publish_naming(enum settings_runtime runtime, enum settings_isolation isolation, const char *secret)
{
    struct err e;
    struct settings s = settings_for(runtime, isolation);
    assert_int_equal(settings_set_text(&s, "secret", str_from(secret), &e), 0);
    publish(&s);
}

static void renew(void)
{
    pool_renew(function->pool, on_trial, NULL);
    turn();
}

static struct peer ready_worker(void)
{
    struct peer p = start_worker();
    say_ready(&p, NULL);
    return p;
}

static void a_new_instance_is_ready_before_the_former_goes(void **state)
{
    (void)state;
    change("db");
    publish_naming(SETTINGS_RUNTIME_NATIVE, SETTINGS_ISOLATION_REUSE, "db");
    request("");
    struct peer old = ready_worker();
    serve(&old);
    change("db");
    renew();
    union heard m = expect(MESSAGE_SPAWN);
    assert_int_equal(m.spawn.secret_count, 1);
    assert_string_equal(m.spawn.secrets[0].name, "db");
    struct peer fresh = spawned(m.header.id);
    expect_silence(); /* the former one serves */
    request("");
    assert_true(has_work(&old));
    serve(&old);
    assert_int_equal(trials_done, 0);
    say_ready(&fresh, NULL);
    assert_int_equal(trials_done, 1);
    assert_int_equal(trial_result.code, 0);
    expect_kill(&old);
    request("");
    assert_true(has_work(&fresh));
    serve(&fresh);
    assert_int_equal(answers[2].status, 200);
    assert_string_equal(answers[2].start, "warm");
    expect_silence();
    peer_close(&fresh);
}

static void a_busy_one_finishes_and_goes_then(void **state)
{
    (void)state;
    change("db");
    publish_naming(SETTINGS_RUNTIME_NATIVE, SETTINGS_ISOLATION_REUSE, "db");
    request("");
    struct peer old = ready_worker();
    change("db");
    renew();
    struct peer fresh = ready_worker();
    assert_int_equal(trials_done, 1);
    expect_silence();
    request("");
    assert_true(has_work(&fresh)); /* what begins now meets the new value */
    serve(&old);
    expect_kill(&old);
    assert_int_equal(answers[0].status, 200);
    serve(&fresh);
    peer_close(&fresh);
}

static void without_instances_nothing_is_started(void **state)
{
    (void)state;
    change("db");
    publish_naming(SETTINGS_RUNTIME_NATIVE, SETTINGS_ISOLATION_REUSE, "db");
    change("db");
    renew();
    assert_int_equal(trials_done, 1);
    assert_int_equal(trial_result.code, 0);
    expect_silence();
}

static void another_secret_concerns_nobody(void **state)
{
    (void)state;
    change("db");
    publish_naming(SETTINGS_RUNTIME_NATIVE, SETTINGS_ISOLATION_REUSE, "db");
    request("");
    struct peer p = ready_worker();
    serve(&p);
    change("other");
    renew();
    assert_int_equal(trials_done, 1);
    expect_silence();
    peer_close(&p);
}

static void one_that_does_not_start_leaves_the_former(void **state)
{
    (void)state;
    change("db");
    publish_naming(SETTINGS_RUNTIME_PYTHON, SETTINGS_ISOLATION_REUSE, "db");
    request("{}");
    struct peer template = start_template();
    struct peer child = fork_child(&template);
    serve(&child);
    change("db");
    renew();
    struct peer broken = start_worker();
    say_init_error(&broken);
    expect_kill(&broken);
    assert_int_equal(trials_done, 1);
    assert_int_equal(trial_result.code, ECHILD);
    assert_non_null(strstr(trial_result.text, "no!"));
    request("{}");
    assert_true(has_work(&child));
    serve(&child);
    assert_int_equal(answers[1].status, 200);
    peer_close(&child);
    peer_close(&template);
}

static void a_template_and_its_children_are_replaced_together(void **state)
{
    (void)state;
    change("db");
    publish_naming(SETTINGS_RUNTIME_PYTHON, SETTINGS_ISOLATION_REUSE, "db");
    request("{}");
    struct peer template = start_template();
    struct peer child = fork_child(&template);
    struct peer spare = fork_child(&template);
    serve(&child);
    change("db");
    renew();
    struct peer template2 = start_template();
    struct peer child2 = fork_child(&template2);
    assert_int_equal(trials_done, 1);
    assert_int_equal(trial_result.code, 0);
    union heard m = expect(MESSAGE_KILL);
    assert_true(m.header.id == child.id || m.header.id == spare.id);
    m = expect(MESSAGE_KILL);
    assert_true(m.header.id == child.id || m.header.id == spare.id);
    exited(&child, SIGKILL);
    exited(&spare, SIGKILL);
    expect_kill(&template); /* with its last child */
    request("{}");
    assert_true(has_work(&child2));
    serve(&child2);
    peer_close(&child2);
    peer_close(&template2);
}

static void a_host_without_room_for_one_more_replaces_them_all_the_same(void **state)
{
    (void)state;
    change("db");
    publish_naming(SETTINGS_RUNTIME_NATIVE, SETTINGS_ISOLATION_REUSE, "db");
    request("");
    struct peer old = ready_worker();
    serve(&old);
    change("db");
    renew();
    union heard m = expect(MESSAGE_SPAWN);
    struct message_failed full = {.header = {.type = MESSAGE_SPAWN_FAILED, .size = sizeof(full), .id = m.header.id},
                                  .error = {.code = EAGAIN, .text = "memory_budget is in use"}};
    tell(&full, sizeof(full), NULL, 0);
    assert_int_equal(trials_done, 1);
    assert_int_equal(trial_result.code, 0);
    expect_kill(&old);
    request("");
    struct peer fresh = ready_worker();
    serve(&fresh);
    assert_int_equal(answers[1].status, 200);
    peer_close(&fresh);
}

static void a_deploys_trial_with_the_former_value_does_not_stay(void **state)
{
    (void)state;
    struct err e;
    struct settings s = settings_for(SETTINGS_RUNTIME_NATIVE, SETTINGS_ISOLATION_REUSE);
    assert_int_equal(settings_set_text(&s, "secret", STR_LITERAL("db"), &e), 0);
    change("db");
    struct version *v = make_version(&s, 1);
    pool_trial(function->pool, v, on_trial, NULL);
    struct peer old = ready_worker();
    assert_int_equal(trials_done, 1);
    change("db");
    registry_set_current(gateway.registry, function, v);
    expect_kill(&old);
    request("");
    struct peer fresh = ready_worker();
    serve(&fresh);
    peer_close(&fresh);
}

static void two_changes_at_once_end_with_the_last(void **state)
{
    (void)state;
    change("db");
    publish_naming(SETTINGS_RUNTIME_NATIVE, SETTINGS_ISOLATION_REUSE, "db");
    request("");
    struct peer old = ready_worker();
    serve(&old);
    change("db");
    renew();
    struct peer second = start_worker();
    change("db");
    renew();
    struct peer third = start_worker();
    say_ready(&third, NULL);
    say_ready(&second, NULL);
    expect_kill(&old);
    expect_kill(&second);
    assert_int_equal(trials_done, 2);
    assert_int_equal(trial_result.code, 0);
    request("");
    assert_true(has_work(&third));
    serve(&third);
    expect_silence();
    peer_close(&third);
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, set_up_secrets, tear_down_secrets)
    const struct CMUnitTest tests[] = {
        TEST(a_new_instance_is_ready_before_the_former_goes),
        TEST(a_busy_one_finishes_and_goes_then),
        TEST(without_instances_nothing_is_started),
        TEST(another_secret_concerns_nobody),
        TEST(one_that_does_not_start_leaves_the_former),
        TEST(a_template_and_its_children_are_replaced_together),
        TEST(a_host_without_room_for_one_more_replaces_them_all_the_same),
        TEST(a_deploys_trial_with_the_former_value_does_not_stay),
        TEST(two_changes_at_once_end_with_the_last),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
