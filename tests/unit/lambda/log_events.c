/* SPDX-License-Identifier: Apache-2.0 */
/* Names of streams, and the order of events. */
#include "lambda/log_events.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void a_streams_name_is_read_back(void **state)
{
    struct log_request request = {.instance = 7, .version = 12};
    struct log_snapshot s = {.function = "hello", .requests = &request, .count = 1};
    static const uint64_t days[] = {0, 58, 59, 60, 11016, 11017, 20778, 47482};
    (void)state;
    for (size_t i = 0; i < sizeof(days) / sizeof(days[0]); i++) {
        char name[LOG_EVENTS_STREAM_MAX];
        uint64_t day, instance;
        const struct log_event event = {.day = days[i], .instance = 7};
        log_events_print_stream(&s, &event, name);
        assert_non_null(strstr(name, "/[12]"));
        assert_true(log_events_parse_stream(str_from(name), &day, &instance));
        assert_int_equal(day, days[i]);
        assert_int_equal(instance, 7);
    }
}

static void what_is_no_streams_name_is_refused(void **state)
{
    static const char *const names[] = {"",
                                        "2026/11/21/[1]",
                                        "2026/11/21/[1]0000000000000000000000000000000g",
                                        "2026-11-21/[1]00000000000000000000000000000007",
                                        "2026/13/21/[1]00000000000000000000000000000007",
                                        "2026/11/21/(1]00000000000000000000000000000007",
                                        "2026/11/21/[100000000000000000000000000000007",
                                        "2026/11/xx/[1]00000000000000000000000000000007"};
    uint64_t day, instance;
    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        assert_false(log_events_parse_stream(str_from(names[i]), &day, &instance));
}

static void places_are_ordered_by_time_then_kind_then_number(void **state)
{
    static const struct log_place places[] = {{1, 2, 9}, {2, 0, 1}, {2, 0, 2}, {2, 1, 1}, {2, 2, 1}, {3, 0, 1}};
    const size_t count = sizeof(places) / sizeof(places[0]);
    (void)state;
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < count; k++)
            assert_int_equal(log_place_compare(&places[i], &places[k]), i < k ? -1 : i > k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_streams_name_is_read_back),
        cmocka_unit_test(what_is_no_streams_name_is_refused),
        cmocka_unit_test(places_are_ordered_by_time_then_kind_then_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
