/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a request may reach: the table says for each route what it asks of whom (gateway/access.h). Functions are open to every listener, their own `auth` decides. Below /v1/ the door comes
 * first: whoever has no credential does not learn which paths there are.
 */
#include "gateway/route.h"

#include "gateway/access.h"
#include "gateway/api.h"
#include "gateway/calls.h"
#include "gateway/calls_list.h"
#include "gateway/cors.h"
#include "gateway/credential.h"
#include "gateway/deploy.h"
#include "gateway/face.h"
#include "gateway/invocation.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static void run_function(struct exchange *x, struct str name);
static void run_async(struct exchange *x, struct str name);

static const struct route function_route = {.run = run_function};
static const struct route async_route = {.run = run_async, .body = ROUTE_BODY_ASYNC};

/* A buffered body up to request_bytes. */
#define PLAIN ROUTE_BODY_REQUEST, false, 0, NULL

static const struct route table[] = {
    {"GET", "/healthz", api_health, ACCESS_OPEN, PLAIN},
    {"GET", "/metrics", api_metrics, ACCESS_METRICS, PLAIN},
    {"GET", "/v1/invocations", api_invocations_list, ACCESS_READ, PLAIN},
    {"GET", "/v1/invocations/*", api_invocations_show, ACCESS_READ, PLAIN},
    {"GET", "/v1/invocations/*/event", api_invocations_event, ACCESS_READ, PLAIN},
    {"POST", "/v1/exec", api_exec, ACCESS_DEPLOY, PLAIN},
    {"GET", "/v1/bill", api_bill, ACCESS_READ, PLAIN},
    {"GET", "/v1/system", api_system, ACCESS_READ, PLAIN},
    {"GET", "/v1/config", api_config, ACCESS_READ, PLAIN},
    {"GET", "/v1/functions", api_functions_list, ACCESS_READ, PLAIN},
    {"GET", "/v1/functions/*", api_functions_describe, ACCESS_READ, PLAIN},
    {"PUT", "/v1/functions/*", deploy_put, ACCESS_DEPLOY, ROUTE_BODY_ARCHIVE, true, 0, NULL},
    {"PATCH", "/v1/functions/*", deploy_patch, ACCESS_DEPLOY, PLAIN},
    {"DELETE", "/v1/functions/*", deploy_delete, ACCESS_DEPLOY, PLAIN},
    {"GET", "/v1/functions/*/logs", api_logs, ACCESS_READ, PLAIN},
    {"POST", "/v1/functions/*/shell", api_shell, ACCESS_ADMIN, PLAIN},
    {"POST", "/v1/functions/*/rollback", deploy_rollback, ACCESS_DEPLOY, PLAIN},
    {"POST", "/v1/functions/*/redrive", calls_api_redrive_all, ACCESS_DEPLOY, PLAIN},
    {"GET", "/v1/functions/*/versions", api_versions, ACCESS_READ, PLAIN},
    {"GET", "/v1/functions/*/learned", api_learned, ACCESS_READ, PLAIN},
    {"GET", "/v1/functions/*/aliases", api_aliases, ACCESS_READ, PLAIN},
    {"GET", "/v1/functions/*/aliases/*", api_alias_get, ACCESS_READ, PLAIN},
    {"PUT", "/v1/functions/*/aliases/*", api_alias_put, ACCESS_DEPLOY, PLAIN},
    {"DELETE", "/v1/functions/*/aliases/*", api_alias_delete, ACCESS_DEPLOY, PLAIN},
    {"GET", "/v1/secrets", api_secrets_list, ACCESS_READ, PLAIN},
    {"PUT", "/v1/secrets/*", api_secrets_put, ACCESS_DEPLOY, PLAIN},
    {"DELETE", "/v1/secrets/*", api_secrets_delete, ACCESS_DEPLOY, PLAIN},
    {"GET", "/v1/tokens", api_tokens_list, ACCESS_ADMIN, PLAIN},
    {"POST", "/v1/tokens", api_tokens_create, ACCESS_ADMIN, PLAIN},
    {"DELETE", "/v1/tokens/*", api_tokens_delete, ACCESS_ADMIN, PLAIN},
    {"GET", "/v1/calls", calls_api_stats, ACCESS_READ, PLAIN},
    {"GET", "/v1/calls/*", calls_api_show, ACCESS_READ, PLAIN},
    {"GET", "/v1/calls/*/result", calls_api_result, ACCESS_READ, PLAIN},
    {"POST", "/v1/calls/*/cancel", calls_api_cancel, ACCESS_DEPLOY, PLAIN},
    {"POST", "/v1/calls/*/redrive", calls_api_redrive, ACCESS_DEPLOY, PLAIN},
};
enum { TABLE_ROWS = sizeof(table) / sizeof(table[0]) };

