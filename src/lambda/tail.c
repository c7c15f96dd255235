/* SPDX-License-Identifier: Apache-2.0 */
#include "lambda/tail.h"

#include "codec/base64.h"
#include "gateway/log_tail.h"
#include "gateway/records.h"
#include "lambda/invoke.h"
#include "lambda/report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    FIELDS_MAX = 1024, /* of the reply that is added to */
    LOG_FIELD_MAX = BASE64_ENCODED(LOG_TAIL_MAX) + 64,
};

static const char FIELD[] = "X-Amz-Log-Result: ";

struct tail {
    struct records_waiter waiter;
    struct exchange *x; /* borrowed: ended here */
    struct lambda_report report;
    char version[24];
    char error_type[64];
    size_t fields_n, body_n;
    char fields[FIELDS_MAX];
    char body[]; /* of body_n */
};

static size_t copy(char *to, struct str from)
{
    if (from.n)
        memcpy(to, from.p, from.n);
    return from.n;
}

/* START, the lines, END, REPORT: the last LOG_TAIL_MAX bytes of it. */
static struct str assemble(const struct tail *t, char out[LOG_TAIL_MAX + 3 * LAMBDA_REPORT_MAX])
{
    size_t n = lambda_report_start(&t->report, out);
    n += log_tail_read(t->x->log_tail, out + n).n;
    n += lambda_report_end(&t->report, out + n);
    n += lambda_report_print(&t->report, out + n);
    struct str all = {out, n};
    return n > LOG_TAIL_MAX ? str_skip(all, n - LOG_TAIL_MAX) : all;
}

static void answer(struct tail *t)
{
    char log[LOG_TAIL_MAX + 3 * LAMBDA_REPORT_MAX];
    char fields[FIELDS_MAX + LOG_FIELD_MAX];
    struct str lines = assemble(t, log);
    size_t n = copy(fields, (struct str){t->fields, t->fields_n});
    n += copy(fields + n, STR_LITERAL(FIELD));
    base64_encode(lines, fields + n);
    n += BASE64_ENCODED(lines.n);
    n += copy(fields + n, STR_LITERAL("\r\n"));
    const struct reply r = {
        .status = 200, .content_type = "application/json", .fields = {fields, n}, .body = {t->body, t->body_n}};
    exchange_reply(t->x, &r);
    free(t);
}

static void on_settled(struct records_waiter *w)
{
    struct tail *t = LIST_ENTRY(w, struct tail, waiter);
    const struct record *r = record_ring_at(&t->x->gateway->records->ring, w->number);
    if (r && r->peak_kib)
        t->report.peak_bytes = (uint64_t)r->peak_kib * 1024;
    answer(t);
}

static void fill_report(struct tail *t, const struct invocation *inv, const struct invocation_end *e)
{
    struct lambda_report *r = &t->report;
    lambda_print_version(inv, t->version);
    *r = (struct lambda_report){.id = inv->exchange->id, .version = t->version, .init_us = inv->init_ns / 1000};
    r->peak_bytes = inv->peak_bytes;
    if (inv->delivered_ns)
        r->run_us = (e->now_ns - inv->delivered_ns) / 1000;
    if (inv->version)
        r->memory_bytes = inv->version->settings.memory_bytes;
    if (!e->failure)
        return;
    if (e->failure->cause.peak_bytes)
        r->peak_bytes = e->failure->cause.peak_bytes;
    if (e->outcome == INVOCATION_TIMED_OUT)
        r->status = "timeout";
    else if (e->outcome == INVOCATION_OUT_OF_MEMORY || e->outcome == INVOCATION_CRASHED ||
             e->failure->cause.has_exited) {
        r->status = "error";
        r->error_type = e->outcome == INVOCATION_OUT_OF_MEMORY ? "Runtime.OutOfMemory" : "Runtime.ExitError";
    }
}

void lambda_tail_answer(struct invocation *inv, const struct invocation_end *e, const struct reply *reply)
{
    struct exchange *x = inv->exchange;
    struct tail *t = reply->fields.n <= FIELDS_MAX ? calloc(1, sizeof(*t) + reply->body.n) : NULL;
    if (!t) { /* the answer counts for more than its log */
        exchange_reply(x, reply);
        return;
    }
    t->x = x;
    t->fields_n = copy(t->fields, reply->fields);
    t->body_n = copy(t->body, reply->body);
    fill_report(t, inv, e);
    t->waiter.number = x->gateway->records->ring.last;
    t->waiter.on_settled = on_settled;
    list_init(&t->waiter.link);
    if (inv->delivered_ns && !t->report.peak_bytes)
        records_when_settled(x->gateway->records, &t->waiter);
    else
        answer(t);
}
