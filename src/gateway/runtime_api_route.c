/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/runtime_api_route.h"

#include <string.h>

static const struct {
    const char *method;
    const char *before; /* what the path begins with; all of it when `after` is NULL */
    const char *after;  /* what it ends with, behind the id */
    enum runtime_api_route route;
} routes[] = {
    {"GET", "/2018-06-01/runtime/invocation/next", NULL, RUNTIME_API_NEXT},
    {"POST", "/2018-06-01/runtime/invocation/", "/response", RUNTIME_API_RESPONSE},
    {"POST", "/2018-06-01/runtime/invocation/", "/error", RUNTIME_API_ERROR},
    {"POST", "/2018-06-01/runtime/init/error", NULL, RUNTIME_API_INIT_ERROR},
    {"GET", "/2018-06-01/ping", NULL, RUNTIME_API_PING},
    {"PUT", "/2020-08-15/logs", NULL, RUNTIME_API_LOGS},
    {"PUT", "/2022-07-01/telemetry", NULL, RUNTIME_API_TELEMETRY},
};

static bool matches(struct str path, const char *before, const char *after, struct str *ret_id)
{
    *ret_id = (struct str){0};
    if (!after)
        return str_is(path, before);
    size_t head = strlen(before);
    size_t tail = strlen(after);
    if (path.n <= head + tail || !str_starts_with(path, before) || memcmp(path.p + path.n - tail, after, tail) != 0)
        return false;
    struct str id = {path.p + head, path.n - head - tail};
    if (memchr(id.p, '/', id.n))
        return false;
    *ret_id = id;
    return true;
}

enum runtime_api_route runtime_api_find_route(struct str method, struct str path, struct str *ret_id)
{
    bool known = false;
    for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
        if (!matches(path, routes[i].before, routes[i].after, ret_id))
            continue;
        if (str_is(method, routes[i].method))
            return routes[i].route;
        known = true;
    }
    *ret_id = (struct str){0};
    return known ? RUNTIME_API_BAD_METHOD : RUNTIME_API_NOT_FOUND;
}
