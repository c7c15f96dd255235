/* SPDX-License-Identifier: Apache-2.0 */
/* fmt, err, str, buf, id, clock. */
#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fmt.h"
#include "base/id.h"
#include "base/str.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void formats_print_as_printf_would(void **state)
{
    (void)state;
    char out[64];
    assert_int_equal(fmt_to(out, sizeof(out), "%s=%d/%u %x %lu%% %c %.*s%.1s", "a", -5, 7u, 255u,
                            18446744073709551615ul, 'z', 2, "xyz", "zzz"),
                     37);
    assert_string_equal(out, "a=-5/7 ff 18446744073709551615% z xyz");
}

static void a_long_text_is_cut_and_terminated(void **state)
{
    (void)state;
    char out[5];
    assert_int_equal(fmt_to(out, sizeof(out), "%s", "abcdefgh"), 4);
    assert_string_equal(out, "abcd");
}

static void an_error_names_operation_object_and_errno(void **state)
{
    (void)state;
    struct err e;
    assert_int_equal(err_set(&e, EPERM, "mount '%s'", "/proc"), -EPERM);
    assert_string_equal(e.text, "mount '/proc': EPERM");
    assert_int_equal(err_wrap(&e, "start '%s'", "hello"), -EPERM);
    assert_string_equal(e.text, "start 'hello': mount '/proc': EPERM");
    assert_int_equal(e.code, EPERM);
}

static void cutting_tells_whether_the_mark_was_there(void **state)
{
    (void)state;
    struct str rest;
    bool found;
    struct str head = str_cut(str_from("a:b:c"), ':', &rest, &found);
    assert_true(found && str_is(head, "a") && str_is(rest, "b:c"));
    head = str_cut(str_from("abc"), ':', &rest, &found);
    assert_true(!found && str_is(head, "abc") && rest.n == 0);
}

static void a_copy_that_does_not_fit_or_holds_a_nul_is_refused(void **state)
{
    (void)state;
    char out[4];
    assert_true(str_copy(str_from("abc"), out, sizeof(out)));
    assert_false(str_copy(str_from("abcd"), out, sizeof(out)));
    assert_string_equal(out, "");
    assert_false(str_copy((struct str){"a\0b", 3}, out, sizeof(out)));
}

static void numbers_are_digits_only(void **state)
{
    (void)state;
    uint64_t v;
    assert_true(str_to_u64(str_from("18446744073709551615"), &v) && v == UINT64_MAX);
    static const char *const BAD[] = {"", "18446744073709551616", "+1", "-1", " 1", "1 ", "0x1", "1_0"};
    for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++)
        assert_false(str_to_u64(str_from(BAD[i]), &v));
}

static void the_nearest_word_is_the_typo(void **state)
{
    (void)state;
    assert_int_equal(str_distance("memroy", "memory"), 2);
    assert_true(str_distance("memroy", "memory") <= str_slips("memroy"));
    assert_true(str_distance("body", "logs") > str_slips("body"));
    assert_true(str_distance("", "a") <= str_slips("")); /* whoever guesses asks for more than that */
    assert_int_equal(str_distance("", "abc"), 3);
    assert_int_equal(str_distance("same", "same"), 0);
}

static void a_buffer_never_grows_beyond_its_limit(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 10);
    assert_int_equal(buf_add(&b, "12345678", 8), 0);
    assert_int_equal(buf_add(&b, "901", 3), -EMSGSIZE);
    assert_int_equal(b.len, 8);
    assert_int_equal(buf_add(&b, "90", 2), 0);
    buf_drop_front(&b, 9);
    assert_true(str_is(buf_str(&b), "0"));
    buf_fini(&b);
}

static void uuids_are_version_4_and_differ(void **state)
{
    (void)state;
    char a[ID_UUID_MAX];
    char b[ID_UUID_MAX];
    for (int i = 0; i < 200; i++) {
        id_uuid(a);
        id_uuid(b);
        assert_string_not_equal(a, b);
        assert_int_equal(strlen(a), 36);
        assert_int_equal(a[14], '4');
        assert_non_null(strchr("89ab", a[19]));
    }
}

static void dates_are_those_of_the_calendar(void **state)
{
    (void)state;
    static const struct {
        uint64_t ms;
        const char *text;
    } CASES[] = {
        {0, "1970-01-01T00:00:00.000Z"},
        {951782399999, "2000-02-28T23:59:59.999Z"},
        {951782400000, "2000-02-29T00:00:00.000Z"},
        {1709251199000, "2024-02-29T23:59:59.000Z"},
        {4107542400000, "2100-03-01T00:00:00.000Z"},
    };
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        char out[CLOCK_RFC3339_MAX];
        clock_format_rfc3339(CASES[i].ms, out);
        assert_string_equal(out, CASES[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(formats_print_as_printf_would),
        cmocka_unit_test(a_long_text_is_cut_and_terminated),
        cmocka_unit_test(an_error_names_operation_object_and_errno),
        cmocka_unit_test(cutting_tells_whether_the_mark_was_there),
        cmocka_unit_test(a_copy_that_does_not_fit_or_holds_a_nul_is_refused),
        cmocka_unit_test(numbers_are_digits_only),
        cmocka_unit_test(the_nearest_word_is_the_typo),
        cmocka_unit_test(a_buffer_never_grows_beyond_its_limit),
        cmocka_unit_test(uuids_are_version_4_and_differ),
        cmocka_unit_test(dates_are_those_of_the_calendar),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
