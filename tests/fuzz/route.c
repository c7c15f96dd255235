/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any target, on any listener, of who may or may not: each request is answered once or reaches one handler, a function is reached by its own name alone, nothing
 * behind a door is reached past it, whatever the spelling. The same bytes as an id, a name, an ARN, a qualifier and a piece of a path: what is taken is of
 * its pattern, lies inside, and prints as it was read. Doors and handlers are the test's own.
 *
 * fuzz-sources: src/gateway/versions.c src/gateway/async_config.c src/lambda/name.c
 * fuzz-own: src/gateway/calls.c src/gateway/calls_list.c src/gateway/cors.c src/gateway/credential.c src/gateway/deploy.c src/gateway/invocation.c
 */
#include "gateway/route.h"

#include "base/id.h"
#include "gateway/api.h"
#include "gateway/calls.h"
#include "gateway/calls_list.h"
#include "gateway/cors.h"
#include "gateway/credential.h"
#include "gateway/deploy.h"
#include "gateway/invocation.h"
#include "lambda/name.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static struct {
    unsigned handlers, answers;
    bool control, admitted, function_admitted, entered, invoked, called;
} seen;
static uint8_t doors; /* which are open */

/* --- doors --- */

bool access_admit(struct exchange *x, enum access_level level)
{
    seen.admitted = level == ACCESS_OPEN || doors & 1;
    if (!seen.admitted)
        exchange_error(x, 401, "Unauthorized", "no");
    return seen.admitted;
}

bool access_admit_function(struct exchange *x, const struct function *f)
{
    assert(str_is(str_from(f->name), "hello"));
    seen.function_admitted = doors & 2;
    if (!seen.function_admitted)
        exchange_error(x, 401, "Unauthorized", "no");
    return seen.function_admitted;
}

bool access_enter_control(struct exchange *x)
{
    seen.entered = doors & 4;
    if (!seen.entered)
        exchange_error(x, 401, "Unauthorized", "no");
    return seen.entered;
}

bool cors_apply(struct exchange *x, const struct settings *s)
{
    (void)x;
    (void)s;
    return false;
}

void credential_hide(struct exchange *x)
{
    (void)x;
}

void credential_demand(struct exchange *x, const char *format, ...)
{
    (void)format;
    exchange_error(x, 401, "Unauthorized", "no");
}

/* --- handlers --- */

static void ran(const struct exchange *x, struct str name)
{
    assert(!x->ended && seen.admitted && (!name.n || settings_name_is_valid(name)));
    seen.handlers++;
    seen.control = true;
}

#define HANDLER(f)                                                                                                     \
    void f(struct exchange *x, struct str name)                                                                        \
    {                                                                                                                  \
        ran(x, name);                                                                                                  \
    }
#include "../unit/gateway/route_handlers.h"

static struct version version = {.number = 3};
static struct versions_known numbers[] = {{.number = 1}, {.number = 3}};
static struct versions_alias prod = {.name = "prod", .number = 1};
static struct versions_alias *aliases[] = {&prod};
static struct function function = {.name = "hello",
                                   .current = &version,
                                   .versions = {.known = numbers, .count = 2, .aliases = aliases, .alias_count = 1}};

struct function *api_find_function(struct exchange *x, struct str name)
{
    assert(settings_name_is_valid(name));
    if (str_is(name, function.name))
        return &function;
    exchange_error(x, 404, "ResourceNotFound", "no function");
    return NULL;
}

/* "/function/hello", and then its end, a qualifier or a further path. */
static void check_path(struct str path, const char *prefix)
{
    assert(str_starts_with(path, prefix));
    struct str rest = str_skip(path, strlen(prefix));
    assert(str_starts_with(rest, "hello"));
    rest = str_skip(rest, 5);
    assert(!rest.n || *rest.p == '/' || *rest.p == ':' || str_starts_with(rest, "%3A") || str_starts_with(rest, "%3a"));
}

void invocation_start_version(struct exchange *x, struct function *f, uint64_t number, struct str path)
{
    assert(f == &function && !x->ended && seen.function_admitted);
    assert(number == VERSIONS_LATEST_NUMBER || number == 1 || number == 3);
    assert(!path.n || *path.p == '/');
    assert(x->listener != GATEWAY_LISTENER_METRICS);
    check_path(x->request->path, "/function/");
    seen.handlers++;
    seen.invoked = true;
}

void calls_accept(struct exchange *x, struct str name)
{
    assert(seen.function_admitted && str_is(name, "hello") && str_is(x->request->method, "POST"));
    check_path(x->request->path, "/async-function/");
    seen.handlers++;
    seen.called = true;
}

void calls_answer(struct exchange *x, struct str name, struct str id)
{
    (void)id;
    assert(seen.function_admitted && str_is(name, "hello"));
    check_path(x->request->path, "/async-function/");
    seen.handlers++;
    seen.called = true;
}

