/* SPDX-License-Identifier: Apache-2.0 */
/* GET /v1/invocations/ID and /v1/invocations/ID/event (docs/RECORDS.md). What the calls' database knows of an asynchronous one is asked first; its last attempt has a record as any other. */
#include "gateway/api_invocations.h"

#include "gateway/advice.h"

#include "base/clock.h"
#include "codec/json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct asking *asking_new(struct exchange *x, enum store_records_want want)
{
    struct asking *a = calloc(1, sizeof(*a));
    if (!a) {
        exchange_error(x, 503, "NoCapacity", "out of memory");
        return NULL;
    }
    a->x = x;
    a->query.want = want;
    a->query.dir = x->gateway->boot->db_dir;
    return a;
}

void asking_free(struct asking *a)
{
    buf_fini(&a->query.out);
    buf_fini(&a->query.target);
    buf_fini(&a->body);
    buf_fini(&a->calls.rows);
    free(a->steps);
    free(a);
}

void asking_ask_store(struct asking *a, void (*done)(struct store_task *t))
{
    struct gateway *g = a->x->gateway;
    records_flush(
        g->records); /* the store's thread takes things in order: what is handed over now is there when it looks */
    a->query.task.run = store_records_read;
    a->query.task.done = done;
    store_submit(g->store, &a->query.task);
}

void asking_reply_error(struct asking *a)
{
    const struct err *e = &a->query.task.error;
    exchange_error(a->x, e->code == EAGAIN || e->code == ENOMEM ? 503 : 500,
                   e->code == EAGAIN || e->code == ENOMEM ? "NoCapacity" : "InternalError", "%s", e->text);
    asking_free(a);
}

static void reply_unknown(struct exchange *x)
{
    exchange_error(
        x, 404, "ResourceNotFound",
        "no record of that id: it never reached a function, or is older than what is kept (the newest %u, and "
        "failed ones for 'records.keep')",
        x->gateway->config->records_max);
}

/* ---- one ---- */

static void put_call(struct json_writer *w, const struct asking *a)
{
    json_put_object(w, "call");
    calls_put_state(w, a->x->gateway->calls, &a->call, false);
    json_put_object_end(w);
}

/* A record from the disk, or on its way there; of a call with what the call is by now. */
static void reply_text(struct asking *a, struct str text)
{
    struct json_doc *doc = NULL;
    struct json_writer w;
    struct buf body;
    struct err e;
    buf_init(&body, 0);
    if (!a->has_call && !a->steps) {
        int r = buf_add_str(&body, text);
        api_reply_json(a->x, &body, r);
        asking_free(a);
        return;
    }
    json_writer_init(&w, &body);
    json_put_object(&w, NULL);
    bool has_reason = false;
    if (json_parse(text, JSON_STRICT, &doc, &e) == 0)
        JSON_EACH(json_root(doc), v)
        {
            has_reason = has_reason || strcmp(json_key(v), "why") == 0;
            if (a->has_call && strcmp(json_key(v), "status") == 0)
                json_put_text(&w, "status", calls_status_name(a->call.status));
            else
                json_put_value(&w, json_key(v), v);
        }
    if (a->has_call)
        put_call(&w, a);
    asking_put_steps(&w, a);
    if (a->has_call && !has_reason)
        calls_put_reason(&w, a->x->gateway->calls, &a->call);
    json_put_object_end(&w);
    api_reply_json(a->x, &body, doc ? json_writer_end(&w) : -ENOMEM);
    json_free(doc);
    asking_free(a);
}

/* Of a call none of whose attempts has a record (any more). */
static void reply_call(struct asking *a)
{
    struct json_writer w;
    json_writer_init(&w, &a->body);
    json_put_object(&w, NULL);
    asking_put_call(&w, &a->call);
    put_call(&w, a);
    calls_put_reason(&w, a->x->gateway->calls, &a->call);
    json_put_object_end(&w);
    api_reply_json(a->x, &a->body, json_writer_end(&w));
    asking_free(a);
}

/* Of what is kept in memory alone: too much of it may come to be written. */
static void print_reason(struct json_writer *w, const struct gateway *g, const struct record *r)
{
    const struct function *f = r->account ? registry_find(g->registry, str_from(r->account->name)) : NULL;
    char id[ID_UUID_MAX];
    id_uuid_print(r->id, id);
    const struct advice_facts facts = {
        .function = r->account ? r->account->name : "?",
        .id = id,
        .settings = f ? &f->current->settings : NULL,
        .outcome = (enum invocation_outcome)r->outcome,
        .type = r->type,
        .delivered = r->delivered,
        .limited = f && f->limited,
        .limit = f ? f->limit : 0,
    };
    advice_print(w, &facts);
}

