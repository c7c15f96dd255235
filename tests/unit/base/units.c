/* SPDX-License-Identifier: Apache-2.0 */
#include "base/units.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void sizes_are_read_as_people_write_them(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t bytes;
    } CASES[] = {
        {"0", 0},
        {"1B", 1},
        {"64K", 65536},
        {"64k", 65536},
        {"64Ki", 65536},
        {"64KiB", 65536},
        {"128M", 134217728},
        {"128MB", 134217728},
        {"128Mi", 134217728},
        {"1G", 1073741824},
        {"2T", 2199023255552},
    };
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        uint64_t bytes = 1;
        assert_int_equal(units_parse_size(str_from(CASES[i].text), &bytes, NULL), 0);
        assert_int_equal(bytes, CASES[i].bytes);
    }
}

static void a_bare_size_is_refused_with_what_was_meant(void **state)
{
    (void)state;
    struct err e;
    uint64_t bytes = 7;
    assert_true(units_parse_size(str_from("128"), &bytes, &e) < 0);
    assert_string_equal(e.text, "'128' has no unit: did you mean 128M?");
    assert_int_equal(bytes, 7);
}

static void nonsense_sizes_are_refused(void **state)
{
    (void)state;
    static const char *const CASES[] = {
        "", "M", "-1M", "1.5M", "1X", "1MBB", "1 M", "99999999999999999999M", "9000000T", "0x10M", "1Kx"};
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        uint64_t bytes = 7;
        assert_true(units_parse_size(str_from(CASES[i]), &bytes, NULL) < 0);
        assert_int_equal(bytes, 7);
    }
}

static void times_are_read_as_people_write_them(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t ms;
    } CASES[] = {{"0", 0},        {"250ms", 250},   {"3s", 3000},    {"1m30s", 90000},
                 {"2h", 7200000}, {"1d", 86400000}, {"1m5ms", 60005}};
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        uint64_t ms = 1;
        assert_int_equal(units_parse_time(str_from(CASES[i].text), &ms, NULL), 0);
        assert_int_equal(ms, CASES[i].ms);
    }
}

static void a_bare_time_is_refused_with_what_was_meant(void **state)
{
    (void)state;
    struct err e;
    uint64_t ms = 7;
    assert_true(units_parse_time(str_from("30"), &ms, &e) < 0);
    assert_string_equal(e.text, "'30' has no unit: did you mean 30s?");
    static const char *const CASES[] = {"", "s", "3x", "3s4", "-3s", "1m30", "99999999999999999999s", "9999999999999d"};
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++)
        assert_true(units_parse_time(str_from(CASES[i]), &ms, NULL) < 0);
    assert_int_equal(ms, 7);
}

static void printing_and_reading_give_the_same(void **state)
{
    (void)state;
    static const uint64_t VALUES[] = {0, 1, 1023, 1024, 1500, 65536, 134217728, 1073741824, 6291456};
    for (size_t i = 0; i < sizeof(VALUES) / sizeof(VALUES[0]); i++) {
        char text[UNITS_TEXT_MAX];
        uint64_t back = 1;
        units_format_size(VALUES[i], text);
        assert_int_equal(units_parse_size(str_from(text), &back, NULL), 0);
        assert_int_equal(back, VALUES[i]);
        units_format_time(VALUES[i], text);
        assert_int_equal(units_parse_time(str_from(strcmp(text, "0s") == 0 ? "0" : text), &back, NULL), 0);
        assert_int_equal(back, VALUES[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_are_read_as_people_write_them),
        cmocka_unit_test(a_bare_size_is_refused_with_what_was_meant),
        cmocka_unit_test(nonsense_sizes_are_refused),
        cmocka_unit_test(times_are_read_as_people_write_them),
        cmocka_unit_test(a_bare_time_is_refused_with_what_was_meant),
        cmocka_unit_test(printing_and_reading_give_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
