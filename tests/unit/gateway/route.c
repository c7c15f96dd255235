/* SPDX-License-Identifier: Apache-2.0 */
/* Which request reaches which handler, and what the others are told. Handlers and replies are the test's own. */
#include "gateway/route.h"

#include "gateway/api.h"
#include "gateway/deploy.h"
#include "gateway/invocation.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct {
    const char *handler; /* that was run; NULL */
    char name[80];
    char rest[80];
    uint64_t number;
    int status; /* that was replied; 0 */
    char type[40];
    char message[512];
    char fields[256];
} seen;

/* --- what route.c calls --- */

static void ran(const char *handler, struct str name)
{
    seen.handler = handler;
    str_copy(name, seen.name, sizeof(seen.name));
}

#define HANDLER(f)                                                                                                     \
    void f(struct exchange *x, struct str name)                                                                        \
    {                                                                                                                  \
        (void)x;                                                                                                       \
        ran(#f, name);                                                                                                 \
    }
HANDLER(api_health)
HANDLER(api_system)
HANDLER(api_config)
HANDLER(api_functions_list)
HANDLER(api_functions_describe)
HANDLER(api_logs)
HANDLER(api_shell)
HANDLER(api_secrets_list)
HANDLER(api_secrets_put)
HANDLER(api_secrets_delete)
HANDLER(deploy_put)
HANDLER(deploy_patch)
HANDLER(deploy_delete)
HANDLER(deploy_rollback)
HANDLER(api_versions)
HANDLER(api_aliases)
HANDLER(api_alias_get)
HANDLER(api_alias_put)
HANDLER(api_alias_delete)

static struct version version = {.number = 3};
static struct versions_known numbers[] = {{.number = 1}, {.number = 3}};
static struct versions_alias prod = {.name = "prod", .number = 1};
static struct versions_alias *aliases[] = {&prod};
static struct function function = {.name = "hello",
                                   .current = &version,
                                   .versions = {.known = numbers, .count = 2, .aliases = aliases, .alias_count = 1}};

struct function *api_find_function(struct exchange *x, struct str name)
{
    if (str_is(name, function.name))
        return &function;
    exchange_error(x, 404, "ResourceNotFound", "no function");
    return NULL;
}

void invocation_start_version(struct exchange *x, struct function *f, uint64_t number, struct str path)
{
    (void)x;
    ran("invocation_start", str_from(f->name));
    seen.number = number;
    str_copy(path, seen.rest, sizeof(seen.rest));
}

void exchange_reply(struct exchange *x, const struct reply *r)
{
    assert_false(x->ended);
    x->ended = true;
    seen.status = r->status;
    str_copy(r->fields, seen.fields, sizeof(seen.fields));
}

void exchange_error_full(struct exchange *x, int status, const char *type, struct str message, struct str trace,
                         const char *fields)
{
    (void)trace;
    assert_false(x->ended);
    x->ended = true;
    seen.status = status;
    snprintf(seen.type, sizeof(seen.type), "%s", type);
    snprintf(seen.message, sizeof(seen.message), "%.*s", (int)message.n, message.p);
    snprintf(seen.fields, sizeof(seen.fields), "%s", fields ? fields : "");
}

void exchange_error(struct exchange *x, int status, const char *type, const char *format, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof(text), format, ap);
    va_end(ap);
    exchange_error_full(x, status, type, str_from(text), (struct str){0}, NULL);
}

/* --- asking --- */

static struct gateway_boot boot = {.hostname = "edge7"};
static struct gateway gateway = {.boot = &boot};
static struct http1_request request;

static struct exchange *ask_as(enum gateway_listener_kind listener, const char *method, const char *target)
{
    static struct exchange x;
    struct str query;
    unsigned fields = request.field_count;
    memset(&seen, 0, sizeof(seen));
    x = (struct exchange){.gateway = &gateway, .request = &request, .listener = listener};
    request.method = str_from(method);
    request.target = str_from(target);
    request.path = str_cut(request.target, '?', &query, NULL);
    request.query = query;
    request.field_count = fields;
    if (!request.host.n)
        request.host = STR_LITERAL("localhost");
    const struct route *r = route_find(&x);
    assert_int_equal(r == NULL, x.ended);
    if (r)
        route_run(r, &x);
    return &x;
}

static void ask(const char *method, const char *target)
{
    ask_as(GATEWAY_LISTENER_CONTROL, method, target);
}

static int set_up(void **state)
{
    (void)state;
    memset(&request, 0, sizeof(request));
    version.settings.auth = SETTINGS_AUTH_DEFAULT;
    return 0;
}

