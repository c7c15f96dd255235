/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bodies. A short one stays where it was read, behind its head; chunks are closed up in place. A long one moves to memory of its own, counted
 * against body_memory, and is read straight into it. A sink gets the pieces as they come.
 */
#include "gateway/conn.h"

#include "base/units.h"
#include "gateway/credential.h"

#include <stdlib.h>
#include <string.h>

void conn_body_begin(struct conn *c, size_t head_end)
{
    struct exchange_slot *s = c->slot;
    s->body_at = s->raw_at = head_end;
    s->in_place = s->request.body != HTTP1_BODY_LENGTH || s->request.content_length <= c->in_cap - head_end;
}

bool conn_body_may_discard(const struct conn *c)
{
    const struct exchange_slot *s = c->slot;
    if (s->continue_due) /* the client may or may not send it now: nobody knows where the next request begins */
        return false;
    if (s->request.body == HTTP1_BODY_LENGTH)
        return s->request.content_length - s->body_seen <= CONN_DISCARD_MAX;
    return true;
}

/* --- memory of its own --- */

static bool grow_spilled(struct conn *c, size_t need)
{
    struct exchange_slot *s = c->slot;
    const struct config *config = c->table->gateway->config;
    size_t cap = s->spilled.cap ? 2 * s->spilled.cap : CONN_BODY_FIRST;
    if (s->request.body == HTTP1_BODY_LENGTH && cap > s->request.content_length)
        cap = (size_t)s->request.content_length;
    if (cap < need)
        cap = need;
    size_t more = cap - s->spilled.cap;
    if (!conn_table_charge(c->table, more)) {
        char limit[UNITS_TEXT_MAX];
        units_format_size(config->body_memory_bytes, limit);
        conn_refuse(c, 503, "all bodies in flight together reach the limit 'body_memory' (%s)", limit);
        return false;
    }
    char *data = realloc(s->spilled.data, cap);
    if (!data) {
        conn_table_refund(c->table, more);
        conn_refuse(c, 503, "out of memory");
        return false;
    }
    s->spilled.data = data;
    s->spilled.cap = cap;
    return true;
}

static bool spill(struct conn *c, const char *p, size_t n)
{
    struct buf *b = &c->slot->spilled;
    if (b->len + n > b->cap && !grow_spilled(c, b->len + n))
        return false;
    memcpy(b->data + b->len, p, n);
    b->len += n;
    return true;
}

/* --- pieces --- */

/* The next run of body bytes, and whether the last one is among them. */
static enum http1_outcome next_run(struct conn *c, struct str *ret_run, struct http1_refusal *ret_refusal)
{
    struct exchange_slot *s = c->slot;
    struct str raw = {c->in + s->raw_at, c->in_end - s->raw_at};
    size_t used;
    enum http1_outcome outcome;
    if (s->request.body == HTTP1_BODY_CHUNKED) {
        outcome = http1_decode_chunked(&s->chunked, raw, &used, ret_run, ret_refusal);
        if (outcome == HTTP1_BAD)
            return outcome;
    } else {
        uint64_t left = s->request.content_length - s->body_seen;
        used = raw.n < left ? raw.n : (size_t)left;
        *ret_run = (struct str){raw.p, used};
        outcome = used == left ? HTTP1_DONE : HTTP1_NEED_MORE;
    }
    s->raw_at += used;
    s->body_seen += ret_run->n;
    s->raw_done = outcome == HTTP1_DONE;
    return outcome;
}

/* The rest of a dropped body is too long or nonsense: what was replied goes out, then the connection ends. */
static void give_up_discarding(struct conn *c)
{
    c->slot->close = true;
    conn_finish_reply(c);
}

static void refuse_size(struct conn *c)
{
    const struct exchange_slot *s = c->slot;
    char limit[UNITS_TEXT_MAX];
    units_format_size(s->body_max, limit);
    conn_refuse(c, 413, "the body is over the limit '%s' (%s)", route_body_key(s->x.route), limit);
}

/* False when the connection left BODY, or the sink has paused. */
static bool give_to_sink(struct conn *c, struct str run)
{
    struct exchange_slot *s = c->slot;
    s->pending = (struct str){0};
    size_t taken = s->x.sink->on_body(&s->x, run);
    if (c->state != CONN_BODY || c->broken)
        return false;
    if (s->x.check)
        credential_hash(&s->x, (struct str){run.p, taken < run.n ? taken : run.n});
    if (s->discard || taken >= run.n)
        return true;
    s->pending = str_skip(run, taken);
    s->sink_paused = true;
    conn_queue_leave(c);
    return false;
}

