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
    struct calls_lane *told = j->owner;
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
    if (told)
        calls_lane_note(told, calls_now(c));
    if (r->status == CALLS_QUEUED && call->cancelled)
        calls_cancel_quietly(c, call->row.id); /* it was asked for while the disk was busy with this */
    calls_job_free(j);
    calls_lane_call_over(call);
    if (told)
        calls_lane_release(told);
}

static void submit(struct calls_call *call)
{
    struct calls_job *j = call->settle;
    call->settle = NULL;
    calls_store_submit(call->lane->calls->store, j);
}

/* "POST /function/NAME:QUALIFIER/path HTTP/1.1": as it was accepted. */
static void name_version(const struct calls_call *call, char out[SETTINGS_NAME_MAX])
{
    struct str rest, qualifier;
    bool qualified;
    str_cut(call->row.head, ' ', &rest, NULL);
    struct str target = str_skip(str_cut(rest, ' ', &rest, NULL), sizeof("/function/") - 1);
    target = str_cut(str_cut(target, '?', &rest, NULL), '/', &rest, NULL);
    str_cut(target, ':', &qualifier, &qualified);
    if (qualified && str_copy(qualifier, out, SETTINGS_NAME_MAX))
        return;
    if (call->version)
        snprintf(out, SETTINGS_NAME_MAX, "%llu", (unsigned long long)call->version);
}

/* Who is told of this end; the lane is made now, while a failure can still be mended. */
static void choose_destination(struct calls_call *call, const struct settings *s)
{
    struct calls_job *j = call->settle;
    enum calls_status status = j->settle.result.status;
    struct calls_lane *l = call->lane;
    const char *target = "";
    struct str qualifier;
    if (s && status == CALLS_SUCCEEDED)
        target = s->on_success;
    else if (s && (status == CALLS_FAILED || status == CALLS_EXPIRED))
        target = s->on_failure;
    if (!*target)
        return;
    if (call->row.hops >= CALLS_HOPS_MAX) {
        log_warn("%u destinations have followed one another: '%s' is not told of a call fn=%s", call->row.hops, target,
                 l->name);
        return;
    }
    j->owner = calls_lane_hold(l->calls, str_cut(str_from(target), ':', &qualifier, NULL));
    if (!j->owner) {
        log_error("out of memory: '%s' is not told of a call fn=%s", target, l->name);
        return;
    }
    str_copy(str_from(target), j->settle.destination.target, sizeof(j->settle.destination.target));
    memcpy(j->settle.destination.function, l->name, sizeof(l->name));
    name_version(call, j->settle.destination.version);
    id_random(j->id, sizeof(j->id));
    j->id[6] = (uint8_t)((j->id[6] & 0x0f) | 0x40); /* as id_uuid(): version 4 */
    j->id[8] = (uint8_t)((j->id[8] & 0x3f) | 0x80);
}

static const struct settings *find_settings(const struct calls_lane *l)
{
    const struct function *f = registry_find(l->calls->gateway->registry, str_from(l->name));
    return f ? &f->current->settings : NULL;
}

/* The reply into the job's own memory; what is too long, or finds no memory, is left out and said. */
static void keep_reply(struct calls_job *j, const struct reply *r, uint64_t body_max)
{
    struct calls_result *to = &j->settle.result;
    struct buf *out = &j->out;
    int error = 0;
    size_t fields;
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
    if (error < 0) {
        out->len = fields = 0;
        to->cut = true;
    }
    to->fields = (struct str){.p = out->data, .n = fields};
    to->body = (struct str){.p = out->data + fields, .n = out->len - fields};
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

static struct calls_try look_at(const struct calls_call *call, const struct reply *r, const struct settings *s)
{
    const struct config *config = call->lane->calls->gateway->config;
    const struct settings_defaults *d = &config->defaults;
    enum calls_outcome outcome = calls_outcome_of(r->status, r->error_type);
    bool delayed = outcome == CALLS_OUTCOME_DELAYED;
    uint64_t now = calls_now(call->lane->calls);
    return (struct calls_try){
        .outcome = outcome,
        .attempts = call->row.attempts + !delayed,
        .delays = delayed ? call->row.delays + 1 : 0,
        .age_ms = now > call->row.accepted_ms ? now - call->row.accepted_ms : 0,
        .cancelled = call->cancelled,
        .retries = s ? s->async_retries : d->async_retries,
        .backoff_ms = s ? s->async_backoff_ms : d->async_backoff_ms,
        .max_age_ms = s ? s->async_max_age_ms : d->async_max_age_ms,
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
    const struct settings *s = find_settings(call->lane);
    struct calls_try try = look_at(call, r, s);
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
        keep_reply(j, r, c->gateway->config->async_result_max);
    choose_destination(call, s);
    submit(call);
}

/* ---- starting ---- */

static void expire(struct calls_call *call, const struct settings *s)
{
    struct calls_job *j = call->settle;
    j->settle.result =
        (struct calls_result){.seq = call->row.seq, .status = CALLS_EXPIRED, .attempts = call->row.attempts};
    choose_destination(call, s);
    submit(call);
}

/* It can't become a request, now or later: a dead letter, which whoever looks at it can drive again after an upgrade. */
static void give_up(struct calls_call *call, const struct settings *s, struct str error, struct str message)
{
    struct calls_job *j = call->settle;
    j->settle.result = (struct calls_result){.seq = call->row.seq,
                                             .status = CALLS_FAILED,
                                             .attempts = call->row.attempts,
                                             .error = error,
                                             .message = message};
    log_error("a call is given up: %.*s fn=%s", (int)message.n, message.p, call->lane->name);
    choose_destination(call, s);
    submit(call);
}

static bool is_too_old(const struct calls_call *call, const struct settings *s)
{
    const struct calls *c = call->lane->calls;
    uint64_t most = s ? s->async_max_age_ms : c->gateway->config->defaults.async_max_age_ms;
    uint64_t now = calls_now(c);
    return now > call->row.accepted_ms && now - call->row.accepted_ms >= most;
}

void calls_run(struct calls_call *call)
{
    struct calls *c = call->lane->calls;
    const struct function *f = registry_find(c->gateway->registry, str_from(call->lane->name));
    const struct settings *s = f ? &f->current->settings : NULL;
    char id[ID_UUID_MAX];
    if (!call->settle)
        call->settle = calls_job_new(CALLS_JOB_SETTLE, on_settled, NULL);
    if (!call->settle) {
        stall(call);
        return;
    }
    call->settle->settle.call = call;
    if (call->row.damaged) {
        /* what would run is not what was asked for */
        give_up(call, s, STR_LITERAL(CALLS_EVENT_DAMAGED), STR_LITERAL(CALLS_EVENT_DAMAGED_TEXT));
        return;
    }
    if (is_too_old(call, s)) {
        expire(call, s);
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
        give_up(call, s, STR_LITERAL(CALLS_EVENT_UNREADABLE), STR_LITERAL(CALLS_EVENT_UNREADABLE_TEXT));
        return;
    }
    call->version = f ? f->current->number : 0;
    route_run_function(x);
}
