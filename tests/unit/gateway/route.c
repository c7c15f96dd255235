/* SPDX-License-Identifier: Apache-2.0 */
/* Which request reaches which handler, and what the others are told. Handlers and replies are the test's own. */
#include "gateway/route.h"

#include "gateway/access.h"
#include "gateway/api.h"
#include "gateway/calls.h"
#include "gateway/calls_list.h"
#include "gateway/credential.h"
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
#include "route_handlers.h"
HANDLER(calls_accept)

void calls_answer(struct exchange *x, struct str name, struct str id)
{
    (void)x;
    ran("calls_answer", name);
    str_copy(id, seen.rest, sizeof(seen.rest));
}

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
static struct config config = {.failed_credentials_max = 1000000};
static struct gateway gateway = {.boot = &boot, .config = &config};
static struct token *token;            /* the one that there is */
static char shown[TOKEN_TEXT_MAX + 7]; /* "Bearer faasd_..." */
static struct http1_request request;

static struct exchange *ask_as(enum gateway_listener_kind listener, const char *method, const char *target)
{
    static struct exchange x;
    struct str query;
    unsigned fields = request.field_count;
    memset(&seen, 0, sizeof(seen));
    x = (struct exchange){.gateway = &gateway,
                          .request = &request,
                          .listener = listener,
                          .peer = "",
                          .is_remote = listener == GATEWAY_LISTENER_REMOTE,
                          .is_plain = listener == GATEWAY_LISTENER_REMOTE};
    request.method = str_from(method);
    request.target = str_from(target);
    request.path = str_cut(request.target, '?', &query, NULL);
    request.query = query;
    request.field_count = fields;
    if (!request.host.n)
        request.host = STR_LITERAL("localhost");
    x.host = request.host;
    const struct route *r = route_find(&x);
    assert_int_equal(r == NULL, x.ended);
    if (r)
        route_run(r, &x);
    credential_release(&x);
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
    version.settings.cors[0] = '\0';
    config.default_auth = SETTINGS_AUTH_DEFAULT;
    config.insecure_control = false;
    gateway.tokens = tokens_new();
    gateway.credentials = credentials_new();
    token = token_new();
    if (!gateway.tokens || !gateway.credentials || !token)
        return -1;
    strcpy(shown, "Bearer faasd_");
    memset(shown + strlen(shown), '7', 64);
    crypto_sha256(str_from(shown + 7), token->digest);
    tokens_add(gateway.tokens, token);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    tokens_free(gateway.tokens);
    free(gateway.credentials);
    return 0;
}

/* The request shows the token, which has these scopes. */
static void show_token(const char *scopes)
{
    struct err e;
    assert_int_equal(token_set_scopes(token, str_from(scopes), &e), 0);
    request.fields[0] = (struct http1_field){.name = {"Authorization", 13}, .value = {shown, strlen(shown)}};
    request.field_count = 1;
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
        {"GET", "/v1/config", "api_config", ""},
        {"GET", "/v1/functions", "api_functions_list", ""},
        {"GET", "/v1/functions/hello", "api_functions_describe", "hello"},
        {"GET", "/v1/functions/hello?show_env=1", "api_functions_describe", "hello"},
        {"PUT", "/v1/functions/new-one", "deploy_put", "new-one"},
        {"PATCH", "/v1/functions/hello", "deploy_patch", "hello"},
        {"DELETE", "/v1/functions/hello", "deploy_delete", "hello"},
        {"GET", "/v1/functions/hello/logs?follow=1", "api_logs", "hello"},
        {"POST", "/v1/functions/hello/shell?rows=3", "api_shell", "hello"},
        {"GET", "/v1/tokens", "api_tokens_list", ""},
        {"POST", "/v1/tokens", "api_tokens_create", ""},
        {"DELETE", "/v1/tokens/0123abcd", "api_tokens_delete", "0123abcd"},
        {"GET", "/v1/calls", "calls_api_stats", ""},
        {"GET", "/v1/calls/1d", "calls_api_show", "1d"},
        {"GET", "/v1/calls/1d/result", "calls_api_result", "1d"},
        {"POST", "/v1/calls/1d/cancel", "calls_api_cancel", "1d"},
        {"POST", "/v1/calls/1d/redrive", "calls_api_redrive", "1d"},
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

static void a_call_is_posted_and_its_result_asked_for(void **state)
{
    (void)state;
    static const char *const posted[] = {"/async-function/hello", "/async-function/hello:3",
                                         "/async-function/hello/a/b", "/async-function/hello:$LATEST/?q=1"};
    for (size_t i = 0; i < sizeof(posted) / sizeof(posted[0]); i++) {
        ask("POST", posted[i]);
        assert_ran("calls_accept", "hello");
    }
    ask("GET", "/async-function/hello/1d?status=1");
    assert_ran("calls_answer", "hello");
    assert_string_equal(seen.rest, "1d");
    ask("HEAD", "/async-function/hello/1d/x");
    assert_string_equal(seen.rest, "1d/x"); /* which is no id */
    static const char *const refused[] = {"GET", "PUT", "DELETE", "HEAD"};
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        ask(refused[i], "/async-function/hello/");
        assert_refused(405, "MethodNotAllowed");
        assert_non_null(strstr(seen.fields, "POST"));
    }
    ask("PUT", "/async-function/hello/1d");
    assert_refused(405, "MethodNotAllowed");
    ask("POST", "/async-function/gone");
    assert_refused(404, "ResourceNotFound");
    ask("POST", "/async-function/hello:7");
    assert_refused(404, "ResourceNotFound");
    ask("POST", "/async-function");
    assert_refused(404, "ResourceNotFound");
}

