/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a request may reach. Functions are open to every listener (their own `auth` decides), the control API to control.sock alone: over TCP it
 * would need credentials, which do not exist yet. What a browser could be made to send is told apart first, so that its
 * user learns why (421, then the refusal).
 */
#include "gateway/route.h"

#include "gateway/api.h"
#include "gateway/deploy.h"
#include "gateway/invocation.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

enum route_body { ROUTE_BODY_REQUEST, ROUTE_BODY_ARCHIVE };

struct route {
    const char *method; /* NULL: any */
    const char *
        pattern; /* '*' is one path segment: the first a function's or secret's name, the next its handler's business */
    void (*run)(struct exchange *x, struct str name);
    enum route_body body;
    bool streams; /* `run` is called before the body */
};

static void run_function(struct exchange *x, struct str name);

static const struct route function_route = {.run = run_function};

static const struct route table[] = {
    {"GET", "/healthz", api_health, ROUTE_BODY_REQUEST, false},
    {"GET", "/v1/system", api_system, ROUTE_BODY_REQUEST, false},
    {"GET", "/v1/config", api_config, ROUTE_BODY_REQUEST, false},
    {"GET", "/v1/functions", api_functions_list, ROUTE_BODY_REQUEST, false},
    {"GET", "/v1/functions/*", api_functions_describe, ROUTE_BODY_REQUEST, false},
    {"PUT", "/v1/functions/*", deploy_put, ROUTE_BODY_ARCHIVE, true},
    {"PATCH", "/v1/functions/*", deploy_patch, ROUTE_BODY_REQUEST, false},
    {"DELETE", "/v1/functions/*", deploy_delete, ROUTE_BODY_REQUEST, false},
    {"GET", "/v1/functions/*/logs", api_logs, ROUTE_BODY_REQUEST, false},
    {"POST", "/v1/functions/*/shell", api_shell, ROUTE_BODY_REQUEST, false},
    {"POST", "/v1/functions/*/rollback", deploy_rollback, ROUTE_BODY_REQUEST, false},
    {"GET", "/v1/functions/*/versions", api_versions, ROUTE_BODY_REQUEST, false},
    {"GET", "/v1/functions/*/aliases", api_aliases, ROUTE_BODY_REQUEST, false},
    {"GET", "/v1/functions/*/aliases/*", api_alias_get, ROUTE_BODY_REQUEST, false},
    {"PUT", "/v1/functions/*/aliases/*", api_alias_put, ROUTE_BODY_REQUEST, false},
    {"DELETE", "/v1/functions/*/aliases/*", api_alias_delete, ROUTE_BODY_REQUEST, false},
    {"GET", "/v1/secrets", api_secrets_list, ROUTE_BODY_REQUEST, false},
    {"PUT", "/v1/secrets/*", api_secrets_put, ROUTE_BODY_REQUEST, false},
    {"DELETE", "/v1/secrets/*", api_secrets_delete, ROUTE_BODY_REQUEST, false},
};
enum { TABLE_ROWS = sizeof(table) / sizeof(table[0]) };

static const char function_prefix[] = "/function/";
static const char control_prefix[] = "/v1/";

static bool pattern_matches(const char *pattern, struct str path, struct str *ret_name)
{
    *ret_name = (struct str){0};
    for (; *pattern; pattern++) {
        if (*pattern != '*') {
            if (path.n == 0 || *path.p != *pattern)
                return false;
            path = str_skip(path, 1);
            continue;
        }
        size_t n = 0;
        while (n < path.n && path.p[n] != '/')
            n++;
        if (n == 0)
            return false;
        if (!ret_name->n)
            *ret_name = (struct str){path.p, n};
        path = str_skip(path, n);
    }
    return path.n == 0;
}

static bool method_matches(const struct route *r, struct str method)
{
    return str_is(method, r->method) || (str_is(method, "HEAD") && strcmp(r->method, "GET") == 0);
}

/* --- what stands between a browser and the control API over TCP --- */

static bool is_literal_address(struct str host)
{
    char text[INET6_ADDRSTRLEN];
    unsigned char address[16];
    if (host.n > 2 && host.p[0] == '[' && host.p[host.n - 1] == ']')
        return str_copy((struct str){host.p + 1, host.n - 2}, text, sizeof(text)) &&
               inet_pton(AF_INET6, text, address) == 1;
    return str_copy(host, text, sizeof(text)) && inet_pton(AF_INET, text, address) == 1;
}

