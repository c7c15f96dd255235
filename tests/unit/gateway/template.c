/* SPDX-License-Identifier: Apache-2.0 */
/* Templates and their children, with a supervisor and workers that the test plays. */
#include "pool_fixture.h"

static struct settings forking(void)
{
    return settings_for(SETTINGS_RUNTIME_NATIVE, SETTINGS_ISOLATION_FORK);
}

static struct settings reusing(void)
{
    struct settings s = settings_for(SETTINGS_RUNTIME_NATIVE, SETTINGS_ISOLATION_REUSE);
    s.template = SETTINGS_TEMPLATE_ON;
    return s;
}

static void publish_forking(void)
{
    struct settings s = forking();
    publish(&s);
}

static void publish_reusing(void)
{
    struct settings s = reusing();
    publish(&s);
}

static void a_request_waits_for_one_template_and_gets_a_child_of_it(void **state)
{
    (void)state;
    publish_reusing();
    request("");
    request("");
    struct peer t = start_template(); /* one, for both */
    struct peer a = fork_child(&t);
    struct peer b = fork_child(&t);
    assert_true(has_work(&a) && has_work(&b));
    serve(&a);
    serve(&b);
    assert_int_equal(answer_count, 2);
    assert_int_equal(answers[0].status, 200);
    assert_string_equal(answers[0].start, "cold"); /* it waited for the sandbox as well */
    assert_false(has_work(&t));
    peer_close(&t);
    peer_close(&a);
    peer_close(&b);
}

static void a_request_that_finds_a_template_waits_for_a_fork_alone(void **state)
{
    (void)state;
    struct settings s = forking();
    s.max_concurrency = 2;
    publish(&s);
    request("");
    struct peer t = start_template();
    struct peer a = fork_child(&t);
    struct peer b = fork_child(&t); /* the spare */
    request("");                    /* takes the spare */
    request("");                    /* waits: two are the most */
    assert_true(has_work(&a) && has_work(&b));
    serve(&a);
    expect_kill(&a);
    struct peer c = fork_child(&t);
    serve(&c);
    serve(&b);
    assert_int_equal(answer_count, 3);
    assert_string_equal(answers[0].start, "cold");
    assert_string_equal(answers[1].start, "fork");
    assert_string_equal(answers[2].start, "warm");
    peer_close(&t);
    peer_close(&b);
    peer_close(&c);
}

static void with_reuse_a_spare_waits_while_the_function_is_used(void **state)
{
    (void)state;
    publish_reusing();
    request("");
    struct peer t = start_template();
    struct peer a = fork_child(&t);
    struct peer spare = fork_child(&t);
    assert_false(has_work(&spare));
    serve(&a);
    expect_silence();
    for (int i = 0; i < 5; i++) { /* the same one over and over: nothing is started */
        request("");
        serve(&a);
    }
    expect_silence();
    assert_string_equal(answers[5].start, "warm");
    peer_close(&t);
    peer_close(&a);
    peer_close(&spare);
}

static void a_child_that_has_worked_goes_before_a_spare(void **state)
{
    (void)state;
    publish_reusing();
    request("");
    struct peer t = start_template();
    struct peer a = fork_child(&t);
    serve(&a); /* idle before the spare is */
    struct peer spare = fork_child(&t);
    request("");
    assert_true(has_work(&a));
    assert_false(has_work(&spare));
    peer_close(&t);
    peer_close(&a);
    peer_close(&spare);
}

static void children_never_pass_max_concurrency(void **state)
{
    (void)state;
    struct settings s = reusing();
    s.max_concurrency = 2;
    publish(&s);
    for (int i = 0; i < 5; i++)
        request("");
    struct peer t = start_template();
    struct peer a = fork_child(&t);
    struct peer b = fork_child(&t);
    expect_silence();
    peer_close(&t);
    peer_close(&a);
    peer_close(&b);
}

