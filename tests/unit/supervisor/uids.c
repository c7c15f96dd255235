/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/uids.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include <cmocka.h>

static void no_id_is_given_twice_while_it_lives(void **state)
{
    (void)state;
    struct uids u;
    bool seen[200] = {false};
    assert_int_equal(uids_init(&u, 1000, 200), 0);
    for (int i = 0; i < 200; i++) {
        uint32_t id = uids_take(&u);
        assert_in_range(id, 1000, 1199);
        assert_false(seen[id - 1000]);
        seen[id - 1000] = true;
    }
    assert_int_equal(uids_take(&u), 0);
    uids_give_back(&u, 1077);
    assert_int_equal(uids_take(&u), 1077);
    assert_int_equal(uids_take(&u), 0);
    uids_fini(&u);
}

static void a_freed_id_comes_round_last(void **state)
{
    (void)state;
    struct uids u;
    assert_int_equal(uids_init(&u, 500, 3), 0);
    assert_int_equal(uids_take(&u), 500);
    uids_give_back(&u, 500);
    assert_int_equal(uids_take(&u), 501);
    assert_int_equal(uids_take(&u), 502);
    assert_int_equal(uids_take(&u), 500);
    uids_fini(&u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_id_is_given_twice_while_it_lives),
        cmocka_unit_test(a_freed_id_comes_round_last),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
