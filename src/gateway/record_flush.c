/* SPDX-License-Identifier: Apache-2.0 */
/* What goes to the disk, in batches: failed invocations and the sums of the bill. */
#include "gateway/records.h"

#include "base/clock.h"
#include "base/log.h"
#include "codec/json.h"
#include "gateway/store_records.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A clock that stands before this program was written is not set (CONTRACT 7): nothing expires, and sums are of month 0. 2026-01-01. */
static const uint64_t CLOCK_SET_MS = UINT64_C(1767225600000);

enum { RETRY_MS = 1000 };

bool records_clock_is_set(void)
{
    return clock_real_ms() >= CLOCK_SET_MS;
}

static unsigned read_digits(const char *p, unsigned n)
{
    unsigned value = 0;
    while (n-- > 0)
        value = value * 10 + (unsigned)(*p++ - '0');
    return value;
}

unsigned records_month(uint64_t real_ms, uint64_t *ret_end_ms)
{
    char text[CLOCK_RFC3339_MAX];
    *ret_end_ms = CLOCK_SET_MS;
    if (real_ms < CLOCK_SET_MS)
        return 0;
    clock_format_rfc3339(real_ms, text); /* "2026-11-21T..." */
    unsigned year = read_digits(text, 4);
    unsigned month = read_digits(text + 5, 2);
    unsigned day = read_digits(text + 8, 2);
    static const unsigned DAYS[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    unsigned days = DAYS[month - 1] + (month == 2 && leap ? 1 : 0);
    uint64_t days_left = days - day + 1;
    *ret_end_ms = (real_ms / 86400000 + days_left) * 86400000;
    return year * 100 + month;
}

/* ---- failures ---- */

void records_free_failure(struct record_failure *f)
{
    list_remove(&f->link);
    buf_fini(&f->facts);
    buf_fini(&f->json);
    buf_fini(&f->event);
    buf_fini(&f->target);
    free(f);
}

static bool drop(struct records *r)
{
    if (r->unsaved_count < RECORDS_UNSAVED_MAX)
        return false;
    r->dropped++;
    if (!r->dropping)
        log_warn("failed invocations come faster than their records are written: until the next flush (records.flush) "
                 "they are kept in memory only");
    r->dropping = true;
    return true;
}

static void keep_event(struct record_failure *f, const struct invocation *inv, uint64_t limit)
{
    const struct exchange *x = inv->exchange;
    const struct http1_request *q = x->request;
    const struct http1_field *type = http1_find_field(q->fields, q->field_count, "content-type");
    f->event_bytes = x->body.n;
    if (x->body.n > limit || limit == 0 || !str_copy(q->method, f->method, sizeof(f->method)) ||
        buf_add_str(&f->target, inv->path) < 0 || (q->query.n && buf_add(&f->target, "?", 1) < 0) ||
        buf_add_str(&f->target, q->query) < 0 || buf_add_str(&f->event, x->body) < 0)
        return;
    if (type)
        str_copy(type->value, f->content_type, sizeof(f->content_type));
    f->has_event = true;
}

void records_keep_failure(struct records *r, const struct record *rec, const struct invocation *inv,
                          const struct invocation_end *end)
{
    if (drop(r))
        return;
    struct record_failure *f = calloc(1, sizeof(*f));
    if (!f)
        return;
    list_init(&f->link);
    f->number = rec->number;
    memcpy(f->id, rec->id, sizeof(f->id));
    f->ended_ms = record_ended_ms(rec);
    str_copy(str_from(inv->function->name), f->function, sizeof(f->function));
    struct json_writer w;
    json_writer_init(&w, &f->facts);
    json_put_object(&w, NULL);
    record_print_failure(&w, inv, end);
    json_put_object_end(&w);
    if (json_writer_end(&w) < 0) {
        records_free_failure(f);
        return;
    }
    keep_event(f, inv, r->gateway->config->records_event_bytes);
    list_push_back(&r->unsaved, &f->link);
    r->unsaved_count++;
    records_note_unsaved(r);
    if (r->unsaved_count == RECORDS_UNSAVED_FLUSH)
        records_flush(r);
}

void records_note_unsaved(struct records *r)
{
    if (ev_is_active(&r->flush_timer))
        return;
    ev_timer_set(&r->flush_timer, (double)r->gateway->config->records_flush_ms / 1e3, 0.);
    ev_timer_start(r->gateway->loop, &r->flush_timer);
}

/* ---- a batch ---- */

int records_print_whole(const struct records *r, const struct record_failure *f, struct buf *out)
{
    const struct record *at = record_ring_at(&r->ring, f->number);
    struct json_writer w;
    json_writer_init(&w, out);
    json_put_object(&w, NULL);
    if (at)
        record_print(&w, at, NULL);
    json_put_object_end(&w);
    int e = json_writer_end(&w);
    if (e < 0)
        return e;
    /* Both are objects: the last brace of the one becomes the comma before what the other holds. */
    out->len = at ? out->len - 1 : 0;
    e = at ? buf_add(out, ",", 1) : 0;
    return e < 0 ? e : buf_add_str(out, at ? str_skip(buf_str(&f->facts), 1) : buf_str(&f->facts));
}

struct record_failure *records_find_unsaved(const struct records *r, const uint8_t id[ID_UUID_BYTES])
{
    const struct list *const lists[] = {&r->unsaved, r->failed ? &r->failed->failures : NULL};
    for (unsigned i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        if (!lists[i])
            continue;
        LIST_EACH (lists[i], link) {
            struct record_failure *f = LIST_ENTRY(link, struct record_failure, link);
            if (memcmp(f->id, id, sizeof(f->id)) == 0)
                return f;
        }
    }
    return NULL;
}

/* What it used is known in a moment: then it is written as it will stay. */
static bool is_open(const struct records *r, const struct record_failure *f)
{
    const struct record *at = record_ring_at(&r->ring, f->number);
    return at && at->usage_open && !r->closing;
}

void records_collect_sums(struct records *r)
{
    struct record_bill bill = {.month = r->month};
    while (accounts_take_unsaved(&r->accounts, bill.function, &bill.sums))
        if (buf_add(&r->bills, &bill, sizeof(bill)) < 0)
            log_error("out of memory: what a function used is missing in its bill fn=%s", bill.function);
}

static void take_failures(struct records *r, struct record_batch *b)
{
    LIST_EACH (&r->unsaved, link) {
        struct record_failure *f = LIST_ENTRY(link, struct record_failure, link);
        f->json.len = 0;
        if (is_open(r, f) || records_print_whole(r, f, &f->json) < 0)
            continue; /* the next flush tries again */
        list_remove(link);
        list_push_back(&b->failures, link);
        r->unsaved_count--;
    }
}

static void free_batch(struct record_batch *b)
{
    LIST_EACH (&b->failures, link)
        records_free_failure(LIST_ENTRY(link, struct record_failure, link));
    buf_fini(&b->bills);
    free(b);
}

/* A batch that could not be written is tried again: nothing of it was, for it is one transaction. */
static void retry(struct records *r)
{
    ev_timer_stop(r->gateway->loop, &r->flush_timer);
    ev_timer_set(&r->flush_timer, RETRY_MS / 1e3, 0.);
    ev_timer_start(r->gateway->loop, &r->flush_timer);
}

static void keep_failed(struct records *r, struct record_batch *b)
{
    if (!r->failed) {
        r->failed = b;
        return;
    }
    LIST_EACH (&b->failures, link) {
        list_remove(link);
        list_push_back(&r->failed->failures, link);
    }
    if (buf_add_str(&r->failed->bills, buf_str(&b->bills)) < 0)
        log_error("out of memory: what functions used in the last moments is missing in their bills");
    free_batch(b);
}

static void on_written(struct store_task *t)
{
    struct record_batch *b = (struct record_batch *)(void *)t;
    struct records *r = b->owner;
    r->under_way--;
    if (t->error.code) {
        if (!r->failing)
            log_error("records and bills cannot be written, trying again every %d ms: %s", RETRY_MS, t->error.text);
        r->failing = true;
        keep_failed(r, b);
        retry(r);
        return;
    }
    if (r->failing)
        log_info("records and bills can be written again");
    r->failing = false;
    free_batch(b);
    /* What came meanwhile waits for its own time. */
    if (r->unsaved_count || !list_is_empty(&r->accounts.unsaved) || r->bills.len)
        records_note_unsaved(r);
}

static struct record_batch *batch_new(struct records *r)
{
    struct record_batch *b = calloc(1, sizeof(*b));
    if (!b)
        return NULL;
    b->task.run = store_records_write;
    b->task.done = on_written;
    b->owner = r;
    b->dir = r->gateway->boot->db_dir;
    list_init(&b->failures);
    return b;
}

/* What it may hold stays bounded while the disk does not work: one that failed takes nothing more up. */
static struct record_batch *fill_batch(struct records *r)
{
    if (r->failed)
        return r->failed;
    pools_bill_idle(r->gateway->pools);
    records_collect_sums(r);
    if (list_is_empty(&r->unsaved) && r->bills.len == 0)
        return NULL;
    struct record_batch *b = batch_new(r);
    if (!b)
        return NULL;
    take_failures(r, b);
    if (list_is_empty(&b->failures) && r->bills.len == 0) {
        free_batch(b);
        return NULL;
    }
    b->bills = r->bills;
    buf_init(&r->bills, 0);
    r->dropping = false;
    return b;
}

void records_flush(struct records *r)
{
    const struct config *c = r->gateway->config;
    if (r->under_way == RECORDS_BATCHES_MAX)
        return; /* the end of one looks what came meanwhile */
    struct record_batch *b = fill_batch(r);
    r->failed = NULL;
    ev_timer_stop(r->gateway->loop, &r->flush_timer);
    if (!list_is_empty(&r->unsaved))
        records_note_unsaved(r);
    if (!b)
        return;
    b->failed_max = c->records_failed_max;
    b->expired_ms = 0;
    if (records_clock_is_set() && clock_real_ms() > c->records_keep_ms)
        b->expired_ms = clock_real_ms() - c->records_keep_ms;
    r->under_way++;
    store_submit(r->gateway->store, &b->task);
}

void records_close(struct records *r)
{
    if (!r)
        return;
    /* The store's thread takes up what is handed over before it ends; its answers do not come any more. */
    r->closing = true;
    r->under_way = 0;
    store_records_write_last();
    bool failed_before = r->failed != NULL;
    records_flush(r);
    if (failed_before) /* that was this one alone: what came since is in none */
        records_flush(r);
}