static void a_worker_that_can_t_be_forked_serves_by_itself(void **state)
{
    (void)state;
    publish_reusing();
    request("");
    request("");
    struct peer w = start_worker();
    say_ready(&w, "2 threads are running after init: worker-1");
    assert_true(has_work(&w));
    struct peer second = start_worker(); /* now that it is known, the other request gets its own */
    say_ready(&second, "2 threads are running after init: worker-1");
    serve(&w);
    serve(&second);
    assert_int_equal(answer_count, 2);
    assert_string_equal(function->current->no_template, "2 threads are running after init: worker-1");
    expect_silence();
    peer_close(&w);
    peer_close(&second);
}

static void a_worker_that_says_nothing_about_it_serves_and_the_reason_is_given(void **state)
{
    (void)state;
    publish_reusing();
    request("");
    struct peer w = start_worker();
    say_ready(&w, NULL);
    serve(&w);
    assert_int_equal(answer_count, 1);
    assert_non_null(strstr(function->current->no_template, "libfaasd.a"));
    peer_close(&w);
}

static void each_request_gets_a_child_of_its_own_with_isolation_fork(void **state)
{
    (void)state;
    publish_forking();
    request("");
    struct peer t = start_template();
    struct peer a = fork_child(&t);
    struct peer b = fork_child(&t);
    for (int i = 0; i < 20; i++) {
        serve(&a);
        expect_kill(&a);
        request(""); /* finds b made */
        a = b;
        b = fork_child(&t); /* and the next is made while it runs */
        assert_string_equal(answers[i].start, i ? "warm" : "cold");
    }
    assert_int_equal(function->pool->failures, 0); /* used up is not crashed */
    peer_close(&t);
    peer_close(&a);
    peer_close(&b);
}

static void without_a_template_isolation_fork_uses_sandboxes_up(void **state)
{
    (void)state;
    publish_forking();
    request("");
    struct peer w = start_worker();
    say_ready(&w, "descriptor 5 is open after init: socket:[1234]");
    struct peer spare = start_worker();
    serve(&w);
    assert_int_equal(answer_count, 1);
    expect_kill(&w);
    say_ready(&spare, "descriptor 5 is open after init: socket:[1234]");
    peer_close(&spare);
}

static void a_child_being_torn_down_holds_its_slot_but_not_its_successor_back(void **state)
{
    (void)state;
    publish_forking();
    request("");
    struct peer t = start_template();
    struct peer children[9];
    children[0] = fork_child(&t);
    children[1] = fork_child(&t);
    for (int i = 0; i < 7; i++) { /* none of them has been found dead yet */
        serve(&children[i]);
        expect_kill_of(&children[i]);
        request("");
        if (i < 6)
            children[i + 2] = fork_child(&t);
    }
    /* All eight slots are held by the dying and the one at work: the next spare waits for a slot, not for another template. */
    assert_true(has_work(&children[7]));
    expect_silence();
    exited(&children[0], SIGKILL);
    children[8] = fork_child(&t);
    for (int i = 1; i < 9; i++)
        peer_close(&children[i]);
    peer_close(&t);
}

static void a_full_template_is_joined_by_another(void **state)
{
    (void)state;
    struct settings s = reusing();
    s.max_concurrency = s.queue = MESSAGE_SLOTS_MAX + 1;
    publish(&s);
    struct peer children[MESSAGE_SLOTS_MAX + 1];
    for (int i = 0; i < MESSAGE_SLOTS_MAX + 1; i++)
        request("");
    struct peer t = start_template();
    for (int i = 0; i < MESSAGE_SLOTS_MAX; i++)
        children[i] = fork_child(&t);
    struct peer more = start_template();
    children[MESSAGE_SLOTS_MAX] = fork_child(&more);
    for (int i = 0; i < MESSAGE_SLOTS_MAX + 1; i++) {
        assert_true(has_work(&children[i]));
        peer_close(&children[i]);
    }
    peer_close(&t);
    peer_close(&more);
}

/* ---- children that can't be kept apart ---- */

