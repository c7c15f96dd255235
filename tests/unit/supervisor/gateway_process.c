/* SPDX-License-Identifier: Apache-2.0 */
#include "supervisor/gateway_process.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

static void one_early_death_costs_no_pause_and_many_cost_two_seconds(void **state)
{
    (void)state;
    assert_int_equal(gateway_process_pause_ms(0), 0);
    assert_int_equal(gateway_process_pause_ms(1), 0);
    assert_int_equal(gateway_process_pause_ms(2), 50);
    assert_int_equal(gateway_process_pause_ms(3), 100);
    assert_int_equal(gateway_process_pause_ms(7), 1600);
    assert_int_equal(gateway_process_pause_ms(8), 2000);
    assert_int_equal(gateway_process_pause_ms(4000000000U), 2000);
}

static void the_memfd_reads_from_its_start_and_never_changes(void **state)
{
    (void)state;
    struct err e;
    int fd = gateway_process_make_memfd("test", "hello", 5, &e);
    assert_true(fd >= 0);
    char text[8];
    assert_int_equal(read(fd, text, sizeof(text)), 5);
    assert_memory_equal(text, "hello", 5);
    assert_int_equal(pwrite(fd, "j", 1, 0), -1);
    assert_int_equal(ftruncate(fd, 2), -1);
    assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_early_death_costs_no_pause_and_many_cost_two_seconds),
        cmocka_unit_test(the_memfd_reads_from_its_start_and_never_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
