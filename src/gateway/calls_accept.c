/* SPDX-License-Identifier: Apache-2.0 */
/* POST /async-function/NAME: a request becomes a stored one, and is answered when it is on disk. */
#include "base/clock.h"
#include "base/units.h"
#include "gateway/calls_internal.h"
#include "gateway/calls_record.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define PREFIX "/async-"

enum { FIELDS_OURS = 3 }; /* Host, Content-Length, CALLS_REGION_FIELD */

/* Of the connection that brought it, not of the request; or ours to say. */
static bool is_kept(struct str name)
{
    return !http1_field_is_framing(name) && !str_is_nocase(name, "Expect") && !str_is_nocase(name, CALLS_REGION_FIELD);
}

/* The request as it would have come to /function/NAME, its body's length known. -EMSGSIZE: too many fields. */
static int print_head(struct buf *out, const struct exchange *x, struct str path)
{
    const struct http1_request *q = x->request;
    unsigned kept = 0;
    int r = buf_addf(out, "POST /%.*s", (int)path.n, path.p);
    if (r == 0 && q->query.n && !x->face)
        r = buf_addf(out, "?%.*s", (int)q->query.n, q->query.p);
    r = r < 0 ? r : buf_add_text(out, " HTTP/1.1\r\n");
    if (!http1_find_field(q->fields, q->field_count, "host"))
        r = r < 0 ? r : buf_add_text(out, "Host: localhost\r\n");
    for (unsigned i = 0; r == 0 && i < q->field_count; i++) {
        const struct http1_field *f = &q->fields[i];
        if (!is_kept(f->name))
            continue;
        kept++;
        r = buf_add_str(out, f->name);
        r = r < 0 ? r : buf_add_text(out, ": ");
        r = r < 0 ? r : buf_add_str(out, f->value);
        r = r < 0 ? r : buf_add_text(out, "\r\n");
    }
    if (r == 0 && kept > HTTP1_FIELDS_MAX - FIELDS_OURS)
        return -EMSGSIZE;
    if (x->region.n)
        r = r < 0 ? r : buf_addf(out, CALLS_REGION_FIELD ": %.*s\r\n", (int)x->region.n, x->region.p);
    return r < 0 ? r : buf_addf(out, "Content-Length: %zu\r\n\r\n", x->body.n);
}

static void refuse_error(struct exchange *x, const struct err *e)
{
    if (e->code == ENOSPC || e->code == EDQUOT)
        exchange_error(x, 507, "StorageFull", "the call cannot be stored: the disk is full");
    else if (e->code == ENOMEM)
        exchange_error(x, 503, "NoCapacity", "out of memory");
    else
        exchange_error(x, 503, "StorageFailed", "the call cannot be stored: %s", e->text);
}

static void refuse_full(struct exchange *x, const struct calls_job *j)
{
    char message[200], limit[UNITS_TEXT_MAX];
    const struct calls_bounds *b = &j->put.entry.bounds;
    if (j->answer == CALLS_FULL) {
        snprintf(message, sizeof(message), "%llu calls wait, as many as the limit 'async.calls' allows (%llu)",
                 (unsigned long long)j->totals.queued, (unsigned long long)b->calls);
    } else {
        units_format_size(b->bytes, limit);
        snprintf(message, sizeof(message), "the calls that wait take all that the limit 'async.bytes' allows (%s)",
                 limit);
    }
    exchange_error_full(x, 429, "TooManyRequests", str_from(message), (struct str){0}, "Retry-After: 1\r\n");
}

static void reply_accepted(struct exchange *x, const struct calls_job *j)
{
    if (x->face) {
        exchange_reply(x, &(struct reply){.status = 202});
        return;
    }
    char id[ID_UUID_MAX], body[64], fields[256 + SETTINGS_NAME_MAX];
    id_uuid_print(j->put.entry.id, id);
    int body_n = snprintf(body, sizeof(body), "{\"id\":\"%s\"}\n", id);
    int n = snprintf(fields, sizeof(fields), "Location: /async-function/%s/%s\r\nX-Call-Id: %s\r\n%s", j->put.function,
                     id, id, j->answer == CALLS_REPEATED ? "Idempotent-Replayed: true\r\n" : "");
    assert(n > 0 && (size_t)n < sizeof(fields));
    const struct reply r = {.status = 202,
                            .content_type = "application/json",
                            .fields = {fields, (size_t)n},
                            .body = {body, (size_t)body_n}};
    exchange_reply(x, &r);
}