static void without_scopes_one_child_lives_at_a_time(void **state)
{
    (void)state;
    gateway.pools->separable = false;
    struct settings s = reusing();
    s.max_concurrency = 3;
    publish(&s);
    request("");
    request("");
    union heard m = expect(MESSAGE_SPAWN);
    assert_int_equal(m.spawn.slots, 1);
    struct peer t = spawned(m.header.id);
    say_ready(&t, "yes");
    struct peer child = fork_child(&t);
    /* A second template would cost as much as an instance of its own, and that is what comes. */
    for (int i = 0; i < 2; i++) {
        m = expect(MESSAGE_SPAWN);
        assert_int_equal(m.spawn.slots, 0);
        struct peer w = spawned(m.header.id);
        say_ready(&w, "yes");
        peer_close(&w);
        if (i == 0)
            break;
    }
    peer_close(&t);
    peer_close(&child);
}

static void without_scopes_a_successor_waits_for_the_end_of_the_one_before(void **state)
{
    (void)state;
    gateway.pools->separable = false;
    struct settings s = forking();
    s.max_concurrency = 1;
    publish(&s);
    request("");
    struct peer t = start_template();
    struct peer child = fork_child(&t);
    serve(&child);
    expect(MESSAGE_KILL);
    expect_silence();
    exited(&child, SIGKILL);
    child = fork_child(&t);
    peer_close(&t);
    peer_close(&child);
}

/* With isolation fork the next template is under way whenever a child of the one before fails. */
static void without_scopes_a_request_does_not_wait_from_one_template_that_fails_to_the_next(void **state)
{
    (void)state;
    gateway.pools->separable = false;
    struct settings s = forking();
    s.max_concurrency = 2;
    publish(&s);
    request("");
    struct peer t = start_template();
    union heard m = expect(MESSAGE_PREPARE);
    prepared(m.header.id);
    uint32_t slot;
    struct peer child = forked(&t, m.header.id, &slot);
    struct peer next = start_worker(); /* for the spare */
    say_init_error(&child);
    expect_kill(&child);
    assert_int_equal(answer_count, 1);
    assert_int_equal(answers[0].status, 500);
    request("");
    child = fork_child(&t); /* not to blame */
    serve(&child);
    assert_int_equal(answer_count, 2);
    assert_int_equal(answers[1].status, 200);
    peer_close(&t);
    peer_close(&next);
    peer_close(&child);
}

static void without_scopes_a_request_waits_while_another_child_starts(void **state)
{
    (void)state;
    gateway.pools->separable = false;
    struct settings s = forking();
    s.max_concurrency = 2;
    publish(&s);
    request("");
    struct peer t = start_template();
    union heard m = expect(MESSAGE_PREPARE);
    struct peer next = start_template();
    struct peer child;
    uint32_t slot;
    prepared(m.header.id);
    child = forked(&t, m.header.id, &slot);
    m = expect(MESSAGE_PREPARE); /* of the next one, for the spare */
    assert_int_equal(m.prepare.template, next.id);
    say_init_error(&child);
    expect_kill(&child);
    assert_int_equal(answer_count, 0);
    prepared(m.header.id);
    child = forked(&next, m.header.id, &slot);
    say_child_ready(&child);
    serve(&child);
    assert_int_equal(answer_count, 1);
    assert_int_equal(answers[0].status, 200);
    peer_close(&t);
    peer_close(&next);
    peer_close(&child);
}

/* ---- hostile and broken ---- */

static void a_template_that_speaks_is_killed_with_its_children_and_replaced(void **state)
{
    (void)state;
    publish_reusing();
    request("");
    struct peer t = start_template();
    struct peer a = fork_child(&t);
    struct peer spare = fork_child(&t);
    take_request(&a);
    assert_int_equal(write(t.worker, "0123456789abcdef", 16), 16);
    uint64_t killed = 0;
    for (int i = 0; i < 3; i++)
        killed += expect(MESSAGE_KILL).header.id;
    assert_int_equal(killed, t.id + a.id + spare.id);
    exited(&t, SIGKILL);
    exited(&a, SIGKILL);
    exited(&spare, SIGKILL);
    assert_int_equal(answer_count, 1);
    assert_int_equal(answers[0].status, 502);
    request("");
    t = start_template();
    a = fork_child(&t);
    serve(&a);
    assert_int_equal(answers[1].status, 200);
    peer_close(&t);
    peer_close(&a);
}

