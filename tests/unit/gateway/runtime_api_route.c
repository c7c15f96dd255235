/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/runtime_api_route.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const struct {
    const char *method, *path;
    enum runtime_api_route route;
    const char *id;
} cases[] = {
    {"GET", "/2018-06-01/runtime/invocation/next", RUNTIME_API_NEXT, ""},
    {"POST", "/2018-06-01/runtime/invocation/abc/response", RUNTIME_API_RESPONSE, "abc"},
    {"POST", "/2018-06-01/runtime/invocation/abc/error", RUNTIME_API_ERROR, "abc"},
    {"POST", "/2018-06-01/runtime/invocation/next/error", RUNTIME_API_ERROR, "next"},
    {"POST", "/2018-06-01/runtime/init/error", RUNTIME_API_INIT_ERROR, ""},
    {"GET", "/2018-06-01/ping", RUNTIME_API_PING, ""},
    {"PUT", "/2020-08-15/logs", RUNTIME_API_LOGS, ""},
    {"PUT", "/2022-07-01/telemetry", RUNTIME_API_TELEMETRY, ""},
    {"POST", "/2018-06-01/runtime/invocation/next", RUNTIME_API_BAD_METHOD, ""},
    {"get", "/2018-06-01/runtime/invocation/next", RUNTIME_API_BAD_METHOD, ""},
    {"GET", "/2018-06-01/runtime/invocation/abc/response", RUNTIME_API_BAD_METHOD, ""},
    {"POST", "/2018-06-01/runtime/invocation//response", RUNTIME_API_NOT_FOUND, ""},
    {"POST", "/2018-06-01/runtime/invocation/response", RUNTIME_API_NOT_FOUND, ""},
    {"POST", "/2018-06-01/runtime/invocation/a/b/response", RUNTIME_API_NOT_FOUND, ""},
    {"POST", "/2018-06-01/runtime/invocation/abc/responses", RUNTIME_API_NOT_FOUND, ""},
    {"GET", "/2018-06-01/runtime/invocation/next/", RUNTIME_API_NOT_FOUND, ""},
    {"GET", "/2018-06-01/runtime/restore/next", RUNTIME_API_NOT_FOUND, ""},
    {"POST", "/2020-01-01/extension/register", RUNTIME_API_NOT_FOUND, ""},
    {"GET", "/", RUNTIME_API_NOT_FOUND, ""},
    {"OPTIONS", "*", RUNTIME_API_NOT_FOUND, ""},
};

static void a_path_is_for_one_endpoint(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct str id;
        enum runtime_api_route r = runtime_api_find_route(str_from(cases[i].method), str_from(cases[i].path), &id);
        if (r != cases[i].route)
            print_error("case %zu: %s %s\n", i, cases[i].method, cases[i].path);
        assert_int_equal(r, cases[i].route);
        assert_true(str_is(id, cases[i].id));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_path_is_for_one_endpoint)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
