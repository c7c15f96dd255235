/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/egress.h"

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static uint32_t v4(const char *text)
{
    struct in_addr a;
    assert_int_equal(inet_pton(AF_INET, text, &a), 1);
    return ntohl(a.s_addr);
}

static struct egress_rule rule(const char *text)
{
    struct egress_rule r;
    struct err e;
    assert_int_equal(egress_parse(str_from(text), &r, &e), 0);
    assert_true(egress_rule_is_valid(&r));
    return r;
}

static void only_the_internets_addresses_are_public(void **state)
{
    (void)state;
    /* each special range: one before it, its first, its last, one behind it; NULL: beyond is another special range */
    static const char *const edges[][4] = {
        {NULL, "0.0.0.0", "0.255.255.255", "1.0.0.0"},
        {"9.255.255.255", "10.0.0.0", "10.255.255.255", "11.0.0.0"},
        {"100.63.255.255", "100.64.0.0", "100.127.255.255", "100.128.0.0"},
        {"126.255.255.255", "127.0.0.0", "127.255.255.255", "128.0.0.0"},
        {"169.253.255.255", "169.254.0.0", "169.254.255.255", "169.255.0.0"},
        {"172.15.255.255", "172.16.0.0", "172.31.255.255", "172.32.0.0"},
        {"191.255.255.255", "192.0.0.0", "192.0.0.255", "192.0.1.0"},
        {"192.0.1.255", "192.0.2.0", "192.0.2.255", "192.0.3.0"},
        {"192.88.98.255", "192.88.99.0", "192.88.99.255", "192.88.100.0"},
        {"192.167.255.255", "192.168.0.0", "192.168.255.255", "192.169.0.0"},
        {"198.17.255.255", "198.18.0.0", "198.19.255.255", "198.20.0.0"},
        {"198.51.99.255", "198.51.100.0", "198.51.100.255", "198.51.101.0"},
        {"203.0.112.255", "203.0.113.0", "203.0.113.255", "203.0.114.0"},
        {"223.255.255.255", "224.0.0.0", "239.255.255.255", NULL},
        {NULL, "240.0.0.0", "255.255.255.255", NULL},
    };
    for (size_t i = 0; i < sizeof(edges) / sizeof(edges[0]); i++)
        for (unsigned k = 0; k < 4; k++)
            if (edges[i][k])
                assert_int_equal(egress_is_public(v4(edges[i][k])), k == 0 || k == 3);
    assert_false(egress_is_public(v4("169.254.169.254")));
    assert_true(egress_is_public(v4("93.184.216.34")));
}

static void a_rule_is_printed_as_it_is_read(void **state)
{
    (void)state;
    static const char *const same[] = {
        "public",         "example.com:443",     "*.example.com:443", "10.0.0.0/8:5432",    "192.0.2.1:8000-8999",
        "example.com:*",  "example.com:53/udp",  "0.0.0.0/0:*",       "_srv.a-b.example:1", "localhost:80",
        "1.2.3.4.nip:80", "example.com:1-65535",
    };
    struct buf out;
    buf_init(&out, 0);
    for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
        struct egress_rule r = rule(same[i]);
        out.len = 0;
        assert_int_equal(egress_print(&r, &out), 0);
        assert_true(str_is(buf_str(&out), same[i]));
    }
    static const char *const other[][2] = {{"Example.COM.:443/tcp", "example.com:443"},
                                           {"10.1.1.1/32:1", "10.1.1.1:1"}};
    for (size_t i = 0; i < 2; i++) {
        struct egress_rule r = rule(other[i][0]);
        out.len = 0;
        assert_int_equal(egress_print(&r, &out), 0);
        assert_true(str_is(buf_str(&out), other[i][1]));
    }
    buf_fini(&out);
}

