/* SPDX-License-Identifier: Apache-2.0 */
/* Driven by a clock of the test's own. */
#include "gateway/throttle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define SECOND UINT64_C(1000000000)

static struct throttle t;
static uint64_t now;

static int set_up(void **state)
{
    (void)state;
    memset(&t, 0, sizeof(t));
    throttle_init(&t);
    now = 1000 * SECOND;
    return 0;
}

static struct address at(const char *text)
{
    struct address a;
    assert_true(address_parse(str_from(text), &a));
    return a;
}

static struct throttle_verdict slip(const char *address)
{
    struct address a = at(address);
    return throttle_count(&t, &a, now, 6);
}

static void so_many_a_minute_and_no_more(void **state)
{
    (void)state;
    struct address a = at("192.0.2.1");
    for (int i = 0; i < 6; i++) {
        assert_false(throttle_is_over(&t, &a, now, 6));
        assert_int_equal(slip("192.0.2.1").retry_s, 0);
    }
    assert_true(throttle_is_over(&t, &a, now, 6));
    struct throttle_verdict v = slip("192.0.2.1");
    assert_true(v.retry_s > 0 && v.retry_s <= 11);
    assert_true(v.crossed);
    assert_false(slip("192.0.2.1").crossed); /* said once */
    /* Retry-After is true */
    now += v.retry_s * SECOND;
    assert_int_equal(slip("192.0.2.1").retry_s, 0);
    assert_int_not_equal(slip("192.0.2.1").retry_s, 0);
}

static void what_is_refused_does_not_add_up(void **state)
{
    (void)state;
    for (int i = 0; i < 1000; i++)
        slip("192.0.2.1");
    now += 61 * SECOND;
    for (int i = 0; i < 6; i++)
        assert_int_equal(slip("192.0.2.1").retry_s, 0);
    struct throttle_verdict v = slip("192.0.2.1");
    assert_true(v.retry_s && v.crossed); /* and is said again */
}

static void addresses_do_not_answer_for_each_other(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++)
        slip("192.0.2.1");
    assert_int_equal(slip("192.0.2.2").retry_s, 0);
    assert_int_equal(slip("::1").retry_s, 0);
    /* an IPv6 client has its whole /64 */
    for (int i = 0; i < 6; i++) {
        char text[64];
        snprintf(text, sizeof(text), "2001:db8:0:1::%x", i + 1);
        assert_int_equal(slip(text).retry_s, 0);
    }
    assert_int_not_equal(slip("2001:db8:0:1:ffff::1").retry_s, 0);
    assert_int_equal(slip("2001:db8:0:2::1").retry_s, 0);
    struct address local = {.family = ADDRESS_UNIX};
    assert_int_equal(throttle_count(&t, &local, now, 6).retry_s, 0);
}

static void a_flood_of_addresses_takes_the_place_of_small_sinners(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++)
        slip("203.0.113.1");
    for (unsigned i = 0; i < 100000; i++) {
        char text[64];
        snprintf(text, sizeof(text), "10.%u.%u.%u", i >> 16, i >> 8 & 255, i & 255);
        slip(text);
    }
    assert_int_not_equal(slip("203.0.113.1").retry_s, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(so_many_a_minute_and_no_more, set_up),
        cmocka_unit_test_setup(what_is_refused_does_not_add_up, set_up),
        cmocka_unit_test_setup(addresses_do_not_answer_for_each_other, set_up),
        cmocka_unit_test_setup(a_flood_of_addresses_takes_the_place_of_small_sinners, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