static void a_fork_that_is_never_answered_ends_the_template(void **state)
{
    (void)state;
    config.init_timeout_ms = 50;
    publish_reusing();
    request("");
    struct peer t = start_template();
    union heard m = expect(MESSAGE_PREPARE);
    prepared(m.header.id);
    struct peer child = {.id = m.header.id, .control = -1, .log = -1, .worker = -1};
    m = expect(MESSAGE_PREPARE);
    struct peer other = {.id = m.header.id, .control = -1, .log = -1, .worker = -1};
    prepared(m.header.id);
    pass(0.15);
    for (int i = 0; i < 2; i++)
        expect(MESSAGE_KILL);
    exited(&child, MESSAGE_STATUS_UNKNOWN);
    exited(&other, MESSAGE_STATUS_UNKNOWN);
    assert_int_equal(answers[0].status, 504);
    assert_string_equal(answers[0].type, "Timeout");
    assert_int_equal(expect(MESSAGE_KILL).header.id, t.id);
    exited(&t, SIGKILL);
    config.init_timeout_ms = 60000;
    request("");
    t = start_template();
    peer_close(&t);
}

static void a_busy_child_outlives_the_retirement_of_its_template(void **state)
{
    (void)state;
    publish_reusing();
    request("");
    struct peer t = start_template();
    struct peer a = fork_child(&t);
    struct peer b = fork_child(&t);
    request("");
    struct peer c = fork_child(&t); /* the spare */
    take_request(&b);
    /* b dies of SIGSEGV under its request */
    exited(&b, SIGSEGV);
    assert_int_equal(answers[0].status, 502);
    serve(&a);
    assert_int_equal(answers[1].status, 200);
    /* no more forks of that one; when its children are gone it goes */
    request("");
    request("");
    struct peer next = start_template();
    struct peer d = fork_child(&next);
    serve(&a);
    serve(&c);
    assert_int_equal(answer_count, 4);
    peer_close(&t);
    peer_close(&a);
    peer_close(&c);
    peer_close(&d);
    peer_close(&next);
}

static void crashes_that_could_be_a_search_rotate_the_template_and_others_do_not(void **state)
{
    (void)state;
    static const struct {
        int status;
        bool rotates;
    } cases[] = {{SIGSEGV, true}, {SIGABRT, true},  {SIGBUS, true},
                 {SIGILL, true},  {SIGSYS, true},   {MESSAGE_STATUS_UNKNOWN, true},
                 {1 << 8, false}, {SIGTERM, false}, {0, false}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct settings s = forking();
        s.max_concurrency = 1;
        publish(&s);
        request("");
        struct peer t = start_template();
        struct peer a = fork_child(&t);
        take_request(&a);
        peer_close(&a);
        expect_silence(); /* no KILL: the supervisor tells its status in a moment */
        exited(&a, cases[i].status);
        assert_int_equal(answers[0].status, 502);
        expect(cases[i].rotates ? MESSAGE_KILL : MESSAGE_PREPARE);
        tear_down(state);
        peer_close(&t);
        set_up(state);
    }
}

static void a_template_is_replaced_after_so_many_forks(void **state)
{
    (void)state;
    config.template_forks_max = 3;
    struct settings s = forking();
    s.max_concurrency = 1;
    publish(&s);
    request("");
    struct peer t = start_template();
    for (int i = 0; i < 3; i++) {
        struct peer a = fork_child(&t);
        serve(&a);
        expect_kill(&a);
        request("");
    }
    assert_int_equal(expect(MESSAGE_KILL).header.id, t.id);
    struct peer next = start_template();
    struct peer a = fork_child(&next);
    serve(&a);
    assert_int_equal(answer_count, 4);
    peer_close(&t);
    peer_close(&a);
    peer_close(&next);
}

