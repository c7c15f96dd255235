/* SPDX-License-Identifier: Apache-2.0 */
/* How children of templates live and end: by themselves, by a kill, by a limit, with their template, with their gateway. */
#include "child_fixture.h"

static void an_honest_child_is_adopted_serves_and_is_killed(void **state)
{
    (void)state;
    need_root();
    struct template t = start_template();
    struct child c = adopted_child(&t);
    do_deed(&c, DEED_ANSWER);
    assert_int_equal(read_byte(c.socket), 'A');
    boxes_usage(&super.boxes, c.id);
    union answer usage = expect(MESSAGE_USAGE_IS, c.id, NULL);
    assert_true(usage.exited.cpu_ns > 0);
    boxes_kill(&super.boxes, c.id);
    struct message_exited end = expect_exit(&c);
    assert_int_equal(end.killed, 1);
    assert_int_equal(end.status, SIGKILL);
    assert_int_equal(end.oom_kills, 0);
    assert_true(is_dead(c.pid));
    end_template(&t);
}

static void the_end_of_a_child_is_told_with_its_status(void **state)
{
    (void)state;
    need_root();
    struct template t = start_template();
    struct child c = adopted_child(&t);
    do_deed(&c, DEED_EXIT);
    struct message_exited end = expect_exit(&c);
    assert_int_equal(end.status, 7 << 8);
    assert_int_equal(end.killed, 0);
    c = adopted_child(&t);
    do_deed(&c, DEED_TRAP);
    end = expect_exit(&c);
    assert_int_equal(end.status & 0x7f, SIGILL);
    end_template(&t);
}

static void what_a_dead_child_left_running_is_killed(void **state)
{
    (void)state;
    need_root();
    struct template t = start_template();
    struct child c = adopted_child(&t);
    struct box *x = boxes_find(&super.boxes, c.id);
    do_deed(&c, DEED_LEAVE_PROCESS);
    for (pid_t listed[8];;) {
        unsigned n = cgroup_list(x->sandbox.group, listed, 8);
        if (n > 0 && listed[0] != c.pid)
            break;
    }
    assert_int_equal(expect_exit(&c).status, 0);
    end_template(&t);
}

static void a_fork_bomb_does_not_outrun_its_kill(void **state)
{
    (void)state;
    need_root();
    struct template t = start_template();
    struct child c = adopted_child(&t), other = adopted_child(&t);
    struct box *x = boxes_find(&super.boxes, c.id);
    do_deed(&c, DEED_FORK_BOMB);
    for (pid_t listed[64]; cgroup_list(x->sandbox.group, listed, 64) < 8;)
        ;
    boxes_kill(&super.boxes, c.id);
    assert_int_equal(expect_exit(&c).killed, 1);
    do_deed(&other, DEED_ANSWER); /* its sibling has not noticed */
    assert_int_equal(read_byte(other.socket), 'A');
    close(other.socket);
    expect(MESSAGE_EXITED, other.id, NULL);
    end_template(&t);
}

static void memory_over_the_limit_ends_the_child_alone(void **state)
{
    (void)state;
    need_root();
    struct template t = start_template();
    struct child c = adopted_child(&t), other = adopted_child(&t);
    do_deed(&c, DEED_USE_MEMORY);
    struct message_exited end = expect_exit(&c);
    assert_true(end.oom_kills > 0);
    assert_true(end.memory_peak_bytes >= MEMORY_BYTES - (1 << 20));
    do_deed(&other, DEED_ANSWER);
    assert_int_equal(read_byte(other.socket), 'A');
    close(other.socket);
    expect(MESSAGE_EXITED, other.id, NULL);
    end_template(&t);
}

