/* SPDX-License-Identifier: Apache-2.0 */
/* One attempt at a call: handed to its function as a request without a client, judged, and settled. */
#include "base/clock.h"
#include "base/log.h"
#include "gateway/calls_internal.h"
#include "gateway/calls_policy.h"
#include "gateway/calls_record.h"
#include "gateway/front.h"
#include "gateway/pool.h"
#include "gateway/route.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- what memory or the disk refused ---- */

void calls_again_later(struct calls *c)
{
    if (ev_is_active(&c->again))
        return;
    ev_timer_set(&c->again, CALLS_AGAIN_MS / 1e3, 0.);
    ev_timer_start(c->gateway->loop, &c->again);
}

void calls_settle_again(struct calls *c)
{
    struct calls_job *j = c->unsettled, *next;
    c->unsettled = NULL;
    for (; j; j = next) {
        next = j->next;
        j->error = (struct err){0};
        calls_store_submit(c->store, j);
    }
}

void calls_try_again(struct calls *c)
{
    calls_settle_again(c);
    if (c->gateway->draining)
        return;
    struct list *at = list_first(&c->stalled), *last = list_last(&c->stalled);
    while (at) {
        struct calls_call *call = LIST_ENTRY(at, struct calls_call, link);
        bool more = at != last;
        list_remove(at);
        list_push_back(&c->running, at);
        calls_run(call);
        at = more ? list_first(&c->stalled) : NULL;
    }
}

static void stall(struct calls_call *call)
{
    struct calls *c = call->lane->calls;
    list_remove(&call->link);
    list_push_back(&c->stalled, &call->link);
    calls_again_later(c);
}

/* ---- settling ---- */

static void on_settled(struct calls_job *j)
{
    struct calls_call *call = j->settle.call;
    struct calls *c = call->lane->calls;
    const struct calls_told told = j->settle.told;
    const struct calls_result *r = &j->settle.result;
    if (j->error.code) {
        if (!c->unsettled)
            log_error("what came of a call cannot be stored, trying again fn=%s: %s", call->lane->name, j->error.text);
        j->next = c->unsettled;
        c->unsettled = j;
        calls_again_later(c);
        return;
    }
    calls_note_totals(c, j);
    if (r->status == CALLS_QUEUED)
        calls_lane_note(call->lane, r->due_ms);
    for (unsigned i = 0; i < told.count; i++)
        calls_lane_note(told.to[i].lane, calls_now(c));
    if (r->status == CALLS_QUEUED && call->cancelled)
        calls_cancel_quietly(c, call->row.id); /* it was asked for while the disk was busy with this */
    calls_job_free(j);
    calls_lane_call_over(call);
    for (unsigned i = 0; i < told.count; i++)
        calls_lane_release(told.to[i].lane);
}

static void submit(struct calls_call *call)
{
    struct calls_job *j = call->settle;
    call->settle = NULL;
    calls_store_submit(call->lane->calls->store, j);
}

/* ---- who is told ---- */

static bool is_number(const char *text)
{
    return *text && text[strspn(text, "0123456789")] == '\0';
}

/* Which version of what was called ran. An alias may be divided, or have moved since: the reply says it. */
static void name_version(const struct calls_call *call, const struct reply *r, char out[CALLS_VERSION_MAX])
{
    static const char field[] = "X-Faasd-Version: ";
    const char *at = r ? memmem(r->fields.p, r->fields.n, field, sizeof(field) - 1) : NULL;
    struct str rest;
    strcpy(out, "$LATEST");
    if (is_number(call->qualifier))
        str_copy(str_from(call->qualifier), out, CALLS_VERSION_MAX);
    else if (call->qualifier[0] && strcmp(call->qualifier, "$LATEST") != 0 && at)
        str_copy(str_cut(str_skip(r->fields, (size_t)(at - r->fields.p) + sizeof(field) - 1), '\r', &rest, NULL), out,
                 CALLS_VERSION_MAX);
}

/* The lane is made now, while a failure can still be mended. */
static void add_told(struct calls_call *call, const char *target, bool gets_event)
{
    struct calls_told *told = &call->settle->settle.told;
    struct calls_lane *l = call->lane;
    struct calls_destination *to = &told->to[told->count];
    struct str qualifier;
    if (!*target)
        return;
    if (call->row.hops >= CALLS_HOPS_MAX) {
        log_warn("%u destinations have followed one another: '%s' is not told of a call fn=%s", call->row.hops, target,
                 l->name);
        return;
    }
    *to = (struct calls_destination){.gets_event = gets_event};
    to->lane = calls_lane_hold(l->calls, str_cut(str_from(target), ':', &qualifier, NULL));
    if (!to->lane) {
        log_error("out of memory: '%s' is not told of a call fn=%s", target, l->name);
        return;
    }
    str_copy(str_from(target), to->target, sizeof(to->target));
    id_random(to->id, sizeof(to->id));
    to->id[6] = (uint8_t)((to->id[6] & 0x0f) | 0x40); /* as id_uuid(): version 4 */
    to->id[8] = (uint8_t)((to->id[8] & 0x3f) | 0x80);
    told->count++;
}

