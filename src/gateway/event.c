/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/event.h"

#include "codec/json_check.h"
#include "gateway/payload.h"

static bool is_json_due(const struct settings *s)
{
    return s->runtime == SETTINGS_RUNTIME_PYTHON || s->runtime == SETTINGS_RUNTIME_NODE ||
           s->runtime == SETTINGS_RUNTIME_PROVIDED;
}

/* The check looks no deeper than JSON_CHECK_DEPTH_MAX, and what opens there may be JSON all the same. */
static bool may_be_deep(struct str body, size_t at)
{
    return at >= JSON_CHECK_DEPTH_MAX && (body.p[at] == '[' || body.p[at] == '{');
}

bool event_is_admissible(const struct settings *s, struct str body, size_t *ret_at)
{
    return !is_json_due(s) || body.n == 0 || json_check(body, ret_at);
}

bool event_admit(struct invocation *inv, const struct settings *s)
{
    struct str body = inv->exchange->body;
    size_t at;
    if (payload_is_http(inv, s))
        return payload_admit(inv);
    if (event_is_admissible(s, body, &at))
        return true;
    invocation_fail(inv, INVOCATION_REFUSED, 400, "BadRequest",
                    at == body.n ? "the event is not JSON: it ends too early, at byte %zu"
                    : may_be_deep(body, at)
                        ? "the event is not JSON, or is nested too deeply: byte %zu is where it goes wrong"
                        : "the event is not JSON: byte %zu is where it goes wrong",
                    at);
    return false;
}

struct str event_bytes(const struct invocation *inv, const struct settings *s)
{
    struct str body = inv->exchange->body;
    if (payload_is_http(inv, s))
        return buf_str(&inv->event);
    return body.n == 0 && is_json_due(s) ? STR_LITERAL("{}") : body;
}