static void idle_children_of_a_retired_template_go_when_their_successor_is_ready(void **state)
{
    (void)state;
    publish_reusing();
    request("");
    struct peer t = start_template();
    struct peer a = fork_child(&t);
    struct peer b = fork_child(&t); /* the spare */
    serve(&a);
    request("");
    take_request(&a);
    exited(&a, SIGSEGV); /* b is idle, and all there is */
    assert_int_equal(answers[1].status, 502);
    struct peer next = start_template();
    request("");
    serve(&b); /* meanwhile it serves */
    assert_int_equal(answers[2].status, 200);
    struct peer c = fork_child(&next);
    expect_kill(&b);
    expect_kill(&t); /* its last child is gone */
    request("");
    assert_true(has_work(&c));
    peer_close(&t);
    peer_close(&b);
    peer_close(&c);
    peer_close(&next);
}

static void the_only_child_of_a_retired_template_stays_where_there_is_room_for_one(void **state)
{
    (void)state;
    config.template_forks_max = 1;
    struct settings s = reusing();
    s.max_concurrency = 1;
    s.keep_warm_ms = 100;
    publish(&s);
    request("");
    struct peer t = start_template();
    struct peer a = fork_child(&t);
    serve(&a);
    template_retire(LIST_ENTRY(list_first(&function->pool->templates), struct template, link), "test");
    expect_silence();
    request("");
    serve(&a);
    assert_int_equal(answers[1].status, 200);
    pass(0.2); /* and goes after keep_warm like any other */
    expect_kill(&a);
    expect_kill(&t);
    expect_silence();
}

static void min_warm_replaces_the_children_of_a_retired_template_one_by_one(void **state)
{
    (void)state;
    struct settings s = reusing();
    s.min_warm = s.max_concurrency = 2;
    publish(&s);
    struct peer t = start_template();
    struct peer old[2], fresh[2];
    old[0] = fork_child(&t);
    old[1] = fork_child(&t);
    template_retire(LIST_ENTRY(list_first(&function->pool->templates), struct template, link), "test");
    turn();
    union heard m = expect(MESSAGE_KILL); /* one makes room */
    int first = m.header.id == old[1].id;
    exited(&old[first], SIGKILL);
    struct peer next = start_template();
    fresh[0] = fork_child(&next);
    expect_kill(&old[!first]);
    fresh[1] = fork_child(&next);
    expect_kill(&t);
    expect_silence();
    peer_close(&fresh[0]);
    peer_close(&fresh[1]);
    peer_close(&next);
}

static void a_child_that_says_why_it_failed_tells_whoever_waits(void **state)
{
    (void)state;
    uint32_t slot;
    struct settings s = forking();
    s.max_concurrency = 1;
    publish(&s);
    request("");
    struct peer t = start_template();
    union heard m = expect(MESSAGE_PREPARE);
    prepared(m.header.id);
    struct peer child = forked(&t, m.header.id, &slot);
    say_init_error(&child);
    expect_kill(&child);
    assert_int_equal(answers[0].status, 500);
    assert_string_equal(answers[0].type, "ImportError");
    request("");
    m = expect(MESSAGE_PREPARE); /* the template is not to blame */
    peer_close(&t);
}

/* ---- the files by which children join ---- */

/* Answers a PREPARE with this file, or none, and gives the file that came with the FORK. */
static ino_t file_of_fork(const struct peer *t, uint64_t id, const char *file, struct peer *ret_child)
{
    int fd = file ? open(file, O_WRONLY | O_CLOEXEC) : -1;
    struct message_spawned m = {.header = {.type = MESSAGE_SPAWNED, .size = sizeof(m), .id = id},
                                .fd_count = file != NULL};
    struct stat st;
    uint32_t slot;
    tell(&m, sizeof(m), &fd, file != NULL);
    close(fd);
    *ret_child = forked_with(t, id, &slot, &fd);
    assert_int_equal(fstat(fd, &st), 0);
    close(fd);
    return st.st_ino;
}