void exchange_reply(struct exchange *x, const struct reply *r)
{
    assert(!x->ended && r->status >= 200);
    x->ended = true;
    seen.answers++;
}

void exchange_error_full(struct exchange *x, int status, const char *type, struct str message, struct str trace,
                         const char *fields)
{
    (void)trace;
    (void)fields;
    assert(!x->ended && status >= 400 && *type && message.n);
    x->ended = true;
    seen.answers++;
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

/* --- routes --- */

static void check_route(enum gateway_listener_kind listener, const struct http1_request *request)
{
    static struct config config;
    static struct gateway gateway = {.config = &config};
    struct exchange x = {
        .gateway = &gateway, .request = request, .listener = listener, .host = request->host, .peer = ""};
    memset(&seen, 0, sizeof(seen));
    const struct route *r = route_find(&x);
    assert((r == NULL) == x.ended);
    if (r)
        route_run(r, &x);
    assert(seen.handlers + seen.answers == 1);
    bool metrics = str_is(request->path, "/metrics"), open = metrics || str_is(request->path, "/healthz");
    if (seen.control && !open)
        assert(str_starts_with(request->path, "/v1/") && seen.entered && doors & 1);
    if (listener == GATEWAY_LISTENER_METRICS && seen.handlers)
        assert(open);
    if (listener == GATEWAY_LISTENER_INVOKE && seen.handlers)
        assert(!metrics);
}

static void fuzz_route(uint8_t how, struct str target)
{
    static const char *const methods[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PURGE"};
    static struct http1_request request;
    const struct http1_limits limits = {.head_bytes = 65536, .fields = 8};
    struct http1_progress progress = {0};
    struct http1_refusal refusal;
    size_t head;
    char *text = malloc(target.n + 64);
    assert(text);
    int n = sprintf(text, "%s ", methods[how % 8]);
    memcpy(text + n, target.p, target.n);
    size_t all = (size_t)n + target.n + (size_t)sprintf(text + n + target.n, " HTTP/1.1\r\nHost: localhost\r\n\r\n");
    if (http1_parse_request(&request, &progress, text, all, &limits, &head, &refusal) == HTTP1_DONE)
        check_route((enum gateway_listener_kind)(how / 8 % 5), &request);
    free(text);
}

/* --- ids, names, escapes --- */

static bool is_inside(struct str part, struct str whole)
{
    return !part.n || (part.p >= whole.p && part.p + part.n <= whole.p + whole.n);
}

static void fuzz_id(struct str text)
{
    uint8_t bytes[ID_UUID_BYTES];
    char printed[ID_UUID_MAX];
    if (!id_uuid_parse(text, bytes))
        return;
    id_uuid_print(bytes, printed);
    assert(str_is(text, printed));
}

static void fuzz_names(struct str text)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
    bool plain = text.n >= 1 && text.n <= 64;
    for (size_t i = 0; i < text.n; i++)
        plain &= text.p[i] && strchr(letters, text.p[i]) != NULL;
    assert(settings_name_is_valid(text) == plain);
    struct lambda_name name;
    bool matches = lambda_name_parse(text, &name);
    assert(matches == lambda_name_matches(text));
    if (matches)
        assert(name.name.n && is_inside(name.name, text) && is_inside(name.qualifier, text) &&
               is_inside(name.region, text) && is_inside(name.account, text));
    uint64_t number = 99;
    enum versions_found found = versions_resolve(&function.versions, text, &number);
    assert(found != VERSIONS_FOUND || number == VERSIONS_LATEST_NUMBER || number == 1 || number == 3);
    assert(found == VERSIONS_FOUND || number == 99);
}

/* What it decodes to, encoded again where it was, is what it was. */
static void fuzz_escapes(struct str text)
{
    char out[64];
    size_t n = 0, at = 0;
    if (!http1_percent_decode(text, out, sizeof(out), &n))
        return;
    assert(n <= sizeof(out) && !memchr(out, '\0', n));
    for (size_t i = 0; i < n; i++) {
        if (text.p[at] == '%') {
            const char digits[] = {text.p[at + 1], text.p[at + 2], '\0'};
            assert((unsigned char)out[i] == strtoul(digits, NULL, 16));
            at += 3;
        } else {
            assert(out[i] == text.p[at]);
            at++;
        }
    }
    assert(at == text.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n < 2)
        return 0;
    char *copy = malloc(n - 2 + 1);
    assert(copy);
    memcpy(copy, data + 2, n - 2);
    struct str text = {copy, n - 2};
    doors = data[0];
    fuzz_route(data[1], text);
    fuzz_id(text);
    fuzz_names(text);
    fuzz_escapes(text);
    free(copy);
    return 0;
}