/* A name that only an attacker's DNS server points at this machine is not among these (DNS rebinding). */
static bool host_is_ours(struct str host, const char *hostname)
{
    size_t n = host.n;
    while (n > 0 && host.p[n - 1] >= '0' && host.p[n - 1] <= '9')
        n--;
    if (n > 0 && n < host.n && host.p[n - 1] == ':')
        host.n = n - 1;
    static const char *const loopback[] = {"localhost", "ip6-localhost", "localhost.localdomain"};
    for (size_t i = 0; i < sizeof(loopback) / sizeof(loopback[0]); i++)
        if (str_is_nocase(host, loopback[i]))
            return true;
    return is_literal_address(host) || (hostname[0] && str_is_nocase(host, hostname));
}

static bool comes_from_elsewhere(const struct http1_request *r)
{
    const struct http1_field *site = http1_find_field(r->fields, r->field_count, "sec-fetch-site");
    return http1_find_field(r->fields, r->field_count, "origin") ||
           (site && !str_is(site->value, "same-origin") && !str_is(site->value, "none"));
}

static bool admit_to_control(struct exchange *x)
{
    if (x->listener == GATEWAY_LISTENER_CONTROL)
        return true;
    if (x->listener == GATEWAY_LISTENER_INVOKE) {
        exchange_error(x, 403, "Forbidden", "this socket only invokes functions; the control API is on control.sock");
        return false;
    }
    if (!host_is_ours(x->request->host, x->gateway->boot->hostname))
        exchange_error(x, 421, "MisdirectedRequest", "the Host '%.*s' is not a name of this machine",
                       (int)x->request->host.n, x->request->host.p);
    else if (comes_from_elsewhere(x->request))
        exchange_error(x, 403, "Forbidden", "the control API takes no requests from web pages");
    else
        exchange_error(x, 403, "Forbidden", "the control API needs credentials over TCP; use control.sock");
    return false;
}

/* --- functions --- */

struct target {
    struct str name;
    struct str qualifier; /* as it came; empty when absent */
    bool qualified;
    struct str rest; /* "" or "/..." */
};

/* Clients that encode a whole segment make %3A of the colon. */
static void cut_qualifier(struct target *t)
{
    struct str all = t->name;
    for (size_t i = 0; i < all.n; i++) {
        struct str rest = str_skip(all, i);
        bool encoded = str_starts_with(rest, "%3A") || str_starts_with(rest, "%3a");
        if (!encoded && *rest.p != ':')
            continue;
        t->name.n = i;
        t->qualifier = str_skip(rest, encoded ? 3 : 1);
        t->qualified = true;
        return;
    }
}

static struct target split_target(struct str path)
{
    struct target t = {.name = str_skip(path, sizeof(function_prefix) - 1)};
    for (size_t i = 0; i < t.name.n; i++) {
        if (t.name.p[i] != '/')
            continue;
        t.rest = str_skip(t.name, i);
        t.name.n = i;
        break;
    }
    cut_qualifier(&t);
    return t;
}

static bool check_name(struct exchange *x, struct str name)
{
    if (settings_name_is_valid(name))
        return true;
    exchange_error(x, 400, "BadRequest", "'%.*s' is no name: 1 to 64 of A-Z a-z 0-9 _ -",
                   (int)(name.n < 80 ? name.n : 80), name.p);
    return false;
}

/* What the qualifier names, an alias with two versions drawn for; false: the exchange was ended. */
static bool find_number(struct exchange *x, const struct function *f, const struct target *t, uint64_t *ret_number)
{
    char text[VERSIONS_ALIAS_MAX];
    char choices[VERSIONS_CHOICES_MAX];
    struct str q = {text, 0};
    *ret_number = VERSIONS_LATEST_NUMBER;
    if (!t->qualified)
        return true;
    enum versions_found found = VERSIONS_MALFORMED;
    if (http1_percent_decode(t->qualifier, text, sizeof(text), &q.n))
        found = versions_resolve(&f->versions, q, ret_number);
    if (found == VERSIONS_FOUND)
        return true;
    int shown = t->qualifier.n < 80 ? (int)t->qualifier.n : 80;
    versions_print_choices(&f->versions, choices);
    if (found == VERSIONS_MALFORMED)
        exchange_error(x, 400, "BadRequest",
                       "'%.*s' is neither a version's number nor an alias (A-Z a-z 0-9 _ -, at most 128, not digits "
                       "alone) nor $LATEST; function '%s' has %s",
                       shown, t->qualifier.p, f->name, choices);
    else
        exchange_error(x, 404, "ResourceNotFound", "function '%s' has no version or alias '%.*s'; it has %s", f->name,
                       shown, t->qualifier.p, choices);
    return false;
}

