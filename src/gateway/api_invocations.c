/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET /v1/invocations, /v1/invocations/ID and /v1/invocations/ID/event (docs/RECORDS.md). What runs or waits, and what the memory has, is told first; failures that are
 * on the disk alone come behind it.
 */
#include "gateway/api.h"

#include "gateway/advice.h"
#include "gateway/store_records.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { LIST_DEFAULT = 100, LIST_MAX = 1000 };

/* One question, from its handler to its answer. */
struct asking {
    struct record_query query; /* first */
    struct records_waiter waiter;
    struct exchange *x;
    struct json_writer w; /* LIST: open, into `body` */
    struct buf body;
    int status; /* LIST: what to tell, -1 = all: enum record_status, or LIVE_QUEUED, LIVE_RUNNING */
    uint32_t told;
};

enum { STATUS_ANY = -1, LIVE_QUEUED = 100, LIVE_RUNNING };

static struct asking *asking_new(struct exchange *x, enum store_records_want want)
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

static void asking_free(struct asking *a)
{
    buf_fini(&a->query.out);
    buf_fini(&a->query.target);
    buf_fini(&a->body);
    free(a);
}

static void ask_store(struct asking *a, void (*done)(struct store_task *t))
{
    struct gateway *g = a->x->gateway;
    records_flush(
        g->records); /* the store's thread takes things in order: what is handed over now is there when it looks */
    a->query.task.run = store_records_read;
    a->query.task.done = done;
    store_submit(g->store, &a->query.task);
}

static void reply_store_error(struct asking *a)
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

static void on_one(struct store_task *t)
{
    struct asking *a = (struct asking *)(void *)t;
    if (t->error.code) {
        reply_store_error(a);
        return;
    }
    if (a->query.found)
        api_reply_json(a->x, &a->query.out, 0);
    else
        reply_unknown(a->x);
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
    };
    advice_print(w, &facts);
}

static void reply_record(struct asking *a, const struct record *r)
{
    struct json_writer w;
    json_writer_init(&w, &a->body);
    json_put_object(&w, NULL);
    record_print(&w, r);
    if (r->status == RECORD_FAILED)
        print_reason(&w, a->x->gateway, r);
    json_put_object_end(&w);
    api_reply_json(a->x, &a->body, json_writer_end(&w));
    asking_free(a);
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
        int e = records_print_whole(all, f, &a->body);
        api_reply_json(a->x, &a->body, e);
        asking_free(a);
    } else if (r && !is_durable(r)) {
        reply_record(a, r);
    } else {
        ask_store(a, on_one);
    }
}

static const struct invocation *find_live(const struct records *all, const char *id)
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
    record_print_live(&w, inv);
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