/* Who is told of this end. `r`: the last attempt's reply; NULL: there was none now. */
static void choose_destinations(struct calls_call *call, const struct calls_terms *t, const struct reply *r)
{
    struct calls_told *told = &call->settle->settle.told;
    enum calls_status status = call->settle->settle.result.status;
    char arn[LAMBDA_CONTEXT_ARN_MAX];
    told->count = 0;
    if (!t->function)
        return;
    if (status == CALLS_SUCCEEDED)
        add_told(call, t->on_success, false);
    if (status == CALLS_FAILED || status == CALLS_EXPIRED) {
        add_told(call, t->on_failure, false);
        add_told(call, t->dead_letter, true);
    }
    if (!told->count)
        return;
    const struct config *config = call->lane->calls->gateway->config;
    struct str region = calls_record_region(call->row.head);
    if (region.n)
        lambda_context_print_arn_in(config, t->function, region, arn);
    else
        lambda_context_print_arn(config, t->function, &t->function->current->settings, arn);
    snprintf(told->arn, sizeof(told->arn), "%s:%s", arn, call->qualifier[0] ? call->qualifier : "$LATEST");
    name_version(call, r, told->version);
}

/* The reply, and a failure as Lambda tells it, into the job's own memory; what is too long, or finds no memory, is left out and said. */
static void keep_reply(struct calls_job *j, const struct reply *r, struct str failure, uint64_t body_max)
{
    struct calls_result *to = &j->settle.result;
    struct calls_told *told = &j->settle.told;
    struct buf *out = &j->out;
    int error = 0;
    size_t fields, body;
    if (r->content_type) {
        error = buf_add_text(out, "Content-Type: ");
        error = error < 0 ? error : buf_add_text(out, r->content_type);
        error = error < 0 ? error : buf_add_text(out, "\r\n");
    }
    error = error < 0 ? error : buf_add_str(out, r->fields);
    fields = out->len;
    to->cut = r->body.n > body_max;
    if (!to->cut)
        error = error < 0 ? error : buf_add_str(out, r->body);
    body = out->len - fields;
    told->failure_is_cut = failure.n > body_max;
    if (!told->failure_is_cut)
        error = error < 0 ? error : buf_add_str(out, failure);
    if (error < 0) {
        out->len = fields = body = 0;
        to->cut = told->failure_is_cut = true;
    }
    to->fields = (struct str){.p = out->data, .n = fields};
    to->body = (struct str){.p = out->data + fields, .n = body};
    told->failure =
        failure.n ? (struct str){.p = out->data + fields + body, .n = out->len - fields - body} : (struct str){0};
}

static struct str cut_utf8(struct str text, size_t most)
{
    if (text.n <= most)
        return text;
    while (most && ((unsigned char)text.p[most] & 0xc0) == 0x80)
        most--;
    return (struct str){.p = text.p, .n = most};
}

static void keep_error(struct calls_job *j, const struct reply *r)
{
    if (!r->error_type)
        return;
    str_copy(str_from(r->error_type), j->settle.error, sizeof(j->settle.error));
    str_copy(cut_utf8(r->error_message, CALLS_MESSAGE_MAX - 1), j->settle.message, sizeof(j->settle.message));
    j->settle.result.error = str_from(j->settle.error);
    j->settle.result.message = str_from(j->settle.message);
}

/* Of a stopped function (gateway/pool_limit.h) nothing is run, and nothing is waited for. */
static enum calls_outcome judge_reply(const struct calls_terms *t, const struct reply *r)
{
    enum calls_outcome outcome = calls_outcome_of(r->status, r->error_type);
    bool stopped = t->function && function_is_stopped(t->function) && r->status == 429;
    return outcome == CALLS_OUTCOME_DELAYED && stopped ? CALLS_OUTCOME_HOPELESS : outcome;
}

static struct calls_try look_at(const struct calls_call *call, const struct reply *r, const struct calls_terms *t)
{
    const struct config *config = call->lane->calls->gateway->config;
    enum calls_outcome outcome = judge_reply(t, r);
    bool delayed = outcome == CALLS_OUTCOME_DELAYED;
    bool refused = calls_outcome_of(r->status, r->error_type) == CALLS_OUTCOME_DELAYED;
    uint64_t now = calls_now(call->lane->calls);
    return (struct calls_try){
        .outcome = outcome,
        .attempts = call->row.attempts + !refused,
        .delays = delayed ? call->row.delays + 1 : 0,
        .age_ms = now > call->row.accepted_ms ? now - call->row.accepted_ms : 0,
        .cancelled = call->cancelled,
        .retries = t->retries,
        .backoff_ms = t->backoff_ms,
        .max_age_ms = t->max_age_ms,
        .retry_min_ms = config->async_retry_min_ms,
        .retry_max_ms = config->async_retry_max_ms,
    };
}

