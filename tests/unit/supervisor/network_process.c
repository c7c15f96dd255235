/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/network_process.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void each_death_in_a_row_doubles_the_pause_up_to_a_minute(void **state)
{
    (void)state;
    const unsigned pauses[] = {1000, 2000, 4000, 8000, 16000, 32000, 64000, 64000, 64000};
    unsigned deaths = 0;
    assert_int_equal(network_process_pause_ms(deaths), 500);
    for (unsigned i = 0; i < sizeof(pauses) / sizeof(pauses[0]); i++) {
        deaths = network_process_count_death(deaths, 0);
        assert_int_equal(network_process_pause_ms(deaths), pauses[i]);
    }
}

static void one_that_lived_for_a_second_begins_a_new_row(void **state)
{
    (void)state;
    assert_int_equal(network_process_count_death(5, 999), 6);
    assert_int_equal(network_process_count_death(5, 1000), 0);
    assert_int_equal(network_process_count_death(7, UINT64_MAX), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_death_in_a_row_doubles_the_pause_up_to_a_minute),
        cmocka_unit_test(one_that_lived_for_a_second_begins_a_new_row),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
