/* SPDX-License-Identifier: Apache-2.0 */
/* Instances of versions that are kept ready without a request. */
#include "gateway/version_warm.h"

#include "pool_fixture.h"

static void publish_native(unsigned max_concurrency, unsigned min_warm)
{
    struct settings s = settings_for(SETTINGS_RUNTIME_NATIVE, SETTINGS_ISOLATION_REUSE);
    s.max_concurrency = max_concurrency;
    s.min_warm = min_warm;
    publish(&s);
    s.min_warm = 0;
    stored_settings = s;
}

static struct peer ready_worker(void)
{
    struct peer p = start_worker();
    say_ready(&p, NULL);
    return p;
}

static void keep(const char *qualifier, uint32_t count)
{
    struct err e = {0};
    if (version_warm_set(function, str_from(qualifier), count, &e) < 0)
        fail_msg("%s", e.text);
    turn();
}

static void assert_refused(const char *qualifier, uint32_t count, int code, const char *word)
{
    struct err e = {0};
    assert_int_equal(version_warm_set(function, str_from(qualifier), count, &e), -code);
    if (!strstr(e.text, word))
        fail_msg("no '%s' in: %s", word, e.text);
}

static void assert_warm(const char *qualifier, uint32_t wanted, uint32_t ready)
{
    struct version_warm w;
    assert_true(version_warm_read(function, str_from(qualifier), &w));
    assert_int_equal(w.wanted, wanted);
    assert_int_equal(w.ready, ready);
}

static void name(const char *alias, uint64_t number)
{
    struct versions_alias a = {.number = number};
    str_copy(str_from(alias), a.name, sizeof(a.name));
    assert_int_equal(versions_set_alias(&function->versions, &a), 0);
    version_warm_settle(function);
    turn();
}

static void a_version_is_kept_ready_without_a_request(void **state)
{
    (void)state;
    publish_native(4, 0);
    publish_native(4, 0);
    keep("1", 2);
    assert_warm("1", 2, 0);
    answer_read(1, 0);
    struct peer a = ready_worker();
    struct peer b = ready_worker();
    expect_silence();
    assert_warm("1", 2, 2);
    request_version("", 1);
    serve(has_work(&a) ? &a : &b);
    assert_int_equal(answers[0].version, 1);
    assert_string_equal(answers[0].start, "warm");
    expect_silence();
    peer_close(&a);
    peer_close(&b);
}

static void they_outlive_keep_warm_and_go_when_they_are_wanted_no_more(void **state)
{
    (void)state;
    publish_native(4, 0);
    publish_native(4, 0);
    stored_settings.keep_warm_ms = 1;
    keep("1", 1);
    answer_read(1, 0);
    struct peer a = ready_worker();
    pass(0.05);
    expect_silence();
    keep("1", 0);
    expect_kill(&a);
    turn();
    assert_null(versions_find(&function->versions, 1)->pool);
    assert_warm("1", 0, 0);
}

static void one_that_is_lost_is_replaced(void **state)
{
    (void)state;
    publish_native(4, 0);
    publish_native(4, 0);
    keep("1", 1);
    answer_read(1, 0);
    struct peer a = ready_worker();
    exited(&a, SIGKILL);
    assert_warm("1", 1, 0);
    struct peer b = ready_worker();
    assert_warm("1", 1, 1);
    peer_close(&b);
}

static void the_current_version_has_whichever_is_more(void **state)
{
    (void)state;
    publish_native(4, 1);
    struct peer a = ready_worker();
    keep("1", 2);
    struct peer b = ready_worker();
    keep("1", 1);
    expect_silence(); /* the second goes after keep_warm */
    assert_warm("1", 1, 1);
    assert_int_equal(function->pool->warm_min, 1);
    peer_close(&a);
    peer_close(&b);
}

static void a_deploy_leaves_the_former_version_as_many(void **state)
{
    (void)state;
    publish_native(4, 0);
    keep("1", 1);
    struct peer a = ready_worker();
    publish_native(4, 0);
    expect_kill(&a);
    answer_read(1, 0);
    struct peer b = ready_worker();
    assert_warm("1", 1, 1);
    expect_silence();
    /* and back: what is current has its own pool */
    registry_set_current(gateway.registry, function, make_version(&stored_settings, 1));
    turn();
    expect_kill(&b);
    struct peer c = ready_worker();
    assert_warm("1", 1, 1);
    expect_silence();
    peer_close(&c);
}

static void an_alias_takes_its_count_along(void **state)
{
    (void)state;
    publish_native(4, 0);
    publish_native(4, 0);
    publish_native(4, 0);
    stored_settings.keep_warm_ms = 1;
    name("prod", 1);
    keep("prod", 1);
    keep("1", 1);
    answer_read(1, 0);
    struct peer a = ready_worker();
    struct peer b = ready_worker();
    assert_warm("prod", 1, 1);
    name("prod", 2);
    answer_read(2, 0);
    struct peer c = ready_worker();
    assert_warm("prod", 1, 1);
    pass(0.05);
    union heard m = expect(MESSAGE_KILL); /* one of the two */
    exited(m.header.id == a.id ? &a : &b, SIGKILL);
    assert_warm("1", 1, 1);
    versions_remove_alias(&function->versions, STR_LITERAL("prod"));
    version_warm_settle(function);
    pass(0.05);
    expect_kill(&c);
    peer_close(&a);
    peer_close(&b);
}