static void assert_ran(const char *handler, const char *name)
{
    if (!seen.handler)
        fail_msg("answered with %d %s: %s", seen.status, seen.type, seen.message);
    assert_string_equal(seen.handler, handler);
    assert_string_equal(seen.name, name);
}

static void assert_refused(int status, const char *type)
{
    assert_null(seen.handler);
    assert_int_equal(seen.status, status);
    assert_string_equal(seen.type, type);
}

/* --- tests --- */

static void every_path_of_the_api_has_its_handler(void **state)
{
    (void)state;
    static const struct {
        const char *method, *target, *handler, *name;
    } rows[] = {
        {"GET", "/healthz", "api_health", ""},
        {"HEAD", "/healthz", "api_health", ""},
        {"GET", "/v1/system", "api_system", ""},
        {"GET", "/v1/functions", "api_functions_list", ""},
        {"GET", "/v1/functions/hello", "api_functions_describe", "hello"},
        {"GET", "/v1/functions/hello?show_env=1", "api_functions_describe", "hello"},
        {"PUT", "/v1/functions/new-one", "deploy_put", "new-one"},
        {"PATCH", "/v1/functions/hello", "deploy_patch", "hello"},
        {"DELETE", "/v1/functions/hello", "deploy_delete", "hello"},
        {"GET", "/v1/functions/hello/logs?follow=1", "api_logs", "hello"},
        {"POST", "/v1/functions/hello/shell?rows=3", "api_shell", "hello"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ask(rows[i].method, rows[i].target);
        assert_ran(rows[i].handler, rows[i].name);
    }
}

static void a_function_takes_any_method_and_what_follows_its_name(void **state)
{
    (void)state;
    static const char *const methods[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PURGE"};
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        ask(methods[i], "/function/hello");
        assert_ran("invocation_start", "hello");
        assert_string_equal(seen.rest, "");
    }
    ask("GET", "/function/hello/");
    assert_string_equal(seen.rest, "/");
    ask("GET", "/function/hello/a//b/../c?q=1");
    assert_string_equal(seen.rest, "/a//b/../c");
    ask("GET", "/function/hello/a:b");
    assert_string_equal(seen.rest, "/a:b");
}

static void a_qualifier_names_what_there_is(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        uint64_t number;
    } good[] = {{"/function/hello", 0},          {"/function/hello:$LATEST", 0}, {"/function/hello:%24LATEST/x", 0},
                {"/function/hello:3", 3},        {"/function/hello:1/x", 1},     {"/function/hello%3A1", 1},
                {"/function/hello%3aprod/x", 1}, {"/function/hello:prod", 1},    {"/function/hello:p%72od", 1}};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        ask("GET", good[i].path);
        assert_ran("invocation_start", "hello");
        assert_int_equal(seen.number, good[i].number);
    }
}

static void a_qualifier_of_nothing_is_told_what_there_is(void **state)
{
    (void)state;
    static const char *const unknown[] = {"2", "0", "03", "99999999999999999999", "beta", "PROD", "latest"};
    static const char *const malformed[] = {"", "+3", "3:3", "%zz", "a.b", "$latest", "%00", "prod%2f"};
    char path[80];
    for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
        snprintf(path, sizeof(path), "/function/hello:%s", unknown[i]);
        ask("GET", path);
        assert_refused(404, "ResourceNotFound");
        assert_non_null(strstr(seen.message, "$LATEST, 1 and 3; aliases: prod"));
    }
    for (size_t i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++) {
        snprintf(path, sizeof(path), "/function/hello:%s/x", malformed[i]);
        ask("GET", path);
        assert_refused(400, "BadRequest");
        assert_non_null(strstr(seen.message, "$LATEST, 1 and 3; aliases: prod"));
    }
}

static void an_alias_has_a_path_of_its_own(void **state)
{
    (void)state;
    ask("GET", "/v1/functions/hello/aliases");
    assert_ran("api_aliases", "hello");
    ask("PUT", "/v1/functions/hello/aliases/prod");
    assert_ran("api_alias_put", "hello");
    ask("GET", "/v1/functions/hello/aliases/prod");
    assert_ran("api_alias_get", "hello");
    ask("DELETE", "/v1/functions/hello/aliases/prod");
    assert_ran("api_alias_delete", "hello");
    ask("PUT", "/v1/functions/hello/aliases");
    assert_refused(405, "MethodNotAllowed");
    ask("GET", "/v1/functions/hello/aliases/");
    assert_refused(404, "ResourceNotFound");
    ask("GET", "/v1/functions/hello/aliases/prod/x");
    assert_refused(404, "ResourceNotFound");
    ask("GET", "/v1/functions/hel.lo/aliases/prod");
    assert_refused(400, "BadRequest");
}