static void a_call_asks_for_the_functions_auth_each_time(void **state)
{
    (void)state;
    version.settings.auth = SETTINGS_AUTH_TOKEN;
    ask_as(GATEWAY_LISTENER_REMOTE, "POST", "/async-function/hello");
    assert_refused(401, "Unauthorized");
    ask_as(GATEWAY_LISTENER_LOOPBACK, "GET", "/async-function/hello/1d");
    assert_refused(401, "Unauthorized");
    ask("GET", "/async-function/hello/1d");
    assert_ran("calls_answer", "hello");
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
        {"/metrics/", 404},
        {"/v1/invocations/", 404},
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

static void the_control_api_takes_a_credential_over_tcp(void **state)
{
    (void)state;
    static const char *const targets[] = {"/v1/system", "/v1/functions", "/v1/functions/hello", "/v1/unknown"};
    for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
        request.field_count = 0;
        ask_as(GATEWAY_LISTENER_LOOPBACK, "GET", targets[i]);
        assert_refused(401, "Unauthorized");
        assert_non_null(strstr(seen.fields, "WWW-Authenticate: Bearer"));
        ask_as(GATEWAY_LISTENER_REMOTE, "GET", targets[i]);
        assert_refused(401, "Unauthorized");
        ask_as(GATEWAY_LISTENER_INVOKE, "GET", targets[i]);
        assert_refused(403, "Forbidden");
        assert_non_null(strstr(seen.message, "control.sock"));
        show_token("read");
        ask_as(GATEWAY_LISTENER_INVOKE, "GET", targets[i]);
        assert_refused(403, "Forbidden");
    }
    request.field_count = 0;
    ask_as(GATEWAY_LISTENER_REMOTE, "GET", "/healthz");
    assert_ran("api_health", "");
}

