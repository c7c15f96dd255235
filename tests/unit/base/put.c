/* SPDX-License-Identifier: Apache-2.0 */
#include "base/put.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void expect(uint64_t value, unsigned decimals, const char *text)
{
    char out[64];
    char *end = put_decimal(out, value, decimals);
    *end = '\0';
    assert_string_equal(out, text);
}

static void a_point_stands_before_the_last_digits(void **state)
{
    (void)state;
    expect(0, 0, "0");
    expect(0, 3, "0.000");
    expect(7, 3, "0.007");
    expect(999, 3, "0.999");
    expect(1000, 3, "1.000");
    expect(1234567, 6, "1.234567");
    expect(UINT64_MAX, 0, "18446744073709551615");
    expect(UINT64_MAX, 6, "18446744073709.551615");
}

static void pieces_follow_each_other(void **state)
{
    (void)state;
    char out[64];
    char *to = PUT_LITERAL(out, "a=");
    to = put_number(to, 12);
    to = put_text(to, ", b");
    *to = '\0';
    assert_string_equal(out, "a=12, b");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_point_stands_before_the_last_digits),
        cmocka_unit_test(pieces_follow_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