static void no_spelling_of_a_path_reaches_another_route(void **state)
{
    (void)state;
    static const struct {
        const char *target;
        int status;
    } rows[] = {
        {"/function/", 400},
        {"/function/%68ello", 400},
        {"/function/a.b", 400},
        {"/function/..%2fv1", 400},
        {"/function/../v1/system", 400},
        {"/function/hel%00lo", 400},
        {"/function", 404},
        {"/Function/hello", 404},
        {"//function/hello", 404},
        {"/./function/hello", 404},
        {"/", 404},
        {"/healthz/", 404},
        {"/v1", 404},
        {"/v1/", 404},
        {"/v1/functions/", 404},
        {"/v1/functions//logs", 404},
        {"/v1/functions/hello/", 404},
        {"/v1/functions/hello/logs/x", 404},
        {"/v1/functions/he.llo", 400},
        {"/v1/functions/%2e%2e/logs", 400},
        {"/metrics", 404},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        ask("GET", rows[i].target);
        assert_null(seen.handler);
        if (seen.status != rows[i].status)
            fail_msg("%s: %d, not %d", rows[i].target, seen.status, rows[i].status);
    }
    ask("GET", "/function/other");
    assert_refused(404, "ResourceNotFound");
}

static void names_are_as_long_as_they_may_be(void **state)
{
    (void)state;
    char target[128] = "/v1/functions/";
    memset(target + strlen(target), 'n', 64);
    ask("PUT", target);
    assert_string_equal(seen.handler, "deploy_put");
    strcat(target, "n");
    ask("PUT", target);
    assert_refused(400, "BadRequest");
}

static void another_method_is_told_which_there_are(void **state)
{
    (void)state;
    ask("POST", "/v1/functions/hello");
    assert_refused(405, "MethodNotAllowed");
    assert_string_equal(seen.fields, "Allow: OPTIONS, GET, HEAD, PUT, PATCH, DELETE\r\n");
    ask("get", "/healthz");
    assert_refused(405, "MethodNotAllowed");
    assert_string_equal(seen.fields, "Allow: OPTIONS, GET, HEAD\r\n");
    ask("HEAD", "/v1/functions/hello/shell");
    assert_refused(405, "MethodNotAllowed");
    ask("OPTIONS", "/v1/system");
    assert_int_equal(seen.status, 204);
    assert_string_equal(seen.fields, "Allow: OPTIONS, GET, HEAD\r\n");
    ask("OPTIONS", "*");
    assert_int_equal(seen.status, 204);
}

static void the_control_api_is_on_its_socket_alone(void **state)
{
    (void)state;
    static const char *const targets[] = {"/v1/system", "/v1/functions", "/v1/functions/hello", "/v1/unknown"};
    for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
        ask_as(GATEWAY_LISTENER_LOOPBACK, "GET", targets[i]);
        assert_refused(403, "Forbidden");
        ask_as(GATEWAY_LISTENER_REMOTE, "GET", targets[i]);
        assert_refused(403, "Forbidden");
        ask_as(GATEWAY_LISTENER_INVOKE, "GET", targets[i]);
        assert_refused(403, "Forbidden");
        assert_non_null(strstr(seen.message, "control.sock"));
    }
    ask_as(GATEWAY_LISTENER_REMOTE, "GET", "/healthz");
    assert_ran("api_health", "");
}

static void a_foreign_host_name_is_misdirected(void **state)
{
    (void)state;
    static const struct {
        const char *host;
        int status;
    } rows[] = {
        {"localhost", 403},    {"LOCALHOST:8080", 403}, {"127.0.0.1:8080", 403}, {"[::1]:8080", 403},
        {"[::1]", 403},        {"192.0.2.7", 403},      {"edge7", 403},          {"Edge7:80", 403},
        {"evil.example", 421}, {"localhost.evil", 421}, {"127.0.0.1.evil", 421}, {"", 421},
        {"edge71", 421},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        request.host = (struct str){rows[i].host, strlen(rows[i].host)};
        if (!request.host.n)
            request.host = STR_LITERAL(":");
        ask_as(GATEWAY_LISTENER_LOOPBACK, "GET", "/v1/system");
        if (seen.status != rows[i].status)
            fail_msg("%s: %d, not %d", rows[i].host, seen.status, rows[i].status);
    }
    request.host = STR_LITERAL("evil.example");
    ask_as(GATEWAY_LISTENER_LOOPBACK, "GET", "/function/hello");
    assert_ran("invocation_start", "hello");
}