static const char function_prefix[] = "/function/";
static const char async_prefix[] = "/async-function/";
static const char control_prefix[] = "/v1/";
static const char metrics_path[] = "/metrics";

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
        if (all.p[i] != ':' && all.p[i] != '%')
            continue;
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

/* Of a path that begins with `prefix`. */
static struct target split_target(struct str path, const char *prefix)
{
    struct target t = {.name = str_skip(path, strlen(prefix))};
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

static void refuse_qualifier(struct exchange *x, const struct function *f, const struct target *t,
                             enum versions_found found)
{
    char choices[VERSIONS_CHOICES_MAX];
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
}

/* An alias with two versions is drawn for; false: the exchange was ended. */
static bool resolve_qualifier(struct exchange *x, const struct function *f, const struct target *t,
                              uint64_t *ret_number)
{
    char text[VERSIONS_ALIAS_MAX];
    struct str q = {text, 0};
    enum versions_found found = VERSIONS_MALFORMED;
    if (http1_percent_decode(t->qualifier, text, sizeof(text), &q.n))
        found = versions_resolve(&f->versions, q, ret_number);
    if (found == VERSIONS_FOUND)
        x->qualifier = t->qualifier;
    else
        refuse_qualifier(x, f, t, found);
    return found == VERSIONS_FOUND;
}

/* The number that is called; false: the exchange was ended. */
static bool find_number(struct exchange *x, const struct function *f, const struct target *t, uint64_t *ret_number)
{
    *ret_number = VERSIONS_LATEST_NUMBER;
    x->qualifier = (struct str){0};
    return !t->qualified || resolve_qualifier(x, f, t, ret_number);
}

/* The function that may be invoked by this request, or NULL when it was answered. */
static struct function *find_invocable(struct exchange *x, const struct target *t, uint64_t *ret_number)
{
    if (!check_name(x, t->name))
        return NULL;
    struct function *f = api_find_function(x, t->name);
    /* The settings that count are the current ones, whichever version is called: an old revision must not open again what was closed since. Who may not
     * invoke is not told which versions there are. */
    if (!f || (f->current->settings.cors[0] && cors_apply(x, &f->current->settings)) || !access_admit_function(x, f) ||
        !find_number(x, f, t, ret_number))
        return NULL;
    return f;
}

/* Looked up again: the function may have gone, or changed, while the body came. Not so when it came with the head. */
static void run_function(struct exchange *x, struct str name)
{
    struct target t = split_target(x->request->path, function_prefix);
    uint64_t number = x->found_number;
    struct function *f = x->found ? x->found : find_invocable(x, &t, &number);
    x->found = NULL;
    (void)name;
    if (!f)
        return;
    if (x->check) { /* nobody hashed the body for a signature that nobody had asked for */
        credential_demand(x, "the auth of function '%s' changed while the request came: send it again", f->name);
        return;
    }
    credential_hide(x);
    invocation_start_version(x, f, number, t.rest);
}

void route_run_function(struct exchange *x)
{
    run_function(x, (struct str){0});
}

/* POST is a call, GET asks for what came of one. */
static void run_async(struct exchange *x, struct str name)
{
    struct target t = split_target(x->request->path, async_prefix);
    uint64_t ignored; /* found again when it is run: an alias may have moved by then */
    (void)name;
    if (!find_invocable(x, &t, &ignored))
        return;
    if (x->check) {
        credential_demand(x, "the auth of a function changed while the request came: send it again");
        return;
    }
    credential_hide(x); /* nobody's credential is stored */
    if (str_is(x->request->method, "POST"))
        calls_accept(x, t.name);
    else
        calls_answer(x, t.name, str_skip(t.rest, 1));
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
            return access_admit(x, table[i].access) ? &table[i] : NULL;
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

static const struct route *find_async(struct exchange *x)
{
    struct target t = split_target(x->request->path, async_prefix);
    struct str method = x->request->method;
    bool asks = t.rest.n > 1;
    if (!str_is(method, "POST") && !(asks && (str_is(method, "GET") || str_is(method, "HEAD")))) {
        reply_allowed(x, asks ? "OPTIONS, POST, GET, HEAD" : "OPTIONS, POST");
        return NULL;
    }
    uint64_t ignored;
    return find_invocable(x, &t, &ignored) ? &async_route : NULL;
}

const struct route *route_find(struct exchange *x)
{
    struct str path = x->request->path;
    if (str_equal(path, STR_LITERAL("*"))) {
        reply_allowed(x, "OPTIONS, GET, HEAD, POST, PUT, PATCH, DELETE");
        return NULL;
    }
    if (x->listener == GATEWAY_LISTENER_INVOKE && str_is(path, metrics_path)) {
        exchange_error(x, 403, "Forbidden",
                       "this socket only invokes functions; metrics are on loopback and control.sock");
        return NULL;
    }
    if (x->listener == GATEWAY_LISTENER_METRICS && !str_is(path, metrics_path) && !str_is(path, "/healthz")) {
        exchange_error(x, 403, "Forbidden", "this address serves /metrics and /healthz only");
        return NULL;
    }
    const struct face *face = x->gateway->face;
    if (x->gateway->config->url_domain[0] && face && face->claims_host(x)) {
        x->face = face;
        return face->find(x);
    }
    if (str_starts_with(path, function_prefix)) {
        struct target t = split_target(path, function_prefix);
        x->found = find_invocable(x, &t, &x->found_number);
        return x->found ? &function_route : NULL;
    }
    if (str_starts_with(path, async_prefix))
        return find_async(x);
    if (face && face->claims(x->request)) {
        x->face = face;
        return face->find(x);
    }
    if (str_starts_with(path, control_prefix) && !access_enter_control(x))
        return NULL;
    return find_in_table(x);
}

bool route_streams_body(const struct route *r)
{
    return r->streams;
}

uint64_t route_body_max(const struct route *r, const struct config *c)
{
    if (r->body == ROUTE_BODY_OWN)
        return r->streams || r->body_max < c->request_bytes_max ? r->body_max : c->request_bytes_max;
    if (r->body == ROUTE_BODY_CODE)
        return r->body_max;
    if (r->body == ROUTE_BODY_ASYNC)
        return c->async_body_max;
    return r->body == ROUTE_BODY_ARCHIVE ? c->archive_bytes_max : c->request_bytes_max;
}

const char *route_body_key(const struct route *r)
{
    if (r->body == ROUTE_BODY_OWN || r->body == ROUTE_BODY_CODE)
        return r->body_key;
    if (r->body == ROUTE_BODY_ASYNC)
        return "async.body";
    return r->body == ROUTE_BODY_ARCHIVE ? "archive_bytes" : "request_bytes";
}

void route_run(const struct route *r, struct exchange *x)
{
    struct str name = {0};
    if (r->pattern)
        pattern_matches(r->pattern, x->request->path, &name);
    r->run(x, name);
}