static void reply_record(struct asking *a, const struct record *r)
{
    struct json_writer w;
    json_writer_init(&w, &a->body);
    json_put_object(&w, NULL);
    record_print(&w, r, a->has_call ? calls_status_name(a->call.status) : NULL);
    asking_put_steps(&w, a);
    if (a->has_call)
        put_call(&w, a);
    if (r->status == RECORD_FAILED)
        print_reason(&w, a->x->gateway, r);
    else if (a->has_call)
        calls_put_reason(&w, a->x->gateway->calls, &a->call);
    json_put_object_end(&w);
    api_reply_json(a->x, &a->body, json_writer_end(&w));
    asking_free(a);
}

static void on_one(struct store_task *t)
{
    struct asking *a = (struct asking *)(void *)t;
    const struct record *r;
    if (t->error.code) {
        asking_reply_error(a);
        return;
    }
    if (a->query.found) {
        reply_text(a, buf_str(&a->query.out));
    } else if (a->has_call) {
        reply_call(a);
    } else if ((r = record_ring_find(&a->x->gateway->records->ring, a->query.id))) {
        reply_record(a, r); /* of what the disk never gets */
    } else {
        reply_unknown(a->x);
        asking_free(a);
    }
}

static bool is_durable(const struct record *r)
{
    return r->status == RECORD_FAILED && r->outcome != INVOCATION_THROTTLED && r->outcome != INVOCATION_REFUSED;
}

static void on_settled(struct records_waiter *w)
{
    struct asking *a = LIST_ENTRY(w, struct asking, waiter);
    const struct records *all = a->x->gateway->records;
    const struct record *r = record_ring_find(&all->ring, a->query.id);
    const struct record_failure *f = records_find_unsaved(all, a->query.id);
    if (f) {
        if (records_print_whole(all, f, &a->body) < 0) {
            exchange_error(a->x, 503, "NoCapacity", "out of memory");
            asking_free(a);
            return;
        }
        reply_text(a, buf_str(&a->body));
    } else if (r && !is_durable(r)) {
        reply_record(a, r);
    } else {
        asking_ask_store(a, on_one);
    }
}

const struct invocation *asking_find_live(const struct records *all, const char *id)
{
    LIST_EACH (&all->live, link) {
        const struct invocation *inv = LIST_ENTRY(link, struct invocation, live_link);
        if (strcmp(inv->exchange->id, id) == 0)
            return inv;
    }
    return NULL;
}

static void reply_live(struct asking *a, const struct invocation *inv)
{
    struct json_writer w;
    json_writer_init(&w, &a->body);
    json_put_object(&w, NULL);
    record_print_live(&w, inv, a->has_call ? calls_status_name(a->call.status) : NULL);
    if (a->has_call) {
        put_call(&w, a);
        calls_put_reason(&w, a->x->gateway->calls, &a->call);
    }
    json_put_object_end(&w);
    api_reply_json(a->x, &a->body, json_writer_end(&w));
    asking_free(a);
}

static struct asking *asking_about(struct exchange *x, struct str id, enum store_records_want want)
{
    struct asking *a = asking_new(x, want);
    if (!a || id_uuid_parse(id, a->query.id))
        return a;
    exchange_error(x, 400, "BadRequest", "'%.*s' is no invocation's id: it is what X-Request-Id says, a UUID",
                   (int)id.n, id.p);
    asking_free(a);
    return NULL;
}

static void when_settled(struct asking *a)
{
    struct records *all = a->x->gateway->records;
    const struct record *r = record_ring_find(&all->ring, a->query.id);
    a->waiter.number = r ? r->number : 0;
    a->waiter.on_settled = on_settled;
    records_when_settled(all, &a->waiter);
}

static void on_call(void *owner, const struct calls_listed *found, const struct err *e)
{
    struct asking *a = owner;
    struct records *all = a->x->gateway->records;
    char id[ID_UUID_MAX];
    (void)e; /* what the records know is told all the same */
    a->has_call = found != NULL;
    if (found)
        a->call = *found;
    id_uuid_print(a->query.id, id);
    const struct invocation *inv = asking_find_live(all, id);
    if (inv) {
        reply_live(a, inv);
        return;
    }
    asking_ask_steps(a, record_ring_find(&all->ring, a->query.id), when_settled);
}

void api_invocations_show(struct exchange *x, struct str name)
{
    struct asking *a = asking_about(x, name, STORE_RECORDS_ONE);
    if (a)
        calls_find(x->gateway->calls, a->query.id, on_call, a);
}