static bool take_run(struct conn *c, struct str run)
{
    struct exchange_slot *s = c->slot;
    if (s->discard)
        return true;
    if (s->x.sink)
        return give_to_sink(c, run);
    if (s->x.check)
        credential_hash(&s->x, run);
    if (!s->in_place)
        return spill(c, run.p, run.n);
    char *to = c->in + s->body_at + s->body_len;
    if (to != run.p)
        memmove(to, run.p, run.n);
    s->body_len += run.n;
    return true;
}

/* All that came has been looked at: the room behind the head is free again, but for a body in place. */
static void reuse_room(struct conn *c)
{
    struct exchange_slot *s = c->slot;
    if (s->in_place && !s->x.sink && !s->discard) {
        s->raw_at = c->in_end = s->body_at + s->body_len;
        if (s->request.body == HTTP1_BODY_LENGTH || c->in_cap - c->in_end >= CONN_BODY_ROOM / 2)
            return;
        if (!spill(c, c->in + s->body_at, s->body_len))
            return;
        s->in_place = false;
    }
    s->raw_at = c->in_end = s->body_at;
}

/* False: the request's signature was wrong, and is refused. Of what a handler has done of it so far nothing stays. */
static bool is_signed_well(struct conn *c)
{
    const char *why = credential_finish(&c->slot->x);
    if (why)
        conn_refuse(c, 401, "%s", why);
    return !why;
}

static void complete(struct conn *c)
{
    struct exchange_slot *s = c->slot;
    if (s->x.check && !s->x.ended && !is_signed_well(c))
        return;
    s->body_done = true;
    if (s->x.ended) {
        conn_finish_reply(c);
        return;
    }
    conn_set_state(c, CONN_RUNNING);
    if (s->x.sink) {
        s->x.sink->on_end(&s->x);
        return;
    }
    s->x.body = s->in_place ? (struct str){c->in + s->body_at, s->body_len} : buf_str(&s->spilled);
    s->handed = true;
    route_run(s->x.route, &s->x);
}

/* One run. False when the pump has to stop. */
static bool pump_run(struct conn *c)
{
    struct exchange_slot *s = c->slot;
    struct http1_refusal refusal = {0};
    struct str run = s->pending;
    if (run.n == 0) {
        if (next_run(c, &run, &refusal) == HTTP1_BAD) {
            if (s->discard)
                give_up_discarding(c);
            else
                conn_refuse(c, refusal.status, "%s", refusal.reason);
            return false;
        }
        if (s->discard && s->body_seen > s->body_max + CONN_DISCARD_MAX) {
            give_up_discarding(c);
            return false;
        }
        /* A chunk that announces too much is refused before it comes, as a length is. */
        if (!s->discard && s->body_seen + http1_chunk_left(&s->chunked) > s->body_max) {
            refuse_size(c);
            return false;
        }
    }
    return run.n == 0 || take_run(c, run);
}

void conn_body_pump(struct conn *c)
{
    struct exchange_slot *s = c->slot;
    while (s->pending.n || (!s->raw_done && s->raw_at < c->in_end)) {
        if (!pump_run(c))
            return;
    }
    if (s->raw_done)
        complete(c);
    else if (c->input_eof)
        conn_close(c);
    else
        reuse_room(c);
}

struct iovec conn_body_room(struct conn *c)
{
    struct exchange_slot *s = c->slot;
    struct buf *b = &s->spilled;
    if (b->cap == b->len || s->request.body != HTTP1_BODY_LENGTH || s->discard)
        return (struct iovec){0};
    return (struct iovec){.iov_base = b->data + b->len, .iov_len = b->cap - b->len};
}

void conn_body_arrived(struct conn *c, size_t n)
{
    struct exchange_slot *s = c->slot;
    if (s->x.check)
        credential_hash(&s->x, (struct str){s->spilled.data + s->spilled.len, n});
    s->spilled.len += n;
    s->body_seen += n;
    if (s->body_seen == s->request.content_length) {
        s->raw_done = true;
        complete(c);
    } else if (s->spilled.len == s->spilled.cap) {
        grow_spilled(c, s->spilled.len + 1);
    }
}