static void what_is_no_host_and_port_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "example.com",
        ":80",
        "example.com:",
        "example.com:0",
        "example.com:65536",
        "example.com:8-7",
        "a..b:80",
        ".a:80",
        "-a:80",
        "a b:80",
        "a:80/sctp",
        "a:80/",
        "10.0.0.1/8:80",
        "1.2.3:80",
        "10.0.0.0/33:80",
        "[::1]:80",
        "*.:80",
        "*:80",
        "*.*.a:80",
        "ex\x01:80",
        "12345:80",
        "a.0x7f:8 0",
        "Public",
        "public:80",
        "fe80::1:80",
        "0x7f.1:80-",
        "127.1:80",
        "unix:/x:80",
    };
    struct egress_rule r;
    struct err e;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (strcmp(bad[i], "public:80") != 0) /* that one is a host's name */
            assert_int_equal(egress_parse(str_from(bad[i]), &r, &e), -EINVAL);
    char longest[300];
    for (unsigned n = 250; n < 260; n++) {
        for (unsigned i = 0; i < n; i++)
            longest[i] = i % 50 == 49 && i + 1 < n ? '.' : 'a';
        strcpy(longest + n, ":1");
        assert_int_equal(egress_parse(str_from(longest), &r, &e), n < EGRESS_NAME_MAX ? 0 : -EINVAL);
    }
}

static void names_match_whole_labels(void **state)
{
    (void)state;
    const struct egress_rule rules[] = {rule("example.com:443"), rule("*.example.com:80"), rule("10.0.0.0/8:1"),
                                        rule("*.com:1")};
    static const struct {
        const char *name;
        unsigned rules;
    } rows[] = {{"example.com", 1 | 8},
                {"a.example.com", 2 | 8},
                {"a.b.example.com", 2 | 8},
                {"notexample.com", 8},
                {"com", 0},
                {"example.com.evil", 0},
                {"xample.com", 8},
                {"", 0},
                {".example.com", 8}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(egress_match_name(rules, 4, str_from(rows[i].name)), rows[i].rules);
    assert_false(egress_is_open(rules, 4));
    assert_true(egress_is_open(NULL, 0));
    const struct egress_rule open[] = {rule("example.com:443"), rule("public")};
    assert_true(egress_is_open(open, 2));
}

static void a_grant_covers_what_lies_within_it(void **state)
{
    (void)state;
    const struct egress_grants g = {.count = 2, .ranges = {{v4("10.1.0.0"), 16}, {v4("192.168.1.1"), 32}}};
    static const struct {
        const char *rule;
        int result;
    } rows[] = {{"10.1.2.3:1", 0},    {"10.1.0.0/16:1", 0},         {"10.0.0.0/8:1", -EPERM}, {"10.2.0.0/16:1", -EPERM},
                {"192.168.1.1:1", 0}, {"192.168.1.0/24:1", -EPERM}, {"8.8.8.0/24:1", 0},      {"0.0.0.0/0:1", 0},
                {"8.0.0.0/5:1", 0},   {"127.0.0.1:1", -EPERM},      {"a.example:1", 0},       {"public", 0}};
    struct err e;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct egress_rule r = rule(rows[i].rule);
        assert_int_equal(egress_check_grant(&r, &g, &e), rows[i].result);
        if (rows[i].result)
            assert_non_null(strstr(e.text, "grants.egress_private"));
    }
    assert_true(egress_is_granted(&g, v4("10.1.255.255")) && egress_is_granted(&g, v4("9.9.9.9")));
    assert_false(egress_is_granted(&g, v4("10.2.0.0")) || egress_is_granted(&g, v4("169.254.169.254")));
}

static void ranges_overlap_when_one_lies_in_the_other(void **state)
{
    (void)state;
    const struct egress_range a = {v4("10.0.0.0"), 8}, b = {v4("10.5.0.0"), 16}, c = {v4("11.0.0.0"), 8}, all = {0, 0};
    assert_true(egress_ranges_overlap(&a, &b) && egress_ranges_overlap(&b, &a) && egress_ranges_overlap(&a, &a));
    assert_false(egress_ranges_overlap(&a, &c) || egress_ranges_overlap(&b, &c));
    assert_true(egress_ranges_overlap(&all, &b) && egress_ranges_overlap(&c, &all));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_internets_addresses_are_public),
        cmocka_unit_test(a_rule_is_printed_as_it_is_read),
        cmocka_unit_test(what_is_no_host_and_port_is_refused),
        cmocka_unit_test(names_match_whole_labels),
        cmocka_unit_test(a_grant_covers_what_lies_within_it),
        cmocka_unit_test(ranges_overlap_when_one_lies_in_the_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
