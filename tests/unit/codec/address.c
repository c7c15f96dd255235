/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/address.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void addresses_are_read_as_proxies_write_them(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out; /* NULL: none */
    } rows[] = {
        {"192.0.2.7", "192.0.2.7"},
        {"192.0.2.7:4711", "192.0.2.7"},
        {"::1", "::1"},
        {"[::1]", "::1"},
        {"[2001:DB8::1]:443", "2001:db8::1"},
        {"::ffff:192.0.2.7", "192.0.2.7"},
        {"[::ffff:192.0.2.7]:1", "192.0.2.7"},
        {"", NULL},
        {"unknown", NULL},
        {"_hidden", NULL},
        {"192.0.2", NULL},
        {"192.0.2.7:", NULL},
        {"192.0.2.7:x", NULL},
        {"192.0.2.7:65536", NULL},
        {"192.0.2.07x", NULL},
        {"[::1", NULL},
        {"[::1]x", NULL},
        {"[::1]:", NULL},
        {"[192.0.2.7]", NULL},
        {" 192.0.2.7", NULL},
        {"fe80::1%eth0", NULL},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct address a = {0};
        char text[ADDRESS_RANGE_TEXT_MAX];
        bool good = address_parse(str_from(rows[i].in), &a);
        if (good != (rows[i].out != NULL))
            fail_msg("'%s'", rows[i].in);
        if (!good)
            continue;
        address_print(&a, text);
        assert_string_equal(text, rows[i].out);
    }
}

static bool is_in(const char *address, const char *range)
{
    struct address a;
    struct address_range r;
    assert_true(address_parse(str_from(address), &a));
    assert_true(address_parse_range(str_from(range), &r));
    return address_is_in(&a, &r);
}

static void a_range_holds_what_its_prefix_says(void **state)
{
    (void)state;
    assert_true(is_in("10.255.0.1", "10.0.0.0/8"));
    assert_false(is_in("11.0.0.1", "10.0.0.0/8"));
    assert_true(is_in("192.0.2.129", "192.0.2.128/25"));
    assert_false(is_in("192.0.2.127", "192.0.2.128/25"));
    assert_true(is_in("192.0.2.7", "192.0.2.7"));
    assert_false(is_in("192.0.2.8", "192.0.2.7/32"));
    assert_true(is_in("203.0.113.1", "0.0.0.0/0"));
    assert_false(is_in("::1", "0.0.0.0/0"));
    assert_true(is_in("2001:db8:1::1", "2001:db8::/32"));
    assert_false(is_in("2001:db9::1", "2001:db8::/32"));
    assert_true(is_in("::ffff:10.1.1.1", "10.0.0.0/8"));
    struct address unix_socket = {.family = ADDRESS_UNIX};
    struct address_range r;
    assert_true(address_parse_range(STR_LITERAL("unix:"), &r));
    assert_true(address_is_in(&unix_socket, &r));
    assert_true(address_parse_range(STR_LITERAL("0.0.0.0/0"), &r));
    assert_false(address_is_in(&unix_socket, &r));
}

static void ranges_print_as_they_are_read(void **state)
{
    (void)state;
    static const char *const good[] = {"10.0.0.0/8", "192.0.2.7", "::1", "2001:db8::/32", "::/0", "unix:", "0.0.0.0/0"};
    static const char *const bad[] = {
        "",        "10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1",  "::1/129",
        "unix:/x", "localhost",  "[::1]",       "::1/64",    "10.0.0.0/8/8", "1.2.3.4:80"};
    struct address_range r;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        char text[ADDRESS_RANGE_TEXT_MAX];
        assert_true(address_parse_range(str_from(good[i]), &r));
        assert_true(address_range_is_valid(&r));
        address_print_range(&r, text);
        assert_string_equal(text, good[i]);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (address_parse_range(str_from(bad[i]), &r))
            fail_msg("'%s' passes", bad[i]);
}

static void loopback_is_this_host(void **state)
{
    (void)state;
    static const char *const here[] = {"127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"};
    static const char *const there[] = {"128.0.0.1", "::2", "0.0.0.0", "::"};
    struct address a;
    for (size_t i = 0; i < 4; i++) {
        assert_true(address_parse(str_from(here[i]), &a));
        assert_true(address_is_loopback(&a));
        assert_true(address_parse(str_from(there[i]), &a));
        assert_false(address_is_loopback(&a));
    }
    assert_true(address_is_loopback(&(struct address){.family = ADDRESS_UNIX}));
    assert_false(address_is_loopback(&(struct address){0}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_are_read_as_proxies_write_them),
        cmocka_unit_test(a_range_holds_what_its_prefix_says),
        cmocka_unit_test(ranges_print_as_they_are_read),
        cmocka_unit_test(loopback_is_this_host),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
