/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/reply_stream.h"

#include "base/clock.h"
#include "base/units.h"
#include "gateway/face.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

bool reply_stream_is_wanted(const struct invocation *inv)
{
    const struct exchange *x = inv->exchange;
    if (inv->background || (x->face && !x->face->begin_stream))
        return false;
    if (x->reply_mode == EXCHANGE_REPLY_AS_SET)
        return !x->face && inv->version->settings.stream;
    return x->reply_mode == EXCHANGE_REPLY_STREAMED;
}

static void wake_source(struct exchange *x)
{
    struct invocation *inv = x->owner;
    struct reply_stream *s = inv->stream;
    if (!s->waits)
        return;
    s->waits = false;
    s->source.on_room(s->source.owner);
}

static int keep_head(struct reply_stream *s, const struct invocation_reply *h)
{
    s->status = h->status;
    s->content_type = h->content_type;
    s->is_http = h->is_http;
    return buf_add_str(&s->fields, h->fields);
}

int reply_stream_begin(struct invocation *inv, const struct invocation_reply *h, const struct reply_source *source)
{
    struct exchange *x = inv->exchange;
    struct reply_stream *s = calloc(1, sizeof(*s));
    assert(!inv->stream);
    if (!s)
        return -ENOMEM;
    s->source = *source;
    s->passes = reply_stream_is_wanted(inv);
    s->first_ns = clock_mono_ns();
    buf_init(&s->body, x->gateway->config->reply_bytes_max);
    if (!s->passes && keep_head(s, h) < 0) {
        reply_stream_free(s);
        return -ENOMEM;
    }
    inv->stream = s;
    if (!s->passes)
        return 0;
    x->owner = inv;
    x->on_stream_room = wake_source;
    x->on_stream_gone = wake_source;
    invocation_begin_stream(inv, h);
    return 0;
}

static enum reply_stream_go collect(struct reply_stream *s, struct str piece)
{
    if (s->bytes > s->body.limit)
        return REPLY_STREAM_TOO_LONG;
    return buf_add_str(&s->body, piece) < 0 ? REPLY_STREAM_NO_MEMORY : REPLY_STREAM_GO;
}

enum reply_stream_go reply_stream_write(struct invocation *inv, struct str piece)
{
    struct reply_stream *s = inv->stream;
    struct exchange *x = inv->exchange;
    s->bytes += piece.n;
    if (!s->passes)
        return collect(s, piece);
    if (s->bytes > x->gateway->config->stream_bytes_max)
        return REPLY_STREAM_TOO_LONG;
    /* A client that has gone is no fault of the function's. */
    if (x->face)
        x->face->write_stream(x, piece);
    else
        exchange_stream_write(x, piece);
    s->waits = exchange_stream_is_full(x);
    return s->waits ? REPLY_STREAM_WAIT : REPLY_STREAM_GO;
}

void reply_stream_end(struct invocation *inv)
{
    const struct reply_stream *s = inv->stream;
    if (s->passes) {
        invocation_end_stream(inv);
        return;
    }
    const struct invocation_reply reply = {
        .status = s->status,
        .content_type = s->body.len ? s->content_type : NULL,
        .fields = buf_str(&s->fields),
        .body = buf_str(&s->body),
        .is_http = s->is_http,
    };
    invocation_end_reply(inv, &reply);
}

void reply_stream_print_limit(const struct invocation *inv, char out[REPLY_STREAM_TEXT_MAX])
{
    const struct config *c = inv->exchange->gateway->config;
    bool passes = reply_stream_is_wanted(inv);
    char limit[UNITS_TEXT_MAX];
    units_format_size(passes ? c->stream_bytes_max : c->reply_bytes_max, limit);
    snprintf(out, REPLY_STREAM_TEXT_MAX, "the %s is longer than the limit '%s' (%s)", passes ? "stream" : "reply",
             passes ? "stream_bytes" : "reply_bytes", limit);
}

void reply_stream_free(struct reply_stream *s)
{
    if (!s)
        return;
    buf_fini(&s->fields);
    buf_fini(&s->body);
    free(s);
}