static void a_route_asks_for_its_scope(void **state)
{
    (void)state;
    static const struct {
        const char *method, *target, *handler, *scopes; /* that are enough */
    } rows[] = {
        {"GET", "/v1/system", "api_system", "read deploy admin"},
        {"GET", "/v1/config", "api_config", "read deploy admin"},
        {"GET", "/v1/functions", "api_functions_list", "read deploy admin"},
        {"GET", "/v1/functions/hello", "api_functions_describe", "read deploy admin"},
        {"GET", "/v1/functions/hello/logs", "api_logs", "read deploy admin"},
        {"PUT", "/v1/functions/hello", "deploy_put", "deploy admin"},
        {"PATCH", "/v1/functions/hello", "deploy_patch", "deploy admin"},
        {"DELETE", "/v1/functions/hello", "deploy_delete", "deploy admin"},
        {"GET", "/v1/secrets", "api_secrets_list", "read deploy admin"},
        {"PUT", "/v1/secrets/db", "api_secrets_put", "deploy admin"},
        {"DELETE", "/v1/secrets/db", "api_secrets_delete", "deploy admin"},
        {"POST", "/v1/functions/hello/shell", "api_shell", "admin"},
        {"GET", "/v1/tokens", "api_tokens_list", "admin"},
        {"POST", "/v1/tokens", "api_tokens_create", "admin"},
        {"DELETE", "/v1/tokens/0123abcd", "api_tokens_delete", "admin"},
    };
    static const char *const scopes[] = {"read", "deploy", "admin", "invoke", "invoke:hello"};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        for (size_t k = 0; k < sizeof(scopes) / sizeof(scopes[0]); k++) {
            show_token(scopes[k]);
            ask_as(GATEWAY_LISTENER_LOOPBACK, rows[i].method, rows[i].target);
            if (strstr(rows[i].scopes, scopes[k])) {
                assert_non_null(seen.handler);
                assert_string_equal(seen.handler, rows[i].handler);
            } else {
                assert_refused(403, "Forbidden");
                assert_non_null(strstr(seen.message, "scope"));
            }
        }
}

static void metrics_are_open_on_this_host_and_fenced(void **state)
{
    (void)state;
    struct exchange x = {.gateway = &gateway, .request = &request, .peer = "", .host = STR_LITERAL("localhost")};
    x.listener = GATEWAY_LISTENER_LOOPBACK;
    assert_true(access_admit(&x, ACCESS_METRICS));
    x.host = STR_LITERAL("evil.example");
    assert_false(access_admit(&x, ACCESS_METRICS));
    assert_refused(421, "MisdirectedRequest");
    x = (struct exchange){.gateway = &gateway, .request = &request, .peer = "", .host = STR_LITERAL("localhost")};
    x.listener = GATEWAY_LISTENER_REMOTE;
    x.is_remote = true;
    assert_false(access_admit(&x, ACCESS_METRICS));
    assert_refused(401, "Unauthorized");
    show_token("read");
    x.ended = false;
    assert_true(access_admit(&x, ACCESS_METRICS));
    credential_release(&x);
    show_token("invoke");
    assert_false(access_admit(&x, ACCESS_METRICS));
    assert_refused(403, "Forbidden");
    credential_release(&x);
}