static union heard next_prepare(struct peer *served)
{
    say_child_ready(served);
    expect(MESSAGE_ADOPT);
    serve(served);
    expect_kill(served);
    request("");
    return expect(MESSAGE_PREPARE);
}

static void the_files_of_a_slot_are_kept_while_its_children_serve_once(void **state)
{
    (void)state;
    struct settings s = forking();
    s.max_concurrency = 1;
    publish(&s);
    request("");
    struct peer t = start_template();
    struct peer c;
    union heard m = expect(MESSAGE_PREPARE);
    assert_int_equal(m.prepare.has_files, 0);
    /* While a child ends its successor gets the other slot, so that each has every second. */
    ino_t null = file_of_fork(&t, m.header.id, "/dev/null", &c);
    m = next_prepare(&c);
    assert_int_equal(m.prepare.has_files, 0);
    ino_t zero = file_of_fork(&t, m.header.id, "/dev/zero", &c);
    assert_true(zero != null);
    for (unsigned i = 0; i < 4; i++) { /* the same groups again */
        m = next_prepare(&c);
        assert_int_equal(m.prepare.slot, i % 2);
        assert_int_equal(m.prepare.has_files, 1);
        assert_int_equal(file_of_fork(&t, m.header.id, NULL, &c), i % 2 ? zero : null);
    }
    m = next_prepare(&c);
    ino_t full = file_of_fork(&t, m.header.id, "/dev/full", &c); /* others */
    assert_true(full != null);
    m = next_prepare(&c);
    assert_int_equal(file_of_fork(&t, m.header.id, NULL, &c), zero);
    m = next_prepare(&c);
    assert_int_equal(file_of_fork(&t, m.header.id, NULL, &c), full);
    peer_close(&t);
    peer_close(&c);
}

static void a_slot_without_files_and_without_any_sent_is_a_failed_start(void **state)
{
    (void)state;
    struct settings s = forking();
    s.max_concurrency = 1;
    publish(&s);
    request("");
    struct peer t = start_template();
    union heard m = expect(MESSAGE_PREPARE);
    struct message_spawned none = {.header = {.type = MESSAGE_SPAWNED, .size = sizeof(none), .id = m.header.id}};
    tell(&none, sizeof(none), NULL, 0);
    assert_int_equal(expect(MESSAGE_KILL).header.id, m.header.id);
    peer_close(&t);
}

static void children_that_serve_many_requests_have_their_files_sent(void **state)
{
    (void)state;
    struct settings s = reusing();
    s.min_warm = s.max_concurrency = 1;
    publish(&s);
    struct peer t = start_template();
    struct peer c = fork_child(&t);
    exited(&c, SIGTERM);
    assert_int_equal(expect(MESSAGE_PREPARE).prepare.has_files, 0);
    peer_close(&t);
}

/* ---- slots ---- */

static void slots_are_given_back_when_a_child_is_gone(void **state)
{
    (void)state;
    struct settings s = reusing();
    s.min_warm = 3;
    publish(&s);
    struct peer t = start_template();
    struct peer p[3];
    uint32_t slot[4];
    for (int i = 0; i < 3; i++) {
        union heard m = expect(MESSAGE_PREPARE);
        prepared(m.header.id);
        p[i] = forked(&t, m.header.id, &slot[i]);
        say_child_ready(&p[i]);
        expect(MESSAGE_ADOPT);
        assert_int_equal(slot[i], i);
    }
    peer_close(&p[1]);
    expect_silence(); /* a loss is counted when it is gone */
    exited(&p[1], 1 << 8);
    union heard m = expect(MESSAGE_PREPARE);
    prepared(m.header.id);
    p[1] = forked(&t, m.header.id, &slot[3]);
    assert_int_equal(slot[3], 1);
    for (int i = 0; i < 3; i++)
        peer_close(&p[i]);
    peer_close(&t);
}

/* ---- trials ---- */

