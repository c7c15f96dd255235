/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/cors.h"

#include <stdio.h>
#include <string.h>

enum { REQUESTED_MAX = 512 /* bytes of the fields' names that a page wants to send */ };

static const char ALLOW_ORIGIN[] = "Access-Control-Allow-Origin:";

static struct str find(const struct exchange *x, const char *name)
{
    const struct http1_field *f = http1_find_field(x->request->fields, x->request->field_count, name);
    return f ? f->value : (struct str){0};
}

/* Names of fields with commas between: they are said again as they came. */
static bool is_list_of_names(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                    c == '_' || c == ',' || c == ' ';
        if (!good)
            return false;
    }
    return s.n > 0 && s.n <= REQUESTED_MAX;
}

static void answer_preflight(struct exchange *x)
{
    char fields[REQUESTED_MAX + 256];
    struct str names = find(x, "access-control-request-headers");
    bool allowed = x->cors_origin.n > 0;
    int n = 0;
    if (allowed)
        n = snprintf(fields, sizeof(fields),
                     "Access-Control-Allow-Methods: GET, HEAD, POST, PUT, PATCH, DELETE\r\n"
                     "Access-Control-Max-Age: 600\r\n");
    if (allowed && is_list_of_names(names))
        n += snprintf(fields + n, sizeof(fields) - (size_t)n, "Access-Control-Allow-Headers: %.*s\r\n", (int)names.n,
                      names.p);
    /* The reply itself says whether the origin is allowed (exchange_reply). */
    struct reply r = {.status = 204, .fields = {fields, (size_t)n}};
    exchange_reply(x, &r);
}

bool cors_apply(struct exchange *x, const struct settings *s)
{
    struct str origin = find(x, "origin");
    if (!origin.n)
        return false;
    if (settings_cors_allows(s, origin))
        x->cors_origin = s->cors[0] == '*' ? STR_LITERAL("*") : origin;
    if (!str_is(x->request->method, "OPTIONS") || !find(x, "access-control-request-method").n)
        return false;
    answer_preflight(x);
    return true;
}

static bool says_already(struct str lines)
{
    while (lines.n) {
        struct str line = str_cut(lines, '\n', &lines, NULL);
        if (line.n >= sizeof(ALLOW_ORIGIN) - 1 &&
            str_is_nocase((struct str){line.p, sizeof(ALLOW_ORIGIN) - 1}, ALLOW_ORIGIN))
            return true;
    }
    return false;
}

size_t cors_print(const struct exchange *x, struct str given, char out[CORS_FIELDS_MAX])
{
    if (!x->cors_origin.n || says_already(given))
        return 0;
    int n = snprintf(out, CORS_FIELDS_MAX,
                     "%s %.*s\r\n%sAccess-Control-Expose-Headers: X-Request-Id, X-Faasd-Error, X-Faasd-Start, "
                     "X-Duration-Seconds, Server-Timing, Retry-After\r\n",
                     ALLOW_ORIGIN, (int)x->cors_origin.n, x->cors_origin.p,
                     str_is(x->cors_origin, "*") ? "" : "Vary: Origin\r\n");
    return (size_t)n;
}