/* The settings that count are the current ones, whichever version is called: an old revision must not open again what was closed since. */
static bool check_auth(struct exchange *x, const struct function *f)
{
    enum settings_auth auth = f->current->settings.auth;
    if (x->listener == GATEWAY_LISTENER_CONTROL || auth == SETTINGS_AUTH_ANONYMOUS)
        return true;
    if (auth == SETTINGS_AUTH_DEFAULT && x->listener != GATEWAY_LISTENER_REMOTE)
        return true;
    char message[256];
    if (auth == SETTINGS_AUTH_ADMIN)
        snprintf(message, sizeof(message), "function '%s' has auth 'admin': only control.sock may invoke it", f->name);
    else
        snprintf(message, sizeof(message),
                 "function '%s' needs a token here: set its auth to 'anonymous', or use control.sock", f->name);
    exchange_error_full(x, 401, "Unauthorized", str_from(message), (struct str){0},
                        "WWW-Authenticate: Bearer realm=\"faasd\"\r\n");
    return false;
}

/* The function that may be invoked by this request, or NULL when it was answered. */
static struct function *find_invocable(struct exchange *x, const struct target *t, uint64_t *ret_number)
{
    if (!check_name(x, t->name))
        return NULL;
    struct function *f = api_find_function(x, t->name);
    if (!f || !check_auth(x, f) || !find_number(x, f, t, ret_number))
        return NULL;
    return f;
}

/* Looked up again: the function may have gone, or changed, while the body came. */
static void run_function(struct exchange *x, struct str name)
{
    struct target t = split_target(x->request->path);
    uint64_t number;
    struct function *f = find_invocable(x, &t, &number);
    (void)name;
    if (f)
        invocation_start_version(x, f, number, t.rest);
}

/* --- the table --- */

/* 405, or the answer to OPTIONS: both tell what there is. */
static void reply_allowed(struct exchange *x, const char *allowed)
{
    char fields[128];
    bool asked = str_is(x->request->method, "OPTIONS");
    int n = snprintf(fields, sizeof(fields), "Allow: %s\r\n", allowed);
    assert(n > 0 && (size_t)n < sizeof(fields));
    if (asked) {
        struct reply r = {.status = 204, .fields = {fields, (size_t)n}};
        exchange_reply(x, &r);
        return;
    }
    char message[160];
    snprintf(message, sizeof(message), "%.*s is not a method of this path; %s are", (int)x->request->method.n,
             x->request->method.p, allowed);
    exchange_error_full(x, 405, "MethodNotAllowed", str_from(message), (struct str){0}, fields);
}

static const struct route *find_in_table(struct exchange *x)
{
    const struct http1_request *q = x->request;
    char allowed[64] = "OPTIONS";
    bool known = false;
    for (size_t i = 0; i < TABLE_ROWS; i++) {
        struct str name;
        if (!pattern_matches(table[i].pattern, q->path, &name))
            continue;
        if (name.n && !known && !check_name(x, name))
            return NULL;
        if (method_matches(&table[i], q->method))
            return &table[i];
        known = true;
        size_t at = strlen(allowed);
        snprintf(allowed + at, sizeof(allowed) - at, ", %s%s", table[i].method,
                 strcmp(table[i].method, "GET") ? "" : ", HEAD");
    }
    if (known)
        reply_allowed(x, allowed);
    else
        exchange_error(x, 404, "ResourceNotFound", "there is nothing at '%.*s'",
                       (int)(q->path.n < 200 ? q->path.n : 200), q->path.p);
    return NULL;
}

const struct route *route_find(struct exchange *x)
{
    struct str path = x->request->path;
    if (str_is(path, "*")) {
        reply_allowed(x, "OPTIONS, GET, HEAD, POST, PUT, PATCH, DELETE");
        return NULL;
    }
    if (str_starts_with(path, function_prefix)) {
        struct target t = split_target(path);
        uint64_t ignored; /* found again when the body is complete */
        return find_invocable(x, &t, &ignored) ? &function_route : NULL;
    }
    if (str_starts_with(path, control_prefix) && !admit_to_control(x))
        return NULL;
    return find_in_table(x);
}

bool route_streams_body(const struct route *r)
{
    return r->streams;
}

uint64_t route_body_max(const struct route *r, const struct config *c)
{
    return r->body == ROUTE_BODY_ARCHIVE ? c->archive_bytes_max : c->request_bytes_max;
}

const char *route_body_key(const struct route *r)
{
    return r->body == ROUTE_BODY_ARCHIVE ? "archive_bytes" : "request_bytes";
}

void route_run(const struct route *r, struct exchange *x)
{
    struct str name = {0};
    if (r->pattern)
        pattern_matches(r->pattern, x->request->path, &name);
    r->run(x, name);
}
