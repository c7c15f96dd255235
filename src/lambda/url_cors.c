/* SPDX-License-Identifier: Apache-2.0 */
#include "lambda/url_cors.h"

#include <stdio.h>
#include <string.h>

static struct str find(const struct http1_request *q, const char *name)
{
    const struct http1_field *f = http1_find_field(q->fields, q->field_count, name);
    return f ? f->value : (struct str){0};
}

bool url_cors_is_preflight(const struct http1_request *q)
{
    return str_is(q->method, "OPTIONS") && find(q, "origin").n && find(q, "access-control-request-method").n;
}

/* One star stands for anything: any port, any subdomain, or by itself everybody. */
static bool matches(struct str pattern, struct str origin)
{
    bool star;
    struct str end;
    struct str begin = str_cut(pattern, '*', &end, &star);
    if (!star)
        return pattern.n == origin.n && str_equal(pattern, origin);
    return origin.n >= begin.n + end.n && memcmp(origin.p, begin.p, begin.n) == 0 &&
           (end.n == 0 || memcmp(origin.p + origin.n - end.n, end.p, end.n) == 0);
}

static bool allows(const struct url_cors *c, struct str origin)
{
    struct str rest = str_from(c->origins);
    while (rest.n)
        if (matches(str_trim(str_cut(rest, ',', &rest, NULL)), origin))
            return true;
    return false;
}

static size_t add(char *out, size_t at, const char *name, struct str value)
{
    int n = snprintf(out + at, URL_CORS_FIELDS_MAX - at, "%s: %.*s\r\n", name, (int)value.n, value.p);
    return n > 0 && (size_t)n < URL_CORS_FIELDS_MAX - at ? at + (size_t)n : at;
}

/* With credentials a browser takes no '*': what it asks for is said instead. */
static struct str listed(const struct url_cors *c, const char *list, struct str asked)
{
    bool everything = list && strcmp(list, "*") == 0;
    return everything && c->credentials ? asked : str_from(list);
}

static size_t add_preflight(const struct url_cors *c, const struct http1_request *q, char *out, size_t at)
{
    char seconds[24];
    struct str methods = listed(c, c->methods, find(q, "access-control-request-method"));
    struct str headers = listed(c, c->headers, find(q, "access-control-request-headers"));
    if (methods.n)
        at = add(out, at, "Access-Control-Allow-Methods", methods);
    if (headers.n)
        at = add(out, at, "Access-Control-Allow-Headers", headers);
    if (c->has_max_age) {
        int n = snprintf(seconds, sizeof(seconds), "%lu", (unsigned long)c->max_age_s);
        at = add(out, at, "Access-Control-Max-Age", (struct str){seconds, (size_t)n});
    }
    return at;
}

size_t url_cors_print(const struct url_cors *c, const struct http1_request *q, char out[URL_CORS_FIELDS_MAX])
{
    struct str origin = find(q, "origin");
    size_t at = 0;
    if (!origin.n || !c->origins || !allows(c, origin))
        return 0;
    bool anybody = strcmp(c->origins, "*") == 0 && !c->credentials;
    at = add(out, at, "Access-Control-Allow-Origin", anybody ? STR_LITERAL("*") : origin);
    if (!anybody)
        at = add(out, at, "Vary", STR_LITERAL("Origin"));
    if (c->credentials)
        at = add(out, at, "Access-Control-Allow-Credentials", STR_LITERAL("true"));
    if (url_cors_is_preflight(q))
        return add_preflight(c, q, out, at);
    return c->exposed ? add(out, at, "Access-Control-Expose-Headers", str_from(c->exposed)) : at;
}
