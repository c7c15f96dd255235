/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/trace_context.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const char PARENT[] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

static void a_parent_is_read_and_printed_again(void **state)
{
    struct trace_ids ids;
    char out[TRACE_PARENT_MAX];
    (void)state;
    assert_true(trace_parse_parent(str_from(PARENT), &ids));
    trace_print_parent(&ids, out);
    assert_string_equal(out, PARENT);
}

static void what_is_no_parent_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "00",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-011",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what",
        "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "0g-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331-01",
        "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01what",
    };
    struct trace_ids ids;
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (trace_parse_parent(str_from(bad[i]), &ids))
            fail_msg("'%s' passed", bad[i]);
}

static void a_parent_cut_anywhere_is_none(void **state)
{
    struct trace_ids ids;
    (void)state;
    for (size_t n = 0; n < sizeof(PARENT) - 1; n++)
        assert_false(trace_parse_parent((struct str){PARENT, n}, &ids));
}

static void a_later_version_is_read_as_far_as_it_is_known(void **state)
{
    struct trace_ids ids;
    char out[TRACE_PARENT_MAX];
    (void)state;
    assert_true(trace_parse_parent(
        STR_LITERAL("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-ff-what-the-future-brings"), &ids));
    trace_print_parent(&ids, out);
    assert_string_equal(out, PARENT); /* of the flags only "sampled" is known */
}

static void an_xray_header_is_read_in_any_order(void **state)
{
    static const char *const good[] = {
        "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1",
        "Sampled=1;Parent=53995c3f42cd8ad8;Root=1-5759e988-bd862e3fe1be46a994272793",
        ("Self=1-67891234-12456789abcdef012345678;Root=1-5759e988-bd862e3fe1be46a994272793; Parent=53995c3f42cd8ad8; "
         "Sampled=1;Lineage=a:1"),
    };
    (void)state;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct trace_ids ids;
        char out[TRACE_XRAY_MAX];
        assert_true(trace_parse_xray(str_from(good[i]), &ids));
        assert_int_equal(trace_print_xray(&ids, out), strlen(good[0]));
        assert_string_equal(out, good[0]);
    }
}

static void an_xray_header_without_a_parent_has_no_span(void **state)
{
    static const uint8_t none[8];
    struct trace_ids ids;
    (void)state;
    assert_true(trace_parse_xray(STR_LITERAL("Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=?"), &ids));
    assert_memory_equal(ids.span, none, sizeof(none));
    assert_int_equal(ids.flags, 0);
}

static void what_is_no_xray_header_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "Parent=53995c3f42cd8ad8",
        "Root=2-5759e988-bd862e3fe1be46a994272793",
        "Root=1-5759e988-bd862e3fe1be46a99427279",
        "Root=1-5759e98g-bd862e3fe1be46a994272793",
        "Root=1-00000000-000000000000000000000000",
        "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad",
        "Root=1-5759e988-bd862e3fe1be46a994272793;Root=1-5759e988-bd862e3fe1be46a994272793",
    };
    struct trace_ids ids;
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (trace_parse_xray(str_from(bad[i]), &ids))
            fail_msg("'%s' passed", bad[i]);
}

static void a_state_is_passed_on_only_when_it_is_one(void **state)
{
    char long_one[TRACE_STATE_MAX + 2];
    (void)state;
    assert_true(trace_state_is_valid(STR_LITERAL("congo=t61rcWkgMzE")));
    assert_true(trace_state_is_valid(STR_LITERAL("rojo=00f067aa0ba902b7,, congo=t61rcWkgMzE")));
    assert_true(trace_state_is_valid((struct str){0}));
    assert_false(trace_state_is_valid(STR_LITERAL("congo")));
    assert_false(trace_state_is_valid(STR_LITERAL("=x")));
    assert_false(trace_state_is_valid(STR_LITERAL("a=b\x01")));
    memset(long_one, 'a', sizeof(long_one));
    long_one[1] = '=';
    assert_true(trace_state_is_valid((struct str){long_one, TRACE_STATE_MAX}));
    assert_false(trace_state_is_valid((struct str){long_one, TRACE_STATE_MAX + 1}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_parent_is_read_and_printed_again),
        cmocka_unit_test(what_is_no_parent_is_refused),
        cmocka_unit_test(a_parent_cut_anywhere_is_none),
        cmocka_unit_test(a_later_version_is_read_as_far_as_it_is_known),
        cmocka_unit_test(an_xray_header_is_read_in_any_order),
        cmocka_unit_test(an_xray_header_without_a_parent_has_no_span),
        cmocka_unit_test(what_is_no_xray_header_is_refused),
        cmocka_unit_test(a_state_is_passed_on_only_when_it_is_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
