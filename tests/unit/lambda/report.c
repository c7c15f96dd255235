/* SPDX-License-Identifier: Apache-2.0 */
#include "lambda/report.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const struct lambda_report WARM = {
    .id = "c0ffee00-0000-4000-8000-000000000001",
    .version = "$LATEST",
    .run_us = 79670,
    .memory_bytes = 128 << 20,
    .peak_bytes = (72 << 20) + 1,
};

static void lines_are_those_of_aws(void **state)
{
    char out[LAMBDA_REPORT_MAX];
    struct lambda_report r = WARM;
    (void)state;
    size_t n = lambda_report_start(&r, out);
    assert_int_equal(n, strlen(out));
    assert_string_equal(out, "START RequestId: c0ffee00-0000-4000-8000-000000000001 Version: $LATEST\n");
    lambda_report_end(&r, out);
    assert_string_equal(out, "END RequestId: c0ffee00-0000-4000-8000-000000000001\n");
    n = lambda_report_print(&r, out);
    assert_int_equal(n, strlen(out));
    assert_string_equal(
        out, "REPORT RequestId: c0ffee00-0000-4000-8000-000000000001\tDuration: 79.67 ms\tBilled Duration: 80 ms\t"
             "Memory Size: 128 MB\tMax Memory Used: 73 MB\t\n");
}

static void a_cold_start_and_a_failure_are_told(void **state)
{
    char out[LAMBDA_REPORT_MAX];
    struct lambda_report r = WARM;
    (void)state;
    r.init_us = 112340;
    r.status = "timeout";
    lambda_report_print(&r, out);
    assert_string_equal(strstr(out, "Billed"), "Billed Duration: 193 ms\tMemory Size: 128 MB\tMax Memory Used: 73 MB\t"
                                               "Init Duration: 112.34 ms\tStatus: timeout\n");
    r.init_us = 0;
    r.status = "error";
    r.error_type = "Runtime.ExitError";
    lambda_report_print(&r, out);
    assert_non_null(strstr(out, "73 MB\tStatus: error\tError Type: Runtime.ExitError\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_those_of_aws),
        cmocka_unit_test(a_cold_start_and_a_failure_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