static void a_web_page_is_told_that_it_is_one(void **state)
{
    (void)state;
    static const struct http1_field fields[] = {
        {.name = {"Origin", 6}, .value = {"http://evil", 11}},
        {.name = {"Sec-Fetch-Site", 14}, .value = {"cross-site", 10}},
        {.name = {"Sec-Fetch-Site", 14}, .value = {"same-site", 9}},
    };
    request.field_count = 1;
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        request.fields[0] = fields[i];
        ask_as(GATEWAY_LISTENER_LOOPBACK, "POST", "/v1/functions/hello/shell");
        assert_refused(403, "Forbidden");
        assert_non_null(strstr(seen.message, "web pages"));
    }
    request.fields[0] = (struct http1_field){.name = {"Sec-Fetch-Site", 14}, .value = {"none", 4}};
    ask_as(GATEWAY_LISTENER_LOOPBACK, "GET", "/v1/system");
    assert_null(strstr(seen.message, "web pages"));
}

static void who_may_invoke_follows_auth_and_listener(void **state)
{
    (void)state;
    enum { OK = 0 };
    static const struct {
        enum settings_auth auth;
        int loopback, remote, invoke, control;
    } rows[] = {
        {SETTINGS_AUTH_DEFAULT, OK, 401, OK, OK},
        {SETTINGS_AUTH_ANONYMOUS, OK, OK, OK, OK},
        {SETTINGS_AUTH_TOKEN, 401, 401, 401, OK},
        {SETTINGS_AUTH_ADMIN, 401, 401, 401, OK},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        version.settings.auth = rows[i].auth;
        ask_as(GATEWAY_LISTENER_LOOPBACK, "GET", "/function/hello");
        assert_int_equal(seen.status, rows[i].loopback);
        ask_as(GATEWAY_LISTENER_INVOKE, "GET", "/function/hello");
        assert_int_equal(seen.status, rows[i].invoke);
        ask_as(GATEWAY_LISTENER_CONTROL, "GET", "/function/hello");
        assert_int_equal(seen.status, rows[i].control);
        ask_as(GATEWAY_LISTENER_REMOTE, "GET", "/function/hello");
        assert_int_equal(seen.status, rows[i].remote);
        if (seen.status)
            assert_string_equal(seen.fields, "WWW-Authenticate: Bearer realm=\"faasd\"\r\n");
    }
}

static void only_a_deploy_streams_and_has_the_larger_limit(void **state)
{
    (void)state;
    struct config *c = calloc(1, sizeof(*c));
    struct exchange x = {.gateway = &gateway, .request = &request, .listener = GATEWAY_LISTENER_CONTROL};
    assert_non_null(c);
    c->request_bytes_max = 10;
    c->archive_bytes_max = 20;
    request.path = STR_LITERAL("/v1/functions/hello");
    request.method = STR_LITERAL("PUT");
    const struct route *r = route_find(&x);
    assert_true(route_streams_body(r));
    assert_int_equal(route_body_max(r, c), 20);
    assert_string_equal(route_body_key(r), "archive_bytes");
    request.path = STR_LITERAL("/function/hello");
    r = route_find(&x);
    assert_false(route_streams_body(r));
    assert_int_equal(route_body_max(r, c), 10);
    assert_string_equal(route_body_key(r), "request_bytes");
    free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(every_path_of_the_api_has_its_handler, set_up),
        cmocka_unit_test_setup(a_function_takes_any_method_and_what_follows_its_name, set_up),
        cmocka_unit_test_setup(a_qualifier_names_what_there_is, set_up),
        cmocka_unit_test_setup(a_qualifier_of_nothing_is_told_what_there_is, set_up),
        cmocka_unit_test_setup(an_alias_has_a_path_of_its_own, set_up),
        cmocka_unit_test_setup(no_spelling_of_a_path_reaches_another_route, set_up),
        cmocka_unit_test_setup(names_are_as_long_as_they_may_be, set_up),
        cmocka_unit_test_setup(another_method_is_told_which_there_are, set_up),
        cmocka_unit_test_setup(the_control_api_is_on_its_socket_alone, set_up),
        cmocka_unit_test_setup(a_foreign_host_name_is_misdirected, set_up),
        cmocka_unit_test_setup(a_web_page_is_told_that_it_is_one, set_up),
        cmocka_unit_test_setup(who_may_invoke_follows_auth_and_listener, set_up),
        cmocka_unit_test_setup(only_a_deploy_streams_and_has_the_larger_limit, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
