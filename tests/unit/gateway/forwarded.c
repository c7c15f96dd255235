/* SPDX-License-Identifier: Apache-2.0 */
/* Whom X-Forwarded-* fields are believed of, and what comes of them. */
#include "gateway/forwarded.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct config config;
static struct gateway gateway = {.config = &config};
static struct http1_request request;
static struct exchange x;
static char peer[INET6_ADDRSTRLEN];

static void trust(const char *range)
{
    assert_true(address_parse_range(str_from(range), &config.proxies[config.proxy_count++]));
}

static int set_up(void **state)
{
    (void)state;
    memset(&config, 0, sizeof(config));
    memset(&request, 0, sizeof(request));
    request.host = STR_LITERAL("proxy:8080");
    return 0;
}

static void add(const char *name, const char *value)
{
    request.fields[request.field_count++] = (struct http1_field){.name = str_from(name), .value = str_from(value)};
}

static void apply(enum gateway_listener_kind listener, const char *from)
{
    x = (struct exchange){.gateway = &gateway, .request = &request, .listener = listener, .peer = peer};
    snprintf(peer, sizeof(peer), "%s", from);
    forwarded_apply(&x, peer);
}

static void assert_client(const char *address, bool remote, bool plain)
{
    assert_string_equal(x.peer, address);
    assert_int_equal(x.is_remote, remote);
    assert_int_equal(x.is_plain, plain);
}

static void nobody_is_believed_by_default(void **state)
{
    (void)state;
    add("X-Forwarded-For", "203.0.113.9");
    add("X-Forwarded-Proto", "https");
    add("X-Forwarded-Host", "evil.example");
    apply(GATEWAY_LISTENER_LOOPBACK, "127.0.0.1");
    assert_client("127.0.0.1", false, false);
    apply(GATEWAY_LISTENER_REMOTE, "192.0.2.1");
    assert_client("192.0.2.1", true, true);
    assert_true(str_is(x.host, "proxy:8080"));
    apply(GATEWAY_LISTENER_INVOKE, "");
    assert_client("", false, false);
    trust("10.0.0.0/8"); /* another one is */
    apply(GATEWAY_LISTENER_REMOTE, "192.0.2.1");
    assert_client("192.0.2.1", true, true);
}

static void a_trusted_proxy_names_its_client(void **state)
{
    (void)state;
    trust("127.0.0.1");
    add("X-Forwarded-For", "203.0.113.9");
    apply(GATEWAY_LISTENER_LOOPBACK, "127.0.0.1");
    assert_client("203.0.113.9", true, true); /* nobody says that it came over TLS */
    assert_true(str_is(x.host, "proxy:8080"));
    add("X-Forwarded-Proto", "https");
    add("X-Forwarded-Host", "faas.example.org");
    apply(GATEWAY_LISTENER_LOOPBACK, "127.0.0.1");
    assert_client("203.0.113.9", true, false);
    assert_true(str_is(x.host, "faas.example.org"));
}

static void a_client_on_this_host_stays_local_through_a_proxy(void **state)
{
    (void)state;
    trust("127.0.0.1");
    add("x-forwarded-for", "::1");
    apply(GATEWAY_LISTENER_LOOPBACK, "127.0.0.1");
    assert_client("::1", false, false);
}

static void a_request_of_the_proxy_itself_is_its_own(void **state)
{
    (void)state;
    trust("127.0.0.1");
    apply(GATEWAY_LISTENER_LOOPBACK, "127.0.0.1");
    assert_client("127.0.0.1", false, false);
}

static void the_nearest_untrusted_hop_is_the_client(void **state)
{
    (void)state;
    trust("127.0.0.1");
    trust("10.0.0.0/8");
    add("X-Forwarded-For", "127.0.0.1, 198.51.100.7"); /* what the client made up stands first */
    add("Accept", "*/*");
    add("X-Forwarded-For", "203.0.113.9:4711 , 10.0.0.3");
    apply(GATEWAY_LISTENER_LOOPBACK, "127.0.0.1");
    assert_client("203.0.113.9", true, true);
    request.field_count = 0;
    add("X-Forwarded-For", "10.0.0.4,10.0.0.3");
    apply(GATEWAY_LISTENER_LOOPBACK, "127.0.0.1");
    assert_client("10.0.0.4", true, true);
}

static void who_can_not_be_named_is_remote(void **state)
{
    (void)state;
    static const char *const values[] = {"unknown", "", "203.0.113.9,", "127.0.0.1, garbage", "_secret"};
    trust("127.0.0.1");
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        request.field_count = 0;
        add("X-Forwarded-For", values[i]);
        apply(GATEWAY_LISTENER_LOOPBACK, "127.0.0.1");
        assert_client("127.0.0.1", true, true);
    }
}

static void a_list_of_protocols_or_hosts_says_nothing(void **state)
{
    (void)state;
    trust("127.0.0.1");
    add("X-Forwarded-For", "203.0.113.9");
    add("X-Forwarded-Proto", "https, http");
    add("X-Forwarded-Host", "a.example");
    add("X-Forwarded-Host", "b.example");
    apply(GATEWAY_LISTENER_LOOPBACK, "127.0.0.1");
    assert_client("203.0.113.9", true, true);
    assert_true(str_is(x.host, "proxy:8080"));
}

static void a_proxy_may_use_the_unix_socket(void **state)
{
    (void)state;
    add("X-Forwarded-For", "203.0.113.9");
    add("X-Forwarded-Proto", "https");
    trust("0.0.0.0/0");
    apply(GATEWAY_LISTENER_INVOKE, "");
    assert_client("", false, false);
    trust("unix:");
    apply(GATEWAY_LISTENER_INVOKE, "");
    assert_client("203.0.113.9", true, false);
    apply(GATEWAY_LISTENER_CONTROL, ""); /* no proxy stands before it */
    assert_client("", false, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(nobody_is_believed_by_default, set_up),
        cmocka_unit_test_setup(a_trusted_proxy_names_its_client, set_up),
        cmocka_unit_test_setup(a_client_on_this_host_stays_local_through_a_proxy, set_up),
        cmocka_unit_test_setup(a_request_of_the_proxy_itself_is_its_own, set_up),
        cmocka_unit_test_setup(the_nearest_untrusted_hop_is_the_client, set_up),
        cmocka_unit_test_setup(who_can_not_be_named_is_remote, set_up),
        cmocka_unit_test_setup(a_list_of_protocols_or_hosts_says_nothing, set_up),
        cmocka_unit_test_setup(a_proxy_may_use_the_unix_socket, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