static void a_foreign_host_name_is_misdirected(void **state)
{
    (void)state;
    static const struct {
        const char *host;
        int status;
    } rows[] = {
        {"localhost", 401},
        {"LOCALHOST:8080", 401},
        {"127.0.0.1:8080", 401},
        {"[::1]:8080", 401},
        {"[::1]", 401},
        {"192.0.2.7", 401},
        {"edge7", 401},
        {"Edge7:80", 401},
        {"evil.example", 421},
        {"localhost.evil", 421},
        {"127.0.0.1.evil", 421},
        {"", 421},
        {"edge71", 421},
        {"faas.example.org", 401},
        {"FAAS.example.org:443", 401},
    };
    config.host_count = 1;
    strcpy(config.hosts[0], "faas.example.org");
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

static void who_may_invoke_follows_auth_listener_and_scope(void **state)
{
    (void)state;
    enum { OK = 0 };
    static const struct {
        enum settings_auth auth;
        const char *scopes; /* NULL: nothing is shown */
        int loopback, remote, invoke, control;
    } rows[] = {
        {SETTINGS_AUTH_DEFAULT, NULL, OK, 401, OK, OK},
        {SETTINGS_AUTH_ANONYMOUS, NULL, OK, OK, OK, OK},
        {SETTINGS_AUTH_TOKEN, NULL, 401, 401, 401, OK},
        {SETTINGS_AUTH_ADMIN, NULL, 401, 401, 401, OK},
        {SETTINGS_AUTH_DEFAULT, "invoke:other", OK, 403, OK, OK},
        {SETTINGS_AUTH_ANONYMOUS, "invoke:other", OK, OK, OK, OK},
        {SETTINGS_AUTH_TOKEN, "invoke:other", 403, 403, 403, OK},
        {SETTINGS_AUTH_TOKEN, "invoke:hell", 403, 403, 403, OK},
        {SETTINGS_AUTH_TOKEN, "invoke:hello2", 403, 403, 403, OK},
        {SETTINGS_AUTH_TOKEN, "read deploy", 403, 403, 403, OK},
        {SETTINGS_AUTH_ADMIN, "invoke invoke:hello deploy", 403, 403, 403, OK},
        {SETTINGS_AUTH_DEFAULT, "invoke:hello", OK, OK, OK, OK},
        {SETTINGS_AUTH_TOKEN, "read invoke:hello", OK, OK, OK, OK},
        {SETTINGS_AUTH_TOKEN, "invoke", OK, OK, OK, OK},
        {SETTINGS_AUTH_TOKEN, "admin", OK, OK, OK, OK},
        {SETTINGS_AUTH_ADMIN, "admin", OK, OK, OK, OK},
    };
    config.insecure_control = true;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct {
            enum gateway_listener_kind kind;
            int status;
        } asked[] = {{GATEWAY_LISTENER_LOOPBACK, rows[i].loopback},
                     {GATEWAY_LISTENER_REMOTE, rows[i].remote},
                     {GATEWAY_LISTENER_INVOKE, rows[i].invoke},
                     {GATEWAY_LISTENER_CONTROL, rows[i].control}};
        version.settings.auth = rows[i].auth;
        for (size_t k = 0; k < sizeof(asked) / sizeof(asked[0]); k++) {
            request.field_count = 0;
            if (rows[i].scopes)
                show_token(rows[i].scopes);
            ask_as(asked[k].kind, "GET", "/function/hello");
            if (seen.status != asked[k].status)
                fail_msg("row %zu, listener %zu: %d, not %d", i, k, seen.status, asked[k].status);
        }
    }
}

static void default_auth_is_what_functions_have_that_name_none(void **state)
{
    (void)state;
    config.default_auth = SETTINGS_AUTH_TOKEN;
    ask_as(GATEWAY_LISTENER_LOOPBACK, "GET", "/function/hello");
    assert_refused(401, "Unauthorized");
    config.default_auth = SETTINGS_AUTH_ANONYMOUS;
    ask_as(GATEWAY_LISTENER_REMOTE, "GET", "/function/hello");
    assert_ran("invocation_start", "hello");
    version.settings.auth = SETTINGS_AUTH_ADMIN;
    ask_as(GATEWAY_LISTENER_REMOTE, "GET", "/function/hello");
    assert_refused(401, "Unauthorized");
}

static void a_token_is_not_taken_where_it_can_be_overheard(void **state)
{
    (void)state;
    show_token("admin");
    ask_as(GATEWAY_LISTENER_REMOTE, "GET", "/v1/system");
    assert_refused(403, "Forbidden");
    assert_non_null(strstr(seen.message, "--insecure-control"));
    show_token("admin");
    ask_as(GATEWAY_LISTENER_REMOTE, "GET", "/function/hello");
    assert_refused(403, "Forbidden");
    config.insecure_control = true;
    show_token("admin");
    ask_as(GATEWAY_LISTENER_REMOTE, "GET", "/v1/system");
    assert_ran("api_system", "");
}

static void a_function_does_not_see_faasds_own_credential(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        bool stays;
    } rows[] = {{NULL, false},
                {"bearer faasd_x", false},
                {"Bearer x", true},
                {"Basic faasd_x", true},
                {"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/r/s/aws4_request", true},
                {"own", false}};
    char key[TOKEN_ACCESS_KEY_MAX], own[128];
    token_print_access_key(token, key);
    snprintf(own, sizeof(own), "AWS4-HMAC-SHA256 Credential=%s/20150830/r/s/aws4_request", key);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char *value = rows[i].value ? rows[i].value : shown;
        if (strcmp(value, "own") == 0)
            value = own;
        request.fields[0] = (struct http1_field){.name = {"X-First", 7}, .value = {"1", 1}};
        request.fields[1] = (struct http1_field){.name = {"authorization", 13}, .value = {value, strlen(value)}};
        request.fields[2] = (struct http1_field){.name = {"X-Last", 6}, .value = {"2", 1}};
        request.field_count = 3;
        ask_as(GATEWAY_LISTENER_LOOPBACK, "GET", "/function/hello");
        assert_ran("invocation_start", "hello");
        assert_int_equal(request.field_count, rows[i].stays ? 3 : 2);
        assert_true(str_is(request.fields[request.field_count - 1].name, "X-Last"));
        assert_true(str_is(request.fields[0].name, "X-First"));
    }
}

