/* SPDX-License-Identifier: Apache-2.0 */
/* Who is adopted as a template's child, and who is not. */
#include "child_fixture.h"

#include "supervisor/claim.h"

#include <sys/pidfd.h>

static void refused(struct template *t, char order, pid_t (*claim)(const struct child *c))
{
    struct child c = fork_child(t, order);
    send_adopt(&c, claim ? claim(&c) : c.pid);
    struct message_exited end = expect_exit(&c);
    assert_int_equal(end.killed, 0);
    assert_null(broken);
}

/* From its second child on a group keeps its files open, and there is less to look at. */
static void use_groups(struct template *t)
{
    for (unsigned i = 0; i < 2; i++) {
        struct child c = adopted_child(t);
        do_deed(&c, DEED_EXIT);
        expect_exit(&c);
    }
}

static void a_process_that_has_not_joined_is_not_adopted(void **state)
{
    (void)state;
    need_root();
    struct template t = start_template();
    refused(&t, FORK_WITHOUT_JOINING, NULL);
    use_groups(&t);
    refused(&t, FORK_WITHOUT_JOINING, NULL);
    end_template(&t);
}

static void a_process_that_joined_in_part_is_not_adopted(void **state)
{
    (void)state;
    need_root();
    struct template t = start_template();
    struct sock_record join;
    uint64_t id = prepare(t.id, &join);
    unsigned groups = join.fd_count;
    sock_record_close(&join);
    boxes_kill(&super.boxes, id);
    expect(MESSAGE_EXITED, id, NULL);
    for (unsigned i = 0; i < 2 && groups > 1; i++) {
        refused(&t, FORK_JOINING_IN_PART, NULL);
        use_groups(&t);
    }
    end_template(&t);
}

static pid_t claim_self(const struct child *c)
{
    (void)c;
    return getpid();
}

static pid_t claim_nobody(const struct child *c)
{
    (void)c;
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    waitpid(pid, NULL, 0);
    return pid;
}

static struct template *claimed;

static pid_t claim_init(const struct child *c)
{
    (void)c;
    return boxes_find(&super.boxes, claimed->id)->sandbox.pid;
}

static void a_pid_of_somebody_else_is_not_adopted(void **state)
{
    (void)state;
    need_root();
    struct template t = start_template();
    claimed = &t;
    refused(&t, FORK_HONEST, claim_self);
    refused(&t, FORK_HONEST, claim_nobody);
    refused(&t, FORK_HONEST, claim_init);
    use_groups(&t);
    refused(&t, FORK_HONEST, claim_self);
    refused(&t, FORK_HONEST, claim_nobody);
    refused(&t, FORK_HONEST, claim_init);
    struct child sibling = adopted_child(&t), c = fork_child(&t, FORK_HONEST);
    send_adopt(&c, sibling.pid);
    expect_exit(&c);
    do_deed(&sibling, DEED_ANSWER);
    assert_int_equal(read_byte(sibling.socket), 'A');
    close(sibling.socket);
    expect(MESSAGE_EXITED, sibling.id, NULL);
    end_template(&t);
}

static void a_child_with_an_older_process_in_its_groups_is_not_adopted(void **state)
{
    (void)state;
    need_root();
    struct template t = start_template();
    refused(&t, FORK_BEHIND_ANOTHER, NULL);
    use_groups(&t);
    refused(&t, FORK_BEHIND_ANOTHER, NULL);
    end_template(&t);
}

static void a_child_that_kept_a_capability_is_not_adopted(void **state)
{
    (void)state;
    need_root();
    struct template t = start_template();
    struct child c = fork_child(&t, FORK_WITH_ITS_CAPABILITIES);
    char path[48], text[8192];
    fmt_to(path, sizeof(path), "/proc/%d/status", c.pid);
    assert_true(fd_read_file_at(AT_FDCWD, path, text, sizeof(text), NULL) > 0);
    bool has_one = !strstr(text, "\nCapPrm:\t0000000000000000\n");
    send_adopt(&c, c.pid);
    if (has_one) {
        expect_exit(&c);
    } else { /* templates have none here: then there is nothing to keep */
        assert_int_equal(boxes_find(&super.boxes, c.id)->state, BOX_RUNNING);
        boxes_kill(&super.boxes, c.id);
        expect_exit(&c);
    }
    assert_int_equal(has_one, true);
    end_template(&t);
}