void api_invocations_show(struct exchange *x, struct str name)
{
    struct records *all = x->gateway->records;
    char id[ID_UUID_MAX];
    struct asking *a = asking_about(x, name, STORE_RECORDS_ONE);
    if (!a)
        return;
    id_uuid_print(a->query.id, id);
    const struct invocation *inv = find_live(all, id);
    if (inv) {
        reply_live(a, inv);
        return;
    }
    const struct record *r = record_ring_find(&all->ring, a->query.id);
    a->waiter.number = r ? r->number : 0;
    a->waiter.on_settled = on_settled;
    records_when_settled(all, &a->waiter);
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

static void on_event(struct store_task *t)
{
    struct asking *a = (struct asking *)(void *)t;
    if (t->error.code) {
        reply_store_error(a);
    } else if (!a->query.found) {
        exchange_error(a->x, 404, "ResourceNotFound",
                       "there is no event of that id: only those of failed invocations are kept, for 'records.keep'");
        asking_free(a);
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
        ask_store(a, on_event);
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

/* ---- a list ---- */

static bool read_status(struct exchange *x, int *ret_status)
{
    static const struct {
        const char *name;
        int status;
    } NAMES[] = {{"queued", LIVE_QUEUED},   {"running", LIVE_RUNNING},       {"succeeded", RECORD_SUCCEEDED},
                 {"failed", RECORD_FAILED}, {"cancelled", RECORD_CANCELLED}, {"expired", RECORD_EXPIRED}};
    struct str text;
    *ret_status = STATUS_ANY;
    if (!http1_query_find(x->request->query, "status", &text))
        return true;
    for (unsigned i = 0; i < sizeof(NAMES) / sizeof(NAMES[0]); i++)
        if (str_is(text, NAMES[i].name)) {
            *ret_status = NAMES[i].status;
            return true;
        }
    exchange_error(x, 400, "BadRequest",
                   "status='%.*s': it is queued, running, succeeded, failed, cancelled or expired",
                   (int)(text.n < 64 ? text.n : 64), text.p);
    return false;
}

static bool read_number(struct exchange *x, const char *key, uint64_t *ret_value)
{
    struct str text;
    if (!http1_query_find(x->request->query, key, &text) || str_to_u64(text, ret_value))
        return true;
    exchange_error(x, 400, "BadRequest", "%s='%.*s' is not a number%s", key, (int)(text.n < 64 ? text.n : 64), text.p,
                   strcmp(key, "limit") ? " of milliseconds since 1970" : "");
    return false;
}

/* False when the exchange was ended with 400. */
static bool read_list_query(struct exchange *x, struct asking *a)
{
    struct str text;
    uint64_t limit = LIST_DEFAULT;
    if (!read_status(x, &a->status) || !read_number(x, "since", &a->query.since_ms) || !read_number(x, "limit", &limit))
        return false;
    if (limit == 0 || limit > LIST_MAX) {
        exchange_error(x, 400, "BadRequest", "limit= is 1 to %d", LIST_MAX);
        return false;
    }
    a->query.limit = (uint32_t)limit;
    if (!http1_query_find(x->request->query, "function", &text))
        return true;
    if (settings_name_is_valid(text) && str_copy(text, a->query.function, sizeof(a->query.function)))
        return true;
    exchange_error(x, 400, "BadRequest", "function= takes a function's name");
    return false;
}

static bool is_wanted(const struct asking *a, int status, const char *function, uint64_t ended_ms)
{
    return (a->status == STATUS_ANY || a->status == status) && ended_ms >= a->query.since_ms &&
           (!a->query.function[0] || (function && strcmp(a->query.function, function) == 0));
}

static void list_live(struct asking *a, const struct records *all)
{
    for (struct list *at = all->live.prev; at != &all->live && a->told < a->query.limit; at = at->prev) {
        const struct invocation *inv = LIST_ENTRY(at, struct invocation, live_link);
        if (!is_wanted(a, inv->delivered_ns ? LIVE_RUNNING : LIVE_QUEUED, inv->function->name, UINT64_MAX))
            continue;
        json_put_object(&a->w, NULL);
        record_print_live(&a->w, inv);
        json_put_object_end(&a->w);
        a->told++;
    }
}

static void list_memory(struct asking *a, const struct records *all)
{
    const struct record_ring *ring = &all->ring;
    for (uint64_t n = ring->last; n > 0 && n >= record_ring_oldest(ring) && a->told < a->query.limit; n--) {
        const struct record *r = record_ring_at(ring, n);
        if (!is_wanted(a, r->status, r->account ? r->account->name : NULL, record_ended_ms(r)))
            continue;
        json_put_object(&a->w, NULL);
        record_print(&a->w, r);
        json_put_object_end(&a->w);
        a->told++;
    }
}

static void finish_list(struct asking *a)
{
    json_put_array_end(&a->w);
    json_put_object_end(&a->w);
    api_reply_json(a->x, &a->body, json_writer_end(&a->w));
    asking_free(a);
}

static void on_list(struct store_task *t)
{
    struct asking *a = (struct asking *)(void *)t;
    struct str rest = buf_str(&a->query.out);
    if (t->error.code) {
        reply_store_error(a);
        return;
    }
    while (rest.n)
        json_put_raw(&a->w, NULL, str_cut(rest, '\n', &rest, NULL));
    finish_list(a);
}

void api_invocations_list(struct exchange *x, struct str name)
{
    struct records *all = x->gateway->records;
    struct asking *a = asking_new(x, STORE_RECORDS_LIST);
    (void)name;
    if (!a)
        return;
    if (!read_list_query(x, a)) {
        asking_free(a);
        return;
    }
    json_writer_init(&a->w, &a->body);
    json_put_object(&a->w, NULL);
    json_put_array(&a->w, "invocations");
    list_live(a, all);
    list_memory(a, all);
    bool may_have_more = a->status == STATUS_ANY || a->status == RECORD_FAILED;
    if (!may_have_more || a->told == a->query.limit) {
        finish_list(a);
        return;
    }
    /* What ended before the oldest in memory did is not in memory. */
    const struct record *oldest = record_ring_at(&all->ring, record_ring_oldest(&all->ring));
    a->query.before_ms = oldest ? record_ended_ms(oldest) : 0;
    a->query.limit -= a->told;
    ask_store(a, on_list);
}
