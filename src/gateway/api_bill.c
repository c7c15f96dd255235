/* SPDX-License-Identifier: Apache-2.0 */
/* GET /v1/bill?month=2026-11[&function=NAME]: what functions used in a month, by the sums on the disk and what is on its way there. */
#include "gateway/api.h"

#include "base/clock.h"
#include "codec/json.h"
#include "gateway/store_records.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct bill {
    struct record_query query; /* first */
    struct exchange *x;
};

static void bill_free(struct bill *b)
{
    buf_fini(&b->query.out);
    buf_fini(&b->query.target);
    free(b);
}

/* A MiB-microsecond is 2^-10 GB x 10^-6 s. */
static void put_gb_seconds(struct json_writer *w, const char *key, uint64_t mib_us)
{
    char text[48];
    int n = snprintf(text, sizeof(text), "%.9f", (double)mib_us / 1024.0 / 1e6);
    json_put_raw(w, key, (struct str){text, (size_t)n});
}

static void put_sums(struct json_writer *w, const struct account_sums *s)
{
    json_put_u64(w, "requests", s->requests);
    put_gb_seconds(w, "gb_seconds", s->run_mib_us);
    put_gb_seconds(w, "idle_gb_seconds", s->idle_mib_us);
}

static void print_bill(struct json_writer *w, const struct bill *b)
{
    struct account_sums total = {0};
    char month[16];
    const struct buf *rows = &b->query.out;
    snprintf(month, sizeof(month), "%04u-%02u", b->query.month / 100, b->query.month % 100);
    json_put_object(w, NULL);
    json_put_text(w, "month", b->query.month ? month : "unset");
    json_put_array(w, "functions");
    for (size_t at = 0; at + sizeof(struct record_bill) <= rows->len; at += sizeof(struct record_bill)) {
        struct record_bill one;
        memcpy(&one, rows->data + at, sizeof(one));
        json_put_object(w, NULL);
        json_put_text(w, "function", one.function);
        put_sums(w, &one.sums);
        json_put_object_end(w);
        total.requests += one.sums.requests;
        total.run_mib_us += one.sums.run_mib_us;
        total.idle_mib_us += one.sums.idle_mib_us;
    }
    json_put_array_end(w);
    json_put_object(w, "total");
    put_sums(w, &total);
    json_put_object_end(w);
    json_put_object_end(w);
}

static void on_bill(struct store_task *t)
{
    struct bill *b = (struct bill *)(void *)t;
    struct json_writer w;
    struct buf body;
    if (t->error.code) {
        exchange_error(b->x, t->error.code == EAGAIN ? 503 : 500,
                       t->error.code == EAGAIN ? "NoCapacity" : "InternalError", "%s", t->error.text);
        bill_free(b);
        return;
    }
    buf_init(&body, 0);
    json_writer_init(&w, &body);
    print_bill(&w, b);
    api_reply_json(b->x, &body, json_writer_end(&w));
    bill_free(b);
}

static bool read_month(struct exchange *x, unsigned *ret_month)
{
    struct str text, month;
    uint64_t y, m, ignored;
    *ret_month = records_month(clock_real_ms(), &ignored);
    if (!http1_query_find(x->request->query, "month", &text))
        return true;
    if (str_is(text, "unset")) {
        *ret_month = 0;
        return true;
    }
    struct str year = str_cut(text, '-', &month, NULL);
    if (year.n == 4 && month.n == 2 && str_to_u64(year, &y) && str_to_u64(month, &m) && m >= 1 && m <= 12) {
        *ret_month = (unsigned)(y * 100 + m);
        return true;
    }
    exchange_error(x, 400, "BadRequest",
                   "month='%.*s' is no month: write 2026-11, or 'unset' for what was used while the clock was not set",
                   (int)(text.n < 64 ? text.n : 64), text.p);
    return false;
}

void api_bill(struct exchange *x, struct str name)
{
    struct gateway *g = x->gateway;
    struct str function;
    unsigned month;
    (void)name;
    if (!read_month(x, &month))
        return;
    struct bill *b = calloc(1, sizeof(*b));
    if (!b) {
        exchange_error(x, 503, "NoCapacity", "out of memory");
        return;
    }
    b->x = x;
    b->query.want = STORE_RECORDS_BILL;
    b->query.month = month;
    b->query.dir = g->boot->db_dir;
    if (http1_query_find(x->request->query, "function", &function) &&
        !(settings_name_is_valid(function) && str_copy(function, b->query.function, sizeof(b->query.function)))) {
        exchange_error(x, 400, "BadRequest", "function= takes a function's name");
        bill_free(b);
        return;
    }
    b->query.task.run = store_records_read;
    b->query.task.done = on_bill;
    records_flush(g->records);
    store_submit(g->store, &b->query.task);
}
