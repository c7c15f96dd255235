/* SPDX-License-Identifier: Apache-2.0 */
/* Every request of a runtime in every state. */
#include "gateway/runtime_api_state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const char ID[] = "8476a536-e9f4-11e8-9739-2dfe598c3fcd";

static struct str id(void)
{
    return str_from(ID);
}

static struct runtime_api_machine in_state(enum runtime_api_state s)
{
    struct runtime_api_machine m = {.state = RUNTIME_API_OFF};
    if (s == RUNTIME_API_OFF)
        return m;
    runtime_api_machine_begin(&m);
    if (s == RUNTIME_API_INIT_FAILED)
        runtime_api_machine_init_error(&m);
    if (s >= RUNTIME_API_READY)
        runtime_api_machine_next(&m);
    if (s >= RUNTIME_API_RUNNING)
        assert_true(runtime_api_machine_deliver(&m, ID));
    if (s >= RUNTIME_API_RESPONDING)
        assert_int_equal(runtime_api_machine_respond(&m, id()), RUNTIME_API_ACCEPT);
    if (s >= RUNTIME_API_RESPONDED)
        runtime_api_machine_responded(&m);
    assert_int_equal(m.state, s);
    return m;
}

#define FORBIDDEN  RUNTIME_API_FORBIDDEN
#define INVALID_ID RUNTIME_API_INVALID_ID

static const struct {
    enum runtime_api_state state;
    enum runtime_api_answer next, respond, init_error;
    enum runtime_api_state after_next;
} table[] = {
    {RUNTIME_API_OFF, FORBIDDEN, INVALID_ID, FORBIDDEN, RUNTIME_API_OFF},
    {RUNTIME_API_STARTED, RUNTIME_API_WAIT, INVALID_ID, RUNTIME_API_ACCEPT, RUNTIME_API_READY},
    {RUNTIME_API_INIT_FAILED, FORBIDDEN, INVALID_ID, FORBIDDEN, RUNTIME_API_INIT_FAILED},
    {RUNTIME_API_READY, RUNTIME_API_WAIT, INVALID_ID, FORBIDDEN, RUNTIME_API_READY},
    {RUNTIME_API_RUNNING, RUNTIME_API_SERVE, RUNTIME_API_ACCEPT, FORBIDDEN, RUNTIME_API_RUNNING},
    {RUNTIME_API_RESPONDING, FORBIDDEN, FORBIDDEN, FORBIDDEN, RUNTIME_API_RESPONDING},
    {RUNTIME_API_RESPONDED, RUNTIME_API_WAIT, INVALID_ID, FORBIDDEN, RUNTIME_API_READY},
};

static void each_request_has_one_answer_in_each_state(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct runtime_api_machine m = in_state(table[i].state);
        assert_int_equal(runtime_api_machine_next(&m), table[i].next);
        assert_int_equal(m.state, table[i].after_next);
        m = in_state(table[i].state);
        assert_int_equal(runtime_api_machine_respond(&m, id()), table[i].respond);
        m = in_state(table[i].state);
        assert_int_equal(runtime_api_machine_init_error(&m), table[i].init_error);
    }
}

static void an_answer_counts_once_and_only_for_its_own_event(void **state)
{
    (void)state;
    struct runtime_api_machine m = in_state(RUNTIME_API_RUNNING);
    assert_int_equal(runtime_api_machine_respond(&m, str_from("8476a536-e9f4-11e8-9739-2dfe598c3fce")), INVALID_ID);
    assert_int_equal(runtime_api_machine_respond(&m, (struct str){ID, 8}), INVALID_ID);
    assert_int_equal(runtime_api_machine_respond(&m, (struct str){0}), INVALID_ID);
    assert_int_equal(m.state, RUNTIME_API_RUNNING);
    assert_int_equal(runtime_api_machine_respond(&m, id()), RUNTIME_API_ACCEPT);
    runtime_api_machine_responded(&m);
    assert_int_equal(runtime_api_machine_respond(&m, id()), INVALID_ID);
    assert_int_equal(runtime_api_machine_next(&m), RUNTIME_API_WAIT);
    assert_int_equal(runtime_api_machine_respond(&m, id()), INVALID_ID);
    assert_true(runtime_api_machine_deliver(&m, "00000000-0000-0000-0000-000000000001"));
    assert_int_equal(runtime_api_machine_respond(&m, id()), INVALID_ID);
}

static void an_event_that_came_first_goes_out_with_the_first_next(void **state)
{
    (void)state;
    struct runtime_api_machine m = in_state(RUNTIME_API_OFF);
    assert_false(runtime_api_machine_deliver(&m, ID));
    runtime_api_machine_begin(&m);
    assert_int_equal(runtime_api_machine_respond(&m, id()), INVALID_ID);
    assert_int_equal(runtime_api_machine_next(&m), RUNTIME_API_SERVE);
    assert_int_equal(m.state, RUNTIME_API_RUNNING);
}

static void the_end_of_the_process_ends_its_event_in_every_state(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct runtime_api_machine m = in_state(table[i].state);
        runtime_api_machine_end(&m);
        assert_int_equal(m.state, RUNTIME_API_OFF);
        runtime_api_machine_begin(&m);
        assert_int_equal(runtime_api_machine_respond(&m, id()), INVALID_ID);
        assert_int_equal(runtime_api_machine_next(&m), RUNTIME_API_WAIT);
        assert_true(runtime_api_state_name(table[i].state)[0]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_request_has_one_answer_in_each_state),
        cmocka_unit_test(an_answer_counts_once_and_only_for_its_own_event),
        cmocka_unit_test(an_event_that_came_first_goes_out_with_the_first_next),
        cmocka_unit_test(the_end_of_the_process_ends_its_event_in_every_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