static void what_can_not_be_kept_is_refused_and_changes_nothing(void **state)
{
    (void)state;
    publish_native(3, 1);
    struct peer current = ready_worker();
    publish_native(3, 1);
    expect_kill(&current);
    struct peer fresh = ready_worker();
    name("latest", VERSIONS_LATEST_NUMBER);
    assert_refused("$LATEST", 1, EINVAL, "min_warm");
    assert_refused("latest", 1, EINVAL, "min_warm");
    assert_refused("7", 1, ENOENT, "it has $LATEST, 1 and 2; aliases: latest");
    assert_refused("none", 1, ENOENT, "no version or alias 'none'");
    assert_refused("1", 3, EINVAL, "4 instances");
    assert_warm("1", 0, 0);
    expect_silence();
    keep("2", 1); /* is min_warm's own */
    expect_silence();
    keep("1", 2);
    assert_refused("2", 2, EINVAL, "max_concurrency is 3");
    assert_warm("2", 1, 1);
    answer_read(1, 0);
    struct peer a = ready_worker();
    struct peer b = ready_worker();
    peer_close(&a);
    peer_close(&b);
    peer_close(&fresh);
}

static void requests_of_others_have_their_places_while_they_need_them(void **state)
{
    (void)state;
    publish_native(2, 0);
    publish_native(2, 0);
    stored_settings.keep_warm_ms = 60000;
    keep("1", 2);
    answer_read(1, 0);
    struct peer a = ready_worker();
    struct peer b = ready_worker();
    request("");
    union heard m = expect(MESSAGE_KILL);
    struct peer *gone = m.header.id == a.id ? &a : &b;
    struct peer *left = gone == &a ? &b : &a;
    struct peer c = ready_worker();
    exited(gone, SIGKILL);
    expect_silence(); /* c works */
    serve(&c);
    turn();
    expect_kill(&c); /* nobody waits, and it is not wanted ready */
    struct peer d = ready_worker();
    assert_warm("1", 2, 2);
    expect_silence();
    peer_close(left);
    peer_close(&d);
}

static void two_versions_do_not_take_each_others_places(void **state)
{
    (void)state;
    publish_native(2, 0);
    publish_native(2, 0);
    publish_native(2, 0);
    keep("1", 1);
    keep("2", 1);
    answer_read(1, 0);
    answer_read(2, 0);
    struct peer a = ready_worker();
    struct peer b = ready_worker();
    struct settings s = stored_settings;
    s.max_concurrency = 1; /* too few for both */
    publish(&s);
    expect_silence();
    exited(&a, SIGKILL);
    turn();
    expect_silence(); /* b has the one place */
    assert_warm("2", 1, 1);
    peer_close(&b);
}

static void a_version_that_can_not_be_read_is_tried_again(void **state)
{
    (void)state;
    struct version_warm w;
    config.crash_backoff_max_ms = 1;
    publish_native(4, 0);
    publish_native(4, 0);
    keep("1", 1);
    answer_read(1, EIO);
    assert_true(version_warm_read(function, STR_LITERAL("1"), &w) && w.failing);
    assert_int_equal(read_count, 0);
    pass(1.1);
    answer_read(1, 0);
    struct peer a = ready_worker();
    assert_true(version_warm_read(function, STR_LITERAL("1"), &w) && !w.failing);
    peer_close(&a);
}

static void a_version_that_is_forgotten_keeps_nothing(void **state)
{
    (void)state;
    publish_native(4, 0);
    publish_native(4, 0);
    stored_settings.keep_warm_ms = 1;
    keep("1", 1);
    answer_read(1, 0);
    struct peer a = ready_worker();
    versions_forget(&function->versions, 1);
    version_warm_settle(function);
    pass(0.05);
    expect_kill(&a);
    assert_int_equal(function->versions.warm_total, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_version_is_kept_ready_without_a_request),
        TEST(they_outlive_keep_warm_and_go_when_they_are_wanted_no_more),
        TEST(one_that_is_lost_is_replaced),
        TEST(the_current_version_has_whichever_is_more),
        TEST(a_deploy_leaves_the_former_version_as_many),
        TEST(an_alias_takes_its_count_along),
        TEST(what_can_not_be_kept_is_refused_and_changes_nothing),
        TEST(requests_of_others_have_their_places_while_they_need_them),
        TEST(two_versions_do_not_take_each_others_places),
        TEST(a_version_that_can_not_be_read_is_tried_again),
        TEST(a_version_that_is_forgotten_keeps_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