void asking_put_call(struct json_writer *w, const struct calls_listed *c)
{
    char id[ID_UUID_MAX], accepted[CLOCK_RFC3339_MAX];
    id_uuid_print(c->id, id);
    clock_format_rfc3339(c->accepted_real_ms, accepted);
    json_put_text(w, "id", id);
    json_put_bool(w, RECORD_ASYNC_KEY, true);
    json_put_text(w, "function", c->function);
    json_put_text(w, "status", calls_status_name(c->status));
    if (c->error[0])
        json_put_text(w, "type", c->error);
    if (c->http_status)
        json_put_u64(w, "http_status", (uint64_t)c->http_status);
    json_put_text(w, "started", accepted);
}

/* ---- its event ---- */

static void reply_event(struct asking *a, struct str event)
{
    struct record_query *q = &a->query;
    struct buf fields;
    buf_init(&fields, 0);
    if (!q->has_event) {
        exchange_error(
            a->x, 404, "ResourceNotFound",
            "the event of this invocation was not kept: it has %lu bytes, and the limit 'records.event_bytes' "
            "was smaller when it failed",
            (unsigned long)q->event_bytes);
    } else if (buf_addf(&fields, "X-Faasd-Event-Method: %s\r\nX-Faasd-Event-Target: %.*s\r\n", q->method,
                        (int)q->target.len, q->target.len ? q->target.data : "") < 0) {
        exchange_error(a->x, 503, "NoCapacity", "out of memory");
    } else {
        struct reply r = {.status = 200,
                          .content_type = q->content_type[0] ? q->content_type : "application/octet-stream",
                          .fields = buf_str(&fields),
                          .body = event};
        exchange_reply(a->x, &r);
    }
    buf_fini(&fields);
    asking_free(a);
}

/* "POST /function/NAME[:QUALIFIER]/path?query HTTP/1.1", then fields: as the records keep it. */
static bool take_call_head(struct record_query *q, struct str head, const char *function)
{
    struct str rest, line = str_cut(head, '\r', &rest, NULL);
    struct str method = str_cut(line, ' ', &line, NULL), target = str_cut(line, ' ', &line, NULL);
    size_t skipped = sizeof("/function/") - 1 + strlen(function);
    if (target.n < skipped || !str_copy(method, q->method, sizeof(q->method)))
        return false;
    while (rest.n) {
        bool named;
        struct str value, name = str_cut(str_cut(str_skip(rest, 1), '\r', &rest, NULL), ':', &value, &named);
        if (named && str_is_nocase(name, "content-type"))
            str_copy(str_trim(value), q->content_type, sizeof(q->content_type));
    }
    return buf_add_str(&q->target, str_skip(target, skipped)) == 0;
}

static void on_call_event(void *owner, const struct calls_event *event, const struct err *e)
{
    struct asking *a = owner;
    if (e->code) {
        exchange_error(a->x, 503, "StorageFailed", "the call's event cannot be read: %s", e->text);
        asking_free(a);
    } else if (!event->head.n) {
        exchange_error(a->x, 404, "ResourceNotFound",
                       "there is no event of that id: only those of failed invocations are kept, for 'records.keep', "
                       "and those of asynchronous calls that wait or have failed");
        asking_free(a);
    } else {
        a->query.has_event = take_call_head(&a->query, event->head, event->function);
        reply_event(a, event->body);
    }
}

static void on_event(struct store_task *t)
{
    struct asking *a = (struct asking *)(void *)t;
    if (t->error.code) {
        asking_reply_error(a);
    } else if (!a->query.found) {
        calls_find_event(a->x->gateway->calls, a->query.id, on_call_event, a);
    } else {
        reply_event(a, buf_str(&a->query.out));
    }
}

void api_invocations_event(struct exchange *x, struct str name)
{
    struct asking *a = asking_about(x, name, STORE_RECORDS_EVENT);
    if (!a)
        return;
    const struct record_failure *f = records_find_unsaved(x->gateway->records, a->query.id);
    if (!f) {
        asking_ask_store(a, on_event);
        return;
    }
    a->query.has_event = f->has_event;
    a->query.event_bytes = f->event_bytes;
    memcpy(a->query.method, f->method, sizeof(f->method));
    memcpy(a->query.content_type, f->content_type, sizeof(f->content_type));
    if (buf_add_str(&a->query.target, buf_str(&f->target)) < 0)
        a->query.has_event = false;
    reply_event(a, buf_str(&f->event));
}