static void groups_serve_one_child_after_another(void **state)
{
    (void)state;
    need_root();
    struct template t = start_template();
    for (unsigned i = 0; i < 50; i++) {
        struct child c = adopted_child(&t);
        do_deed(&c, i % 2 ? DEED_EXIT : DEED_LEAVE_PROCESS);
        struct message_exited end = expect_exit(&c);
        assert_true(end.memory_peak_bytes < MEMORY_BYTES / 2);
        assert_int_equal(end.oom_kills, 0);
        assert_int_equal(end.pids_denied, 0);
    }
    end_template(&t);
    struct err e;
    for (unsigned i = 0; super.boxes.living > 0 && i < WAIT_MS; i++) {
        ev_run(super.loop, EVRUN_NOWAIT);
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    assert_int_equal(cgroup_tree_sweep(super.groups, &e), 0); /* spare ones went with it */
}

static unsigned files_sent(uint64_t template, uint64_t *ret_id)
{
    struct message_prepare m = {
        .header = {.type = MESSAGE_PREPARE, .size = sizeof(m), .id = next_id++}, .template = template, .has_files = 1};
    struct sock_record join;
    assert_int_equal(boxes_prepare(&super.boxes, &m), 0);
    union answer a = expect(MESSAGE_SPAWNED, m.header.id, &join);
    assert_int_equal(a.spawned.fd_count, join.fd_count);
    sock_record_close(&join);
    *ret_id = m.header.id;
    return a.spawned.fd_count;
}

static void end_prepared(uint64_t id)
{
    boxes_kill(&super.boxes, id);
    expect(MESSAGE_EXITED, id, NULL);
}

static void the_files_of_groups_are_sent_once_to_who_keeps_them(void **state)
{
    (void)state;
    need_root();
    struct template t = start_template();
    uint64_t id;
    unsigned files = files_sent(t.id, &id); /* it has those of no child yet */
    assert_true(files > 0);
    end_prepared(id);
    bool kept = boxes_find(&super.boxes, t.id)->as_template->spares[0] != NULL;
    assert_int_equal(files_sent(t.id, &id), kept ? 0 : files);
    end_prepared(id);
    struct child c = adopted_child(&t); /* does not have them */
    do_deed(&c, DEED_EXIT);
    expect_exit(&c);
    struct box_template *as = boxes_find(&super.boxes, t.id)->as_template;
    if (as->spares[0]) {
        assert_int_equal(cgroup_remove(as->spares[0]), 0);
        as->spares[0] = NULL;
    }
    assert_int_equal(files_sent(t.id, &id), files); /* of other groups */
    end_prepared(id);
    end_template(&t);
}

static void children_end_with_their_template(void **state)
{
    (void)state;
    need_root();
    for (unsigned round = 0; round < 2; round++) {
        struct template t = start_template();
        struct sock_record join;
        struct child adopted = adopted_child(&t), joined = fork_child(&t, FORK_HONEST);
        uint64_t empty = prepare(t.id, &join);
        sock_record_close(&join);
        if (round == 0)
            boxes_kill(&super.boxes, t.id);
        else
            kill(boxes_find(&super.boxes, t.id)->sandbox.pid, SIGKILL);
        unsigned ends = 0;
        for (unsigned i = 0; i < 4; i++) {
            struct sock_record none;
            union answer a = next_answer(&none);
            assert_int_equal(a.header.type, MESSAGE_EXITED);
            for (unsigned k = 0; k < 4; k++)
                if (a.header.id == (uint64_t[]){t.id, adopted.id, joined.id, empty}[k])
                    ends |= 1U << k;
        }
        assert_int_equal(ends, 15);
        assert_true(is_dead(adopted.pid));
        assert_true(is_dead(joined.pid));
        close(adopted.socket);
        close(joined.socket);
        close_template(&t);
    }
}

static void a_child_that_never_comes_is_given_up(void **state)
{
    (void)state;
    need_root();
    struct template t = start_template();
    struct sock_record join;
    uint64_t id = prepare(t.id, &join);
    struct box *x = boxes_find(&super.boxes, id);
    assert_int_equal(x->state, BOX_PREPARED);
    assert_true(ev_is_active(&x->timer));
    assert_true(ev_timer_remaining(super.loop, &x->timer) > BOX_JOIN_SECONDS - 1);
    box_start_timer(x, 0.001, 0.); /* its time, sooner */
    union answer a = expect(MESSAGE_EXITED, id, NULL);
    assert_int_equal(a.exited.status, MESSAGE_STATUS_UNKNOWN);
    assert_int_equal(a.exited.killed, 0);
    sock_record_close(&join);
    end_template(&t);
}

static void only_templates_that_live_can_be_asked_for_children(void **state)
{
    (void)state;
    need_root();
    struct template t = start_template();
    struct message_prepare m = {.header = {.type = MESSAGE_PREPARE, .size = sizeof(m), .id = next_id++},
                                .template = 987654};
    assert_int_equal(boxes_prepare(&super.boxes, &m), 0);
    union answer a = expect(MESSAGE_SPAWN_FAILED, m.header.id, NULL);
    assert_non_null(strstr(a.failed.error.text, "has ended"));
    m.template = t.id;
    m.header.id = t.id; /* in use */
    assert_int_equal(boxes_prepare(&super.boxes, &m), -EPROTO);
    struct child c = adopted_child(&t);
    m.header.id = next_id++;
    m.template = c.id; /* no template itself */
    assert_int_equal(boxes_prepare(&super.boxes, &m), -EPROTO);
    struct message_adopt again = {.header = {.id = c.id}, .pid = c.pid};
    assert_int_equal(boxes_adopt(&super.boxes, &again), -EPROTO);
    again.header.id = t.id;
    assert_int_equal(boxes_adopt(&super.boxes, &again), -EPROTO);
    again.header.id = 987654;
    assert_int_equal(boxes_adopt(&super.boxes, &again), 0);
    boxes_kill(&super.boxes, t.id);
    m.template = t.id;
    assert_int_equal(boxes_prepare(&super.boxes, &m), 0);
    for (unsigned ends = 0; ends < 3; ends++) { /* the refusal, then both ends in any order */
        struct sock_record none;
        a = next_answer(&none);
        assert_int_equal(a.header.type, ends == 0 ? MESSAGE_SPAWN_FAILED : MESSAGE_EXITED);
    }
    close(c.socket);
    close_template(&t);
}

/* The pids controller refuses forks, never who moves in. */
static void a_template_that_moves_its_processes_away_reaches_an_end(void **state)
{
    (void)state;
    need_root();
    struct template t = start_template();
    struct child c = begin_child(&t, FORK_AND_MOVE_AWAY);
    unsigned count = 0;
    char said;
    while ((said = read_byte(c.socket)) == '+')
        count++;
    assert_int_equal(said, '.');
    assert_true(count >= PIDS);
    assert_true(count <= PIDS * (SLOTS + 1));
    boxes_kill(&super.boxes, c.id); /* and the child's kill ends them all */
    expect_exit(&c);
    end_template(&t);
}

static void children_count_against_the_budget(void **state)
{
    (void)state;
    need_root();
    struct template t = start_template();
    uint64_t before = super.config.memory_budget_bytes;
    super.config.memory_budget_bytes = 2 * MEMORY_BYTES;
    struct child c = adopted_child(&t);
    struct message_prepare m = {.header = {.type = MESSAGE_PREPARE, .size = sizeof(m), .id = next_id++},
                                .template = t.id};
    assert_int_equal(boxes_prepare(&super.boxes, &m), 0);
    union answer a = expect(MESSAGE_SPAWN_FAILED, m.header.id, NULL);
    assert_non_null(strstr(a.failed.error.text, "memory_budget"));
    boxes_kill(&super.boxes, c.id); /* its share is free from here on */
    m.header.id = next_id++;
    assert_int_equal(boxes_prepare(&super.boxes, &m), 0);
    unsigned spawned = 0;
    for (unsigned i = 0; i < 2; i++) {
        struct sock_record fds;
        a = next_answer(&fds);
        spawned += a.header.type == MESSAGE_SPAWNED && a.header.id == m.header.id;
        sock_record_close(&fds);
    }
    assert_int_equal(spawned, 1);
    super.config.memory_budget_bytes = before;
    close(c.socket);
    boxes_kill(&super.boxes, t.id);
    for (unsigned i = 0; i < 2; i++) {
        struct sock_record none;
        assert_int_equal(next_answer(&none).header.type, MESSAGE_EXITED);
    }
    close_template(&t);
}

static void an_abandoned_template_takes_its_children_along(void **state)
{
    (void)state;
    need_root();
    struct template t = start_template();
    struct child c = adopted_child(&t);
    boxes_abandon(&super.boxes);
    for (unsigned i = 0; super.boxes.living > 0 && i < WAIT_MS; i++) {
        ev_run(super.loop, EVRUN_NOWAIT);
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    assert_int_equal(super.boxes.living, 0);
    assert_int_equal(super.boxes.memory_bytes, 0);
    assert_true(is_dead(c.pid));
    struct sock_record none;
    union answer a;
    assert_int_equal(sock_receive(gateway, &a, sizeof(a), &none), -EAGAIN); /* unheard */
    assert_int_equal(unread_size, 0);
    close(c.socket);
    close_template(&t);
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "template") == 0)
        return be_template();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_honest_child_is_adopted_serves_and_is_killed),
        cmocka_unit_test(the_end_of_a_child_is_told_with_its_status),
        cmocka_unit_test(what_a_dead_child_left_running_is_killed),
        cmocka_unit_test(a_fork_bomb_does_not_outrun_its_kill),
        cmocka_unit_test(memory_over_the_limit_ends_the_child_alone),
        cmocka_unit_test(groups_serve_one_child_after_another),
        cmocka_unit_test(the_files_of_groups_are_sent_once_to_who_keeps_them),
        cmocka_unit_test(children_end_with_their_template),
        cmocka_unit_test(a_child_that_never_comes_is_given_up),
        cmocka_unit_test(only_templates_that_live_can_be_asked_for_children),
        cmocka_unit_test(a_template_that_moves_its_processes_away_reaches_an_end),
        cmocka_unit_test(children_count_against_the_budget),
        cmocka_unit_test(an_abandoned_template_takes_its_children_along),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