static void a_trial_ends_when_the_template_and_one_child_are_ready(void **state)
{
    (void)state;
    struct settings s = reusing();
    struct version *v = make_version(&s, 1);
    pool_trial(function->pool, v, on_trial, NULL);
    struct peer t = start_template();
    assert_int_equal(trials_done, 0);
    struct peer child = fork_child(&t);
    assert_int_equal(trials_done, 1);
    assert_int_equal(trial_result.code, 0);
    expect_silence();
    registry_set_current(gateway.registry, function, v);
    request("");
    assert_true(has_work(&child)); /* both are kept */
    serve(&child);
    assert_string_equal(answers[0].start, "warm");
    struct peer spare = fork_child(&t);
    peer_close(&t);
    peer_close(&child);
    peer_close(&spare);
}

static void a_trial_whose_child_fails_says_why_and_leaves_nothing(void **state)
{
    (void)state;
    uint32_t slot;
    struct settings s = reusing();
    struct version *v = make_version(&s, 1);
    pool_trial(function->pool, v, on_trial, NULL);
    struct peer t = start_template();
    union heard m = expect(MESSAGE_PREPARE);
    prepared(m.header.id);
    struct peer child = forked(&t, m.header.id, &slot);
    say_init_error(&child);
    expect_kill(&child);
    assert_int_equal(trials_done, 1);
    assert_string_equal(trial_result.text, "ImportError: no!");
    assert_string_equal(trial_said, "ImportError|no!|");
    pool_version_changed(function->pool); /* as a deploy that failed does */
    assert_int_equal(expect(MESSAGE_KILL).header.id, t.id);
    version_put(v);
    peer_close(&t);
}

static void a_trial_s_failed_initialisation_is_told_word_for_word(void **state)
{
    (void)state;
    struct settings s = reusing();
    struct version *v = make_version(&s, 1);
    pool_trial(function->pool, v, on_trial, NULL);
    struct peer w = start_worker();
    say_init_error(&w);
    expect_kill(&w);
    assert_int_equal(trials_done, 1);
    assert_string_equal(trial_result.text, "ImportError: no!");
    assert_string_equal(trial_said, "ImportError|no!|");
    version_put(v);
}

/* ---- ends ---- */

static void a_new_version_retires_the_template_of_the_old_one(void **state)
{
    (void)state;
    publish_reusing();
    request("");
    struct peer t = start_template();
    struct peer a = fork_child(&t);
    struct peer spare = fork_child(&t);
    publish_reusing();
    expect_kill(&spare);
    expect_silence(); /* a still works */
    serve(&a);
    assert_int_equal(answers[0].status, 200);
    expect_kill(&a);
    assert_int_equal(expect(MESSAGE_KILL).header.id, t.id);
    exited(&t, SIGKILL);
    expect_silence();
}

static void a_template_goes_with_its_last_child_after_keep_warm(void **state)
{
    (void)state;
    struct settings s = reusing();
    s.keep_warm_ms = 100;
    publish(&s);
    request("");
    struct peer t = start_template();
    struct peer a = fork_child(&t);
    struct peer spare = fork_child(&t);
    serve(&a);
    expect_silence();
    pass(0.25);
    expect(MESSAGE_KILL);
    expect(MESSAGE_KILL);
    expect_silence();
    exited(&a, SIGKILL);
    expect_silence();
    exited(&spare, SIGKILL);
    assert_int_equal(expect(MESSAGE_KILL).header.id, t.id);
    exited(&t, SIGKILL);
    expect_silence();
}

static void min_warm_counts_children_and_not_the_template(void **state)
{
    (void)state;
    struct settings s = reusing();
    s.min_warm = 1;
    s.keep_warm_ms = 50;
    publish(&s);
    struct peer t = start_template();
    struct peer a = fork_child(&t);
    expect_silence();
    pass(0.2);
    expect_silence();
    assert_int_equal(function->pool->counts[INSTANCE_IDLE], 1);
    peer_close(&t);
    peer_close(&a);
}

/* ---- budgets ---- */