static void set_origin(const char *origin, const char *method)
{
    request.fields[0] = (struct http1_field){.name = {"Origin", 6}, .value = str_from(origin)};
    request.fields[1] = (struct http1_field){.name = {"Access-Control-Request-Method", 29}, .value = str_from(method)};
    request.field_count = method ? 2 : 1;
}

static void a_preflight_is_answered_for_functions_that_have_cors(void **state)
{
    (void)state;
    version.settings.auth = SETTINGS_AUTH_TOKEN;
    set_origin("https://a.example", "POST");
    ask_as(GATEWAY_LISTENER_LOOPBACK, "OPTIONS", "/function/hello");
    assert_refused(401, "Unauthorized"); /* the function has none: it is a request like any other */
    strcpy(version.settings.cors, "https://a.example");
    struct exchange *x = ask_as(GATEWAY_LISTENER_LOOPBACK, "OPTIONS", "/function/hello");
    assert_null(seen.handler);
    assert_int_equal(seen.status, 204);
    assert_non_null(strstr(seen.fields, "Access-Control-Allow-Methods: "));
    assert_true(str_is(x->cors_origin, "https://a.example"));
    set_origin("https://b.example", "POST");
    x = ask_as(GATEWAY_LISTENER_LOOPBACK, "OPTIONS", "/function/hello");
    assert_int_equal(seen.status, 204);
    assert_string_equal(seen.fields, "");
    assert_int_equal(x->cors_origin.n, 0);
    /* without the field that makes it one, it is the function's, and needs its credential */
    set_origin("https://a.example", NULL);
    x = ask_as(GATEWAY_LISTENER_LOOPBACK, "OPTIONS", "/function/hello");
    assert_refused(401, "Unauthorized");
    assert_true(str_is(x->cors_origin, "https://a.example")); /* the page may read why */
}

static void only_a_deploy_streams_and_has_the_larger_limit(void **state)
{
    (void)state;
    struct config *c = calloc(1, sizeof(*c));
    struct exchange x = {.gateway = &gateway, .request = &request, .listener = GATEWAY_LISTENER_CONTROL, .peer = ""};
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
        cmocka_unit_test_setup_teardown(every_path_of_the_api_has_its_handler, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_function_takes_any_method_and_what_follows_its_name, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_call_is_posted_and_its_result_asked_for, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_call_asks_for_the_functions_auth_each_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_qualifier_names_what_there_is, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_alias_has_a_path_of_its_own, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_qualifier_of_nothing_is_told_what_there_is, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_spelling_of_a_path_reaches_another_route, set_up, tear_down),
        cmocka_unit_test_setup_teardown(names_are_as_long_as_they_may_be, set_up, tear_down),
        cmocka_unit_test_setup_teardown(another_method_is_told_which_there_are, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_control_api_takes_a_credential_over_tcp, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_foreign_host_name_is_misdirected, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_web_page_is_told_that_it_is_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_may_invoke_follows_auth_listener_and_scope, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_route_asks_for_its_scope, set_up, tear_down),
        cmocka_unit_test_setup_teardown(metrics_are_open_on_this_host_and_fenced, set_up, tear_down),
        cmocka_unit_test_setup_teardown(default_auth_is_what_functions_have_that_name_none, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_token_is_not_taken_where_it_can_be_overheard, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_function_does_not_see_faasds_own_credential, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_preflight_is_answered_for_functions_that_have_cors, set_up, tear_down),
        cmocka_unit_test_setup_teardown(only_a_deploy_streams_and_has_the_larger_limit, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