/* faasd is ending before the call began: it stays in the database as it is. */
static bool goes_back(const struct calls_call *call, const struct reply *r)
{
    return call->lane->calls->gateway->draining && r->error_type && r->status == 503;
}

static void on_reply(struct exchange *x, const struct reply *r)
{
    struct calls_call *call = x->context;
    struct calls *c = call->lane->calls;
    if (goes_back(call, r)) {
        calls_job_free(call->settle);
        calls_lane_call_over(call);
        return;
    }
    struct calls_terms terms;
    calls_find_terms(call, &terms);
    struct calls_try try = look_at(call, r, &terms);
    struct calls_verdict verdict = calls_judge(&try);
    struct calls_job *j = call->settle;
    j->settle.result = (struct calls_result){
        .seq = call->row.seq,
        .status = verdict.status,
        .due_ms = calls_now(c) + verdict.delay_ms,
        .attempts = try.attempts,
        .delays = try.delays,
        .http_status = r->status,
    };
    keep_error(j, r);
    if (verdict.status != CALLS_QUEUED)
        keep_reply(j, r, x->failure, c->gateway->config->async_result_max);
    choose_destinations(call, &terms, r);
    submit(call);
}

/* ---- starting ---- */

static void expire(struct calls_call *call, const struct calls_terms *t)
{
    struct calls_job *j = call->settle;
    j->settle.result =
        (struct calls_result){.seq = call->row.seq, .status = CALLS_EXPIRED, .attempts = call->row.attempts};
    choose_destinations(call, t, NULL);
    submit(call);
}

/* It can't become a request, now or later: a dead letter, which whoever looks at it can drive again after an upgrade. */
static void give_up(struct calls_call *call, const struct calls_terms *t, struct str error, struct str message)
{
    struct calls_job *j = call->settle;
    j->settle.result = (struct calls_result){.seq = call->row.seq,
                                             .status = CALLS_FAILED,
                                             .attempts = call->row.attempts,
                                             .error = error,
                                             .message = message};
    log_error("a call is given up: %.*s fn=%s", (int)message.n, message.p, call->lane->name);
    choose_destinations(call, t, NULL);
    submit(call);
}

static bool is_too_old(const struct calls_call *call, const struct calls_terms *t)
{
    uint64_t now = calls_now(call->lane->calls);
    return now > call->row.accepted_ms && now - call->row.accepted_ms >= t->max_age_ms;
}

/* From the head into the exchange: the function is not to see it as a field. */
static void take_region(struct exchange *x)
{
    struct http1_request *q = (struct http1_request *)x->request; /* the exchange's own; const for handlers */
    unsigned kept = 0;
    for (unsigned i = 0; i < q->field_count; i++) {
        if (str_is_nocase(q->fields[i].name, CALLS_REGION_FIELD))
            x->region = q->fields[i].value;
        else
            q->fields[kept++] = q->fields[i];
    }
    q->field_count = kept;
}

void calls_run(struct calls_call *call)
{
    struct calls *c = call->lane->calls;
    struct calls_terms terms;
    char id[ID_UUID_MAX];
    if (!call->settle)
        call->settle = calls_job_new(CALLS_JOB_SETTLE, on_settled, NULL);
    if (!call->settle) {
        stall(call);
        return;
    }
    call->settle->settle.call = call;
    calls_find_terms(call, &terms);
    if (call->row.damaged) {
        /* what would run is not what was asked for */
        give_up(call, &terms, STR_LITERAL(CALLS_EVENT_DAMAGED), STR_LITERAL(CALLS_EVENT_DAMAGED_TEXT));
        return;
    }
    if (is_too_old(call, &terms)) {
        expire(call, &terms);
        return;
    }
    id_uuid_print(call->row.id, id);
    /* As from control.sock: who may invoke was asked when it was accepted, and what errors say is for those who may ask for the result. */
    const struct front_request request = {.head = call->row.head,
                                          .body = call->row.body,
                                          .id = id,
                                          .listener = GATEWAY_LISTENER_CONTROL,
                                          .on_reply = on_reply,
                                          .context = call};
    int error;
    struct exchange *x = front_make_exchange(c->gateway->front, &request, &error);
    if (!x && error == -ENOMEM) {
        stall(call);
        return;
    }
    if (!x) {
        give_up(call, &terms, STR_LITERAL(CALLS_EVENT_UNREADABLE), STR_LITERAL(CALLS_EVENT_UNREADABLE_TEXT));
        return;
    }
    take_region(x);
    route_run_function(x);
}