static void a_child_that_died_before_it_was_adopted_is_told(void **state)
{
    (void)state;
    need_root();
    struct template t = start_template();
    struct child c = fork_child(&t, FORK_HONEST);
    do_deed(&c, DEED_EXIT);
    for (unsigned i = 0; i < WAIT_MS && !is_dead(c.pid); i++)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    send_adopt(&c, c.pid);
    int status = expect_exit(&c).status;
    assert_true(status == 7 << 8 || status == MESSAGE_STATUS_UNKNOWN);
    assert_null(broken);
    end_template(&t);
}

/* In the groups, by root's hand, and with the template's ids: all but its namespace is as a child's. */
static pid_t start_stranger(struct cgroup *g, uint32_t id)
{
    int tasks[CGROUP_TASKS_MAX], ready[2];
    unsigned count = 0;
    char c = 0;
    assert_int_equal(cgroup_open_tasks(g, tasks, &count, NULL), 0);
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        join(tasks, count);
        if (setresgid(id, id, id) < 0 || setresuid(id, id, id) < 0 || write(ready[1], "R", 1) != 1)
            _exit(1);
        for (;;)
            pause();
    }
    assert_int_equal(read(ready[0], &c, 1), 1);
    assert_int_equal(cgroup_attach(g, pid, NULL), 0);
    cgroup_close_tasks(tasks, count);
    close(ready[0]);
    close(ready[1]);
    return pid;
}

static int check(struct box *template, struct claim_template *known, struct cgroup *group, pid_t pid, struct err *e)
{
    scoped_fd pidfd = pidfd_open(pid, 0);
    struct claim claim = {.pid = pid,
                          .pidfd = pidfd,
                          .init = template->sandbox.pid,
                          .init_pidfd = template->sandbox.pidfd,
                          .host_uid = template->host_uid,
                          .group = group,
                          .template = known};
    return claim_check(&claim, e);
}

static void a_process_of_another_pid_namespace_is_not_adopted(void **state)
{
    (void)state;
    need_root();
    struct err e = {0};
    struct template t = start_template();
    struct box *template = boxes_find(&super.boxes, t.id);
    struct child child = adopted_child(&t);
    struct cgroup *own = boxes_find(&super.boxes, child.id)->sandbox.group, *group;
    assert_int_equal(cgroup_create(super.groups, "stranger", &template->as_template->limits, &group, &e), 0);
    pid_t stranger = start_stranger(group, template->host_uid);
    struct claim_template known = {.namespace_fd = -1};
    for (unsigned round = 0; round < 2; round++) {
        assert_int_equal(check(template, &known, own, child.pid, &e), 0);
        assert_int_equal(check(template, &known, group, stranger, &e), -EPERM);
        assert_non_null(strstr(e.text, "is not in the template's pid namespace"));
        claim_template_fini(&known); /* as before Linux 6.11, where an open namespace can't be asked */
        assert_int_equal(known.namespace_fd, -1);
    }
    kill(stranger, SIGKILL);
    waitpid(stranger, NULL, 0);
    for (unsigned i = 0; i < WAIT_MS && cgroup_remove(group) < 0; i++)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    boxes_kill(&super.boxes, child.id);
    expect_exit(&child);
    end_template(&t);
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "template") == 0)
        return be_template();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_process_that_has_not_joined_is_not_adopted),
        cmocka_unit_test(a_process_that_joined_in_part_is_not_adopted),
        cmocka_unit_test(a_pid_of_somebody_else_is_not_adopted),
        cmocka_unit_test(a_process_of_another_pid_namespace_is_not_adopted),
        cmocka_unit_test(a_child_with_an_older_process_in_its_groups_is_not_adopted),
        cmocka_unit_test(a_child_that_kept_a_capability_is_not_adopted),
        cmocka_unit_test(a_child_that_died_before_it_was_adopted_is_told),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