static void on_put(struct calls_job *j)
{
    struct exchange *x = j->owner;
    struct calls *c = x->gateway->calls;
    struct calls_lane *l = x->owner;
    bool stored = !j->error.code && j->answer == CALLS_DONE;
    if (!j->error.code)
        calls_note_totals(c, j);
    if (j->error.code)
        refuse_error(x, &j->error);
    else if (j->answer == CALLS_DONE || j->answer == CALLS_REPEATED)
        reply_accepted(x, j);
    else if (j->answer == CALLS_MISMATCH)
        exchange_error(x, 422, "IdempotencyMismatch", "this Idempotency-Key belongs to another request");
    else
        refuse_full(x, j);
    calls_job_free(j);
    if (stored)
        calls_lane_note(l, calls_now(c));
    calls_lane_release(l);
}

/* Returns false when the exchange was answered. */
static bool take_key(struct exchange *x, struct calls_job *j)
{
    const struct http1_field *f = http1_find_field(x->request->fields, x->request->field_count, "idempotency-key");
    if (!f)
        return true;
    if (f->value.n == 0 || !str_copy(f->value, j->put.key, sizeof(j->put.key))) {
        exchange_error(x, 400, "BadRequest", "an Idempotency-Key has 1 to %d characters", CALLS_KEY_MAX - 1);
        return false;
    }
    j->put.entry.key = str_from(j->put.key);
    return true;
}

/* False when the exchange was answered. */
static bool fill(struct exchange *x, struct calls_job *j, struct str function, struct str path)
{
    const struct config *config = x->gateway->config;
    struct calls_entry *e = &j->put.entry;
    int r = print_head(&j->out, x, path);
    size_t head_n = j->out.len;
    if (r == -EMSGSIZE) {
        exchange_error(x, 431, "HeadersTooLarge", "an asynchronous call has at most %d fields",
                       HTTP1_FIELDS_MAX - FIELDS_OURS);
        return false;
    }
    if (r < 0 || buf_add_str(&j->out, x->body) < 0) {
        exchange_error(x, 503, "NoCapacity", "out of memory");
        return false;
    }
    str_copy(function, j->put.function, sizeof(j->put.function));
    e->function = j->put.function;
    e->head = (struct str){.p = j->out.data, .n = head_n};
    e->body = (struct str){.p = j->out.data + head_n, .n = x->body.n};
    e->real_ms = clock_real_ms();
    e->mark = str_hash(x->body, str_hash(x->request->path, str_hash(x->request->query, 0))) & INT64_MAX;
    j->put.entry.bounds = (struct calls_bounds){.calls = config->async_calls_max, .bytes = config->async_bytes_max};
    /* The request's own id: what the client sees as X-Request-Id, the function as its request id, and the call's id are one. */
    bool good = id_uuid_parse(str_from(x->id), j->id);
    assert(good);
    return x->face || take_key(x, j);
}

void calls_accept(struct exchange *x, struct str function)
{
    calls_accept_as(x, function, str_skip(x->request->path, strlen(PREFIX)));
}

void calls_accept_as(struct exchange *x, struct str function, struct str path)
{
    struct calls *c = x->gateway->calls;
    struct calls_job *j = calls_job_new(CALLS_JOB_PUT, on_put, x);
    if (!j) {
        exchange_error(x, 503, "NoCapacity", "out of memory");
        return;
    }
    if (!fill(x, j, function, path)) {
        calls_job_free(j);
        return;
    }
    x->owner = calls_lane_hold(c, function);
    if (!x->owner) {
        calls_job_free(j);
        exchange_error(x, 503, "NoCapacity", "out of memory");
        return;
    }
    calls_store_submit(c->store, j);
}
