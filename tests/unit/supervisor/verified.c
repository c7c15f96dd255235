/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/verified.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static void only_what_was_added_is_verified(void **state)
{
    (void)state;
    struct verified v;
    assert_int_equal(verified_init(&v), 0);
    assert_false(verified_has(&v, MESSAGE_SPAWN_FUNCTION, ""));
    assert_false(verified_has(&v, MESSAGE_SPAWN_FUNCTION, "aa"));
    verified_add(&v, MESSAGE_SPAWN_FUNCTION, "aa");
    assert_true(verified_has(&v, MESSAGE_SPAWN_FUNCTION, "aa"));
    assert_false(verified_has(&v, MESSAGE_SPAWN_FUNCTION, "ab"));
    verified_fini(&v);
}

static void a_template_is_verified_apart_from_its_function(void **state)
{
    struct verified v;
    struct message_spawn plain = {.kind = MESSAGE_SPAWN_FUNCTION};
    struct message_spawn template = {.kind = MESSAGE_SPAWN_FUNCTION, .slots = 8};
    (void)state;
    assert_int_equal(verified_init(&v), 0);
    verified_add(&v, verified_plan(&plain), "aa");
    assert_false(verified_has(&v, verified_plan(&template), "aa"));
    verified_add(&v, verified_plan(&template), "aa");
    assert_true(verified_has(&v, verified_plan(&template), "aa"));
    verified_fini(&v);
}

static void a_shell_is_verified_apart_from_its_function(void **state)
{
    (void)state;
    struct verified v;
    assert_int_equal(verified_init(&v), 0);
    verified_add(&v, MESSAGE_SPAWN_FUNCTION, "aa");
    assert_false(verified_has(&v, MESSAGE_SPAWN_SHELL, "aa"));
    verified_fini(&v);
}

static void more_revisions_than_slots_are_forgotten_never_confused(void **state)
{
    (void)state;
    struct verified v;
    char name[32];
    assert_int_equal(verified_init(&v), 0);
    for (int i = 0; i < 5 * VERIFIED_SLOTS; i++) {
        snprintf(name, sizeof(name), "%d", i);
        assert_false(verified_has(&v, MESSAGE_SPAWN_FUNCTION, name));
        verified_add(&v, MESSAGE_SPAWN_FUNCTION, name);
        assert_true(verified_has(&v, MESSAGE_SPAWN_FUNCTION, name));
    }
    verified_fini(&v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_was_added_is_verified),
        cmocka_unit_test(a_template_is_verified_apart_from_its_function),
        cmocka_unit_test(a_shell_is_verified_apart_from_its_function),
        cmocka_unit_test(more_revisions_than_slots_are_forgotten_never_confused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
