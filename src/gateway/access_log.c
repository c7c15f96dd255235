/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/access_log.h"

#include "base/clock.h"
#include "codec/json.h"
#include "gateway/store.h"

#include <string.h>

enum { TARGET_MAX = 2048, LINE_MAX_BYTES = 8192, AGENT_MAX = 256 };

static const char *listener_name(enum gateway_listener_kind kind)
{
    static const char *const NAMES[] = {
        [GATEWAY_LISTENER_LOOPBACK] = "loopback", [GATEWAY_LISTENER_REMOTE] = "remote",
        [GATEWAY_LISTENER_INVOKE] = "invoke",     [GATEWAY_LISTENER_CONTROL] = "control",
        [GATEWAY_LISTENER_METRICS] = "metrics",
    };
    return NAMES[kind];
}

static struct str cut(struct str text, size_t max)
{
    return text.n > max ? (struct str){text.p, max} : text;
}

/* Until it expires, a signature in the query makes whoever reads it the caller; whose it is doesn't matter here. */
static struct str hide_signature(struct str target, char room[TARGET_MAX])
{
    struct str query, value;
    str_cut(target, '?', &query, NULL);
    if (!http1_query_find(query, "X-Amz-Signature", &value))
        return target;
    memcpy(room, target.p, target.n);
    http1_query_blank(room + (target.n - query.n), query.n, "X-Amz-Signature");
    return (struct str){room, target.n};
}

static void put_request(struct json_writer *w, const struct http1_request *q)
{
    char room[TARGET_MAX];
    const struct http1_field *agent = http1_find_field(q->fields, q->field_count, "user-agent");
    json_put_str(w, "method", q->method);
    json_put_str(w, "target", hide_signature(cut(q->target, TARGET_MAX), room));
    if (agent)
        json_put_str(w, "user_agent", cut(agent->value, AGENT_MAX));
}

static void print(const struct exchange *x, uint64_t dropped, struct buf *out)
{
    struct json_writer w;
    char time[CLOCK_RFC3339_MAX];
    clock_format_rfc3339(clock_real_ms(), time);
    json_writer_init(&w, out);
    json_put_object(&w, NULL);
    json_put_text(&w, "time", time);
    json_put_text(&w, "id", x->id);
    if (x->caller_id.n && x->has_request)
        json_put_str(&w, "caller_id", cut(x->caller_id, AGENT_MAX));
    json_put_text(&w, "listener", listener_name(x->listener));
    if (x->peer && x->peer[0])
        json_put_text(&w, "peer", x->peer);
    if (x->has_request)
        put_request(&w, x->request);
    json_put_u64(&w, "status", (uint64_t)x->status);
    json_put_u64(&w, "bytes", x->sent_bytes);
    json_put_milli(&w, "ms", (clock_mono_ns() - x->started_ns) / 1000);
    if (x->error_type)
        json_put_text(&w, "error", x->error_type);
    if (dropped)
        json_put_u64(&w, "dropped", dropped);
    json_put_object_end(&w);
    if (json_writer_end(&w) < 0)
        out->len = 0;
}

void access_log_exchange(const struct exchange *x)
{
    static struct buf line;
    static uint64_t dropped; /* lines that found the ring full, since the last that got through */
    const struct config *c = x->gateway->config;
    if (!c->access_log[0])
        return;
    line.limit = LINE_MAX_BYTES * 4;
    line.len = 0;
    print(x, dropped, &line);
    if (line.len && store_access_line(x->gateway->store, c->access_log, buf_str(&line)))
        dropped = 0;
    else
        dropped++;
}
