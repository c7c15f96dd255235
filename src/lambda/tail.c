/* SPDX-License-Identifier: Apache-2.0 */
#include "lambda/tail.h"

#include "codec/base64.h"
#include "lambda/invoke.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    FIELDS_MAX = 1024, /* of the reply that is added to */
    LOG_FIELD_MAX = BASE64_ENCODED(LOG_TAIL_MAX) + 64,
};

static const char FIELD[] = "X-Amz-Log-Result: ";

/* An answer of Invoke's. */
struct tail {
    struct lambda_tail_waiter waiter;
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

/* ---- the log ---- */

static struct str assemble(const struct lambda_tail_waiter *w, char out[LOG_TAIL_MAX + 3 * LAMBDA_REPORT_MAX])
{
    size_t n = lambda_report_start(&w->report, out);
    n += log_tail_read(w->x->log_tail, out + n).n;
    n += lambda_report_end(&w->report, out + n);
    n += lambda_report_print(&w->report, out + n);
    struct str all = {out, n};
    return n > LOG_TAIL_MAX ? str_skip(all, n - LOG_TAIL_MAX) : all;
}

static void tell(struct lambda_tail_waiter *w)
{
    char log[LOG_TAIL_MAX + 3 * LAMBDA_REPORT_MAX];
    w->on_log(w, assemble(w, log));
}

static void on_settled(struct records_waiter *settled)
{
    struct lambda_tail_waiter *w = LIST_ENTRY(settled, struct lambda_tail_waiter, waiter);
    const struct record *r = record_ring_at(&w->x->gateway->records->ring, settled->number);
    if (r && r->peak_kib)
        w->report.peak_bytes = (uint64_t)r->peak_kib * 1024;
    tell(w);
}

static void fill_report(struct lambda_tail_waiter *w, const struct invocation *inv, const struct invocation_end *e)
{
    struct lambda_report *r = &w->report;
    lambda_print_version(inv->wanted, w->version);
    *r = (struct lambda_report){.id = w->x->id, .version = w->version, .init_us = inv->init_ns / 1000};
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

void lambda_tail_wait(struct lambda_tail_waiter *w, const struct invocation *inv, const struct invocation_end *e)
{
    w->x = inv->exchange;
    fill_report(w, inv, e);
    w->waiter = (struct records_waiter){.number = w->x->gateway->records->ring.last, .on_settled = on_settled};
    list_init(&w->waiter.link);
    if (inv->delivered_ns && !w->report.peak_bytes)
        records_when_settled(w->x->gateway->records, &w->waiter);
    else
        tell(w);
}

/* ---- an answer of Invoke's ---- */

static void on_log(struct lambda_tail_waiter *w, struct str log)
{
    struct tail *t = LIST_ENTRY(w, struct tail, waiter);
    char fields[FIELDS_MAX + LOG_FIELD_MAX];
    size_t n = copy(fields, (struct str){t->fields, t->fields_n});
    n += copy(fields + n, STR_LITERAL(FIELD));
    base64_encode(log, fields + n);
    n += BASE64_ENCODED(log.n);
    n += copy(fields + n, STR_LITERAL("\r\n"));
    const struct reply r = {
        .status = 200, .content_type = "application/json", .fields = {fields, n}, .body = {t->body, t->body_n}};
    exchange_reply(w->x, &r);
    free(t);
}

void lambda_tail_answer(const struct invocation *inv, const struct invocation_end *e, const struct reply *reply)
{
    struct tail *t = reply->fields.n <= FIELDS_MAX ? calloc(1, sizeof(*t) + reply->body.n) : NULL;
    if (!t) { /* the answer counts for more than its log */
        exchange_reply(inv->exchange, reply);
        return;
    }
    t->waiter.on_log = on_log;
    t->fields_n = copy(t->fields, reply->fields);
    t->body_n = copy(t->body, reply->body);
    lambda_tail_wait(&t->waiter, inv, e);
}
