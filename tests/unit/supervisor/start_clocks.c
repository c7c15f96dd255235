/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/start_clocks.h"

#include "sandbox/plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static struct message_steps_are told(const struct start_clocks *c, uint64_t instance)
{
    struct message_steps_are m = {0};
    start_clocks_tell(c, instance, &m);
    return m;
}

static void a_child_marks_steps_that_its_parent_reads(void **state)
{
    (void)state;
    struct start_clocks c;
    assert_int_equal(start_clocks_init(&c), 0);
    struct step_clock *k = start_clocks_take(&c, 7);
    step_clock_mark_parent(k, "plan");
    pid_t pid = fork();
    if (pid == 0) {
        const struct step tmp = {.op = STEP_TMPFS, .path = "/tmp"};
        const struct step deep = {.op = STEP_ATTACH, .path = "/a/path/that/is/longer/than/there/is/room"};
        step_clock_begin_child(k);
        step_clock_mark_child(k, &tmp);
        step_clock_mark_child(k, &deep);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    step_clock_mark_exec(k);
    assert_int_equal(told(&c, 7).sandbox_count, 0); /* it may still be written to */
    start_clocks_leave(&c, &k);
    assert_null(k);
    struct message_steps_are m = told(&c, 7);
    assert_int_equal(m.supervisor_count, 1);
    assert_int_equal(m.sandbox_count, 3);
    assert_string_equal(m.steps[0].text, "plan");
    assert_string_equal(m.steps[1].text, "tmpfs /tmp");
    assert_string_equal(m.steps[2].text, "mount /a/path/that/is/longe");
    assert_string_equal(m.steps[3].text, "exec");
    assert_true(m.steps[1].at_ns >= m.steps[0].ns);
    assert_int_equal(m.steps[2].at_ns, m.steps[1].at_ns + m.steps[1].ns);
    start_clocks_fini(&c);
}

static void a_clock_that_a_child_may_write_to_is_given_to_nobody_else(void **state)
{
    (void)state;
    struct start_clocks c;
    struct step_clock *k[START_CLOCKS_MAX];
    assert_int_equal(start_clocks_init(&c), 0);
    for (unsigned i = 0; i < START_CLOCKS_MAX; i++) {
        k[i] = start_clocks_take(&c, i + 1);
        assert_non_null(k[i]);
        for (unsigned other = 0; other < i; other++)
            assert_ptr_not_equal(k[i], k[other]);
    }
    assert_null(start_clocks_take(&c, 100));
    step_clock_mark_parent(NULL, "nothing happens");
    struct step_clock *fourth = k[3];
    start_clocks_leave(&c, &k[3]);
    assert_ptr_equal(start_clocks_take(&c, 101), fourth);
    assert_int_equal(told(&c, 4).supervisor_count, 0);
    start_clocks_fini(&c);
}

static void more_steps_than_there_is_room_for_are_left_out(void **state)
{
    (void)state;
    struct start_clocks c;
    const struct step s = {.op = STEP_RLIMIT};
    assert_int_equal(start_clocks_init(&c), 0);
    struct step_clock *k = start_clocks_take(&c, 1);
    for (int i = 0; i < 200; i++) {
        step_clock_mark_parent(k, "part");
        step_clock_mark_child(k, &s);
    }
    start_clocks_leave(&c, &k);
    assert_int_equal(told(&c, 1).supervisor_count, STEP_CLOCK_PARENT_MAX);
    assert_int_equal(told(&c, 1).sandbox_count, STEP_CLOCK_CHILD_MAX);
    start_clocks_fini(&c);
}

static void the_first_children_of_a_template_have_its_steps(void **state)
{
    (void)state;
    struct start_clocks c;
    assert_int_equal(start_clocks_init(&c), 0);
    struct step_clock *k = start_clocks_take(&c, 1);
    step_clock_mark_parent(k, "plan");
    start_clocks_leave(&c, &k);
    start_clocks_note_child(&c, 9, 10); /* of one that is not kept */
    for (uint64_t child = 2; child < 2 + START_CLOCKS_CHILDREN + 1; child++)
        start_clocks_note_child(&c, 1, child);
    assert_int_equal(told(&c, 2).supervisor_count, 1);
    assert_int_equal(told(&c, 1 + START_CLOCKS_CHILDREN).supervisor_count, 1);
    assert_int_equal(told(&c, 2 + START_CLOCKS_CHILDREN).supervisor_count, 0);
    assert_int_equal(told(&c, 10).supervisor_count, 0);
    for (unsigned i = 0; i < START_CLOCKS_MAX; i++) {
        k = start_clocks_take(&c, 100 + i);
        start_clocks_leave(&c, &k);
    }
    assert_int_equal(told(&c, 2).supervisor_count, 0);
    start_clocks_fini(&c);
}

static void a_new_gateway_hears_nothing_of_the_last_ones_instances(void **state)
{
    (void)state;
    struct start_clocks c;
    assert_int_equal(start_clocks_init(&c), 0);
    struct step_clock *k = start_clocks_take(&c, 1);
    step_clock_mark_parent(k, "plan");
    start_clocks_leave(&c, &k);
    assert_int_equal(told(&c, 1).supervisor_count, 1);
    start_clocks_forget(&c);
    assert_int_equal(told(&c, 1).supervisor_count, 0);
    start_clocks_fini(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_child_marks_steps_that_its_parent_reads),
        cmocka_unit_test(a_clock_that_a_child_may_write_to_is_given_to_nobody_else),
        cmocka_unit_test(more_steps_than_there_is_room_for_are_left_out),
        cmocka_unit_test(the_first_children_of_a_template_have_its_steps),
        cmocka_unit_test(a_new_gateway_hears_nothing_of_the_last_ones_instances),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
