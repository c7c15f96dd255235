/* SPDX-License-Identifier: Apache-2.0 */
#include "os/subid.h"

#include "base/fdio.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { NUMBER = 54321 }; /* no account of any host: it is found by its number */

static int read_text(const char *text, struct subids *ids, struct err *e)
{
    char path[] = "/tmp/faasd-subid-XXXXXX";
    scoped_fd fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(fd_write_full(fd, text, strlen(text)), 0);
    int r = subid_read(path, NUMBER, ids, e);
    unlink(path);
    return r;
}

static void lines_of_the_user_are_taken_and_no_others(void **state)
{
    (void)state;
    struct subids ids;
    struct err e;
    assert_int_equal(
        read_text("root:100000:65536\n54321:200000:65536\n5432:1:1\n543211:2:2\n54321:400000:10\n", &ids, &e), 0);
    assert_int_equal(ids.count, 2);
    assert_int_equal(ids.ranges[0].first, 200000);
    assert_int_equal(ids.ranges[0].count, 65536);
    assert_int_equal(ids.ranges[1].first, 400000);
    assert_int_equal(subid_total(&ids), 65546);
}

static void the_user_is_found_by_name_as_well(void **state)
{
    (void)state;
    struct subids ids;
    struct err e;
    char path[] = "/tmp/faasd-subid-XXXXXX";
    static const char text[] = "root:100000:65536\n";
    scoped_fd fd = mkstemp(path);
    assert_int_equal(fd_write_full(fd, text, sizeof(text) - 1), 0);
    assert_int_equal(subid_read(path, 0, &ids, &e), 0);
    assert_int_equal(ids.ranges[0].first, 100000);
    unlink(path);
}

static void what_says_nothing_is_left_out(void **state)
{
    (void)state;
    static const char *const texts[] = {"",
                                        "54321\n",
                                        "54321:\n",
                                        "54321:1\n",
                                        "54321:0:5\n",
                                        "54321:5:0\n",
                                        "54321:x:5\n",
                                        "54321:5:5:5\n",
                                        "54321:-5:5\n",
                                        "54321:4294967295:2\n",
                                        "54321:18446744073709551615:2\n",
                                        " 54321:5:5\n",
                                        ":5:5\n"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct subids ids;
        struct err e;
        assert_int_equal(read_text(texts[i], &ids, &e), -ENOENT);
        assert_non_null(strstr(e.text, "gives uid 54321 none"));
    }
}

static void a_file_that_is_not_there_is_named(void **state)
{
    (void)state;
    struct subids ids;
    struct err e;
    assert_true(subid_read("/nonexistent/subuid", NUMBER, &ids, &e) < 0);
    assert_non_null(strstr(e.text, "/nonexistent/subuid"));
}

static void more_ranges_than_there_is_room_for_are_left_out(void **state)
{
    (void)state;
    char text[1024] = "";
    struct subids ids;
    struct err e;
    for (unsigned i = 0; i < SUBID_RANGES_MAX + 3; i++)
        strcat(text, "54321:1000:10\n");
    assert_int_equal(read_text(text, &ids, &e), 0);
    assert_int_equal(ids.count, SUBID_RANGES_MAX);
}

static void a_cut_keeps_the_first_ids(void **state)
{
    (void)state;
    const struct subids whole = {.count = 2, .ranges = {{1000, 10}, {5000, 10}}};
    static const struct {
        uint32_t max, total;
        unsigned count;
    } rows[] = {{30, 20, 2}, {20, 20, 2}, {15, 15, 2}, {10, 10, 1}, {3, 3, 1}, {0, 0, 0}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct subids s = whole;
        subid_cut(&s, rows[i].max);
        assert_int_equal(subid_total(&s), rows[i].total);
        assert_int_equal(s.count, rows[i].count);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_of_the_user_are_taken_and_no_others),
        cmocka_unit_test(the_user_is_found_by_name_as_well),
        cmocka_unit_test(what_says_nothing_is_left_out),
        cmocka_unit_test(a_file_that_is_not_there_is_named),
        cmocka_unit_test(more_ranges_than_there_is_room_for_are_left_out),
        cmocka_unit_test(a_cut_keeps_the_first_ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