static void a_template_makes_room_for_others_after_its_idle_children(void **state)
{
    (void)state;
    struct settings plain = settings_for(SETTINGS_RUNTIME_NATIVE, SETTINGS_ISOLATION_REUSE);
    config.memory_budget_bytes = 3 * 64 * (uint64_t)MIB;
    publish_reusing();
    request("");
    struct peer t = start_template();
    struct peer a = fork_child(&t);
    struct peer spare = fork_child(&t);
    serve(&a);
    turn_to_other_function();
    publish(&plain);
    request("");
    expect_kill(&spare); /* the least recently used */
    struct peer x = start_worker();
    say_ready(&x, NULL);
    request("");
    expect_kill(&a);
    struct peer y = start_worker();
    say_ready(&y, NULL);
    request("");
    assert_int_equal(expect(MESSAGE_KILL).header.id, t.id);
    exited(&t, SIGKILL);
    struct peer z = start_worker();
    peer_close(&x);
    peer_close(&y);
    peer_close(&z);
}

static void without_room_for_a_child_the_worker_serves_by_itself(void **state)
{
    (void)state;
    config.memory_budget_bytes = 64 * (uint64_t)MIB;
    publish_reusing();
    request("");
    struct peer w = start_worker();
    say_ready(&w, "yes");
    assert_true(has_work(&w));
    serve(&w);
    assert_int_equal(answers[0].status, 200);
    assert_string_equal(function->current->no_template, ""); /* for now only */
    peer_close(&w);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_request_waits_for_one_template_and_gets_a_child_of_it),
        TEST(a_request_that_finds_a_template_waits_for_a_fork_alone),
        TEST(with_reuse_a_spare_waits_while_the_function_is_used),
        TEST(a_child_that_has_worked_goes_before_a_spare),
        TEST(children_never_pass_max_concurrency),
        TEST(a_worker_that_can_t_be_forked_serves_by_itself),
        TEST(a_worker_that_says_nothing_about_it_serves_and_the_reason_is_given),
        TEST(each_request_gets_a_child_of_its_own_with_isolation_fork),
        TEST(without_a_template_isolation_fork_uses_sandboxes_up),
        TEST(a_child_being_torn_down_holds_its_slot_but_not_its_successor_back),
        TEST(a_full_template_is_joined_by_another),
        TEST(without_scopes_one_child_lives_at_a_time),
        TEST(without_scopes_a_successor_waits_for_the_end_of_the_one_before),
        TEST(without_scopes_a_request_does_not_wait_from_one_template_that_fails_to_the_next),
        TEST(without_scopes_a_request_waits_while_another_child_starts),
        TEST(a_template_that_speaks_is_killed_with_its_children_and_replaced),
        TEST(a_fork_that_is_never_answered_ends_the_template),
        TEST(a_busy_child_outlives_the_retirement_of_its_template),
        TEST(crashes_that_could_be_a_search_rotate_the_template_and_others_do_not),
        TEST(a_template_is_replaced_after_so_many_forks),
        TEST(a_child_that_says_why_it_failed_tells_whoever_waits),
        TEST(idle_children_of_a_retired_template_go_when_their_successor_is_ready),
        TEST(the_only_child_of_a_retired_template_stays_where_there_is_room_for_one),
        TEST(min_warm_replaces_the_children_of_a_retired_template_one_by_one),
        TEST(the_files_of_a_slot_are_kept_while_its_children_serve_once),
        TEST(a_slot_without_files_and_without_any_sent_is_a_failed_start),
        TEST(children_that_serve_many_requests_have_their_files_sent),
        TEST(slots_are_given_back_when_a_child_is_gone),
        TEST(a_trial_ends_when_the_template_and_one_child_are_ready),
        TEST(a_trial_whose_child_fails_says_why_and_leaves_nothing),
        TEST(a_trial_s_failed_initialisation_is_told_word_for_word),
        TEST(a_new_version_retires_the_template_of_the_old_one),
        TEST(a_template_goes_with_its_last_child_after_keep_warm),
        TEST(min_warm_counts_children_and_not_the_template),
        TEST(a_template_makes_room_for_others_after_its_idle_children),
        TEST(without_room_for_a_child_the_worker_serves_by_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
