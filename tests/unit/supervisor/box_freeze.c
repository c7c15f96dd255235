/* SPDX-License-Identifier: Apache-2.0 */
/* Idle boxes stand still; what ends them needs no thaw. */
#include "child_fixture.h"

static void need_freeze(void)
{
    if (!cgroup_tree_has_freeze(super.groups)) {
        print_message("skipped: this host has no cgroup.freeze\n");
        skip();
    }
}

/* No answer within a time in which one comes a thousand times over. */
static bool answers(const struct child *c)
{
    struct pollfd p = {.fd = c->socket, .events = POLLIN};
    do_deed(c, DEED_ANSWER);
    return poll(&p, 1, 100) == 1 && read_byte(c->socket) == 'A';
}

static bool is_frozen(uint64_t id)
{
    return boxes_find(&super.boxes, id)->sandbox.group->frozen;
}

static void a_frozen_child_serves_after_its_thaw_and_dies_without_one(void **state)
{
    (void)state;
    need_root();
    need_freeze();
    struct template t = start_template();
    struct child c = adopted_child(&t), other = adopted_child(&t);
    assert_true(answers(&c));
    boxes_freeze(&super.boxes, c.id, true);
    assert_false(answers(&c));
    assert_true(answers(&other));
    boxes_freeze(&super.boxes, c.id, false);
    assert_int_equal(read_byte(c.socket), 'A');
    boxes_freeze(&super.boxes, t.id, true); /* would freeze its children, too */
    assert_false(is_frozen(t.id));
    assert_true(answers(&other));
    boxes_freeze(&super.boxes, c.id, true);
    boxes_kill(&super.boxes, c.id);
    assert_int_equal(expect_exit(&c).status, SIGKILL);
    boxes_freeze(&super.boxes, c.id, false); /* late: nothing of that name */
    boxes_freeze(&super.boxes, other.id, true);
    boxes_kill(&super.boxes, t.id);
    for (unsigned i = 0; i < 2; i++) {
        struct sock_record none;
        assert_int_equal(next_answer(&none).header.type, MESSAGE_EXITED);
    }
    close(other.socket);
    close_template(&t);
}

static void a_frozen_template_is_thawed_for_its_next_child(void **state)
{
    (void)state;
    need_root();
    need_freeze();
    struct template t = start_template();
    boxes_freeze(&super.boxes, t.id, true);
    assert_true(is_frozen(t.id));
    char name[CGROUP_NAME_MAX];
    fmt_to(name, sizeof(name), "%s", boxes_find(&super.boxes, t.id)->sandbox.group->name);
    /* all of it is in the frozen group, init too: everything stops, not an empty group */
    for (unsigned i = 0; cgroup_read_key(super.groups->v2.fd, name, "cgroup.events", "frozen") != 1 && i < WAIT_MS; i++)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    assert_int_equal(cgroup_read_key(super.groups->v2.fd, name, "cgroup.events", "frozen"), 1);
    assert_int_equal(cgroup_read_key(super.groups->v2.fd, name, "cgroup.events", "populated"), 1);
    struct child c = adopted_child(&t);
    assert_false(is_frozen(t.id));
    assert_true(answers(&c));
    close(c.socket);
    expect(MESSAGE_EXITED, c.id, NULL);
    end_template(&t);
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "template") == 0)
        return be_template();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_frozen_child_serves_after_its_thaw_and_dies_without_one),
        cmocka_unit_test(a_frozen_template_is_thawed_for_its_next_child),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
