/* SPDX-License-Identifier: Apache-2.0 */
/* What clients ask about calls: how far they are, what came of them; cancel, redrive. */
#include "base/clock.h"
#include "codec/json.h"
#include "gateway/api.h"
#include "gateway/calls_internal.h"
#include "gateway/calls_list.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SHOW_FIELDS_MAX = 256 };

static void refuse_unknown(struct exchange *x)
{
    exchange_error(x, 404, "ResourceNotFound",
                   "there is no such call among the asynchronous ones, or it is not kept any more");
}

/* Answers what concerns every question. True: it was answered. */
static bool answer_failure(struct exchange *x, const struct calls_job *j)
{
    if (j->error.code)
        exchange_error(x, 503, "StorageFailed", "the calls cannot be read or changed: %s", j->error.text);
    else if (j->answer == CALLS_UNKNOWN)
        refuse_unknown(x);
    else
        return false;
    return true;
}

/* NULL when the exchange was answered. */
static struct calls_job *make_job(struct exchange *x, enum calls_job_kind kind, void (*done)(struct calls_job *j),
                                  struct str id)
{
    uint8_t bytes[CALLS_ID_BYTES];
    if (!id_uuid_parse(id, bytes) || !calls_store_exists(x->gateway->calls->store)) {
        refuse_unknown(x);
        return NULL;
    }
    struct calls_job *j = calls_job_new(kind, done, x);
    if (!j)
        exchange_error(x, 503, "NoCapacity", "out of memory");
    else
        memcpy(j->id, bytes, sizeof(bytes));
    return j;
}

static void submit(struct exchange *x, enum calls_job_kind kind, void (*done)(struct calls_job *j), struct str id)
{
    struct calls_job *j = make_job(x, kind, done, id);
    if (j)
        calls_store_submit(x->gateway->calls->store, j);
}

/* ---- how far it is ---- */

static void reply_status(struct exchange *x, const struct calls_job *j, int status)
{
    const struct calls_info *info = &j->found.info;
    struct calls_listed state;
    char id[ID_UUID_MAX], fields[SHOW_FIELDS_MAX];
    const char *name = calls_status_name(j->found.running ? CALLS_RUNNING : info->status);
    calls_listed_fill(&state, info, j->found.running);
    struct json_writer w;
    struct buf body;
    id_uuid_print(info->id, id);
    buf_init(&body, 0);
    json_writer_init(&w, &body);
    json_put_object(&w, NULL);
    json_put_text(&w, "id", id);
    json_put_text(&w, "function", info->function);
    calls_put_state(&w, x->gateway->calls, &state, exchange_errors_are_brief(x));
    json_put_object_end(&w);
    if (json_writer_end(&w) < 0 || buf_add(&body, "\n", 1) < 0) {
        exchange_error(x, 503, "NoCapacity", "out of memory");
    } else {
        int n = snprintf(fields, sizeof(fields), "X-Call-Id: %s\r\nX-Call-Status: %s\r\n%s", id, name,
                         status == 202 ? "Retry-After: 1\r\n" : "");
        const struct reply r = {.status = status,
                                .content_type = "application/json",
                                .fields = {fields, (size_t)n},
                                .body = buf_str(&body)};
        exchange_reply(x, &r);
    }
    buf_fini(&body);
}

/* ---- what came of it ---- */

static void reply_without_result(struct exchange *x, const struct calls_info *info, const char *fields)
{
    const char *type = "ResultTooLarge", *why = "its result was over the limit 'async.result' and is not kept";
    if (info->status == CALLS_CANCELLED) {
        type = "Cancelled";
        why = "the call was cancelled";
    } else if (strcmp(info->error, CALLS_EVENT_DAMAGED) == 0) {
        type = CALLS_EVENT_DAMAGED;
        why = CALLS_EVENT_DAMAGED_TEXT;
    } else if (strcmp(info->error, CALLS_EVENT_UNREADABLE) == 0) {
        type = CALLS_EVENT_UNREADABLE;
        why = CALLS_EVENT_UNREADABLE_TEXT;
    } else if (info->status == CALLS_EXPIRED) {
        type = "EventAgeExceeded";
        why = "the call became older than async_max_age before it could be run";
    }
    exchange_error_full(x, 410, type, str_from(why), (struct str){0}, fields);
}

static void reply_result(struct exchange *x, const struct calls_job *j)
{
    const struct calls_info *info = &j->found.info;
    char id[ID_UUID_MAX], ours[SHOW_FIELDS_MAX];
    struct buf fields;
    if (info->seq) {
        reply_status(x, j, 202);
        return;
    }
    id_uuid_print(info->id, id);
    int n = snprintf(ours, sizeof(ours), "X-Call-Id: %s\r\nX-Call-Status: %s\r\n", id, calls_status_name(info->status));
    if (info->http_status == 0 || info->cut || info->status == CALLS_CANCELLED) {
        reply_without_result(x, info, ours);
        return;
    }
    if (*info->error && exchange_errors_are_brief(x)) {
        exchange_error_full(x, info->http_status, info->error, (struct str){0}, (struct str){0}, ours);
        return;
    }
    buf_init(&fields, 0);
    if (buf_add_str(&fields, info->fields) < 0 || buf_add(&fields, ours, (size_t)n) < 0) {
        exchange_error(x, 503, "NoCapacity", "out of memory");
    } else {
        const struct reply r = {.status = info->http_status, .fields = buf_str(&fields), .body = info->body};
        exchange_reply(x, &r);
    }
    buf_fini(&fields);
}

/* ---- questions ---- */

static void on_shown(struct calls_job *j)
{
    if (!answer_failure(j->owner, j))
        reply_status(j->owner, j, 200);
    calls_job_free(j);
}

static void on_result(struct calls_job *j)
{
    if (!answer_failure(j->owner, j))
        reply_result(j->owner, j);
    calls_job_free(j);
}

/* The path names a function, and it was this function's `auth` that was asked. */
static void on_answer(struct calls_job *j)
{
    struct exchange *x = j->owner;
    char *function = x->owner;
    struct str as_status;
    if (answer_failure(x, j)) {
        /* said */
    } else if (strcmp(j->found.info.function, function) != 0) {
        refuse_unknown(x);
    } else if (http1_query_find(x->request->query, "status", &as_status) && str_is(as_status, "1")) {
        reply_status(x, j, 200);
    } else {
        reply_result(x, j);
    }
    free(function);
    calls_job_free(j);
}

void calls_answer(struct exchange *x, struct str function, struct str id)
{
    struct calls_job *j = make_job(x, CALLS_JOB_LOOK_UP, on_answer, id);
    if (!j)
        return;
    x->owner = strndup(function.p, function.n);
    if (!x->owner) {
        calls_job_free(j);
        exchange_error(x, 503, "NoCapacity", "out of memory");
        return;
    }
    calls_store_submit(x->gateway->calls->store, j);
}

void calls_api_show(struct exchange *x, struct str id)
{
    submit(x, CALLS_JOB_LOOK_UP, on_shown, id);
}

void calls_api_result(struct exchange *x, struct str id)
{
    submit(x, CALLS_JOB_LOOK_UP, on_result, id);
}

/* ---- the queue as a whole ---- */

static uint64_t age_of(const struct calls *c, uint64_t oldest_ms)
{
    uint64_t now = calls_now(c);
    return oldest_ms && now > oldest_ms ? now - oldest_ms : 0;
}

struct age_question {
    struct calls *calls;
    calls_on_age *on_age;
    void *owner;
};

static void on_age_known(struct calls_job *j)
{
    struct age_question q = *(struct age_question *)j->owner;
    uint64_t oldest_ms = j->error.code ? 0 : j->oldest_ms;
    calls_note_totals(q.calls, j);
    free(j->owner);
    calls_job_free(j);
    q.on_age(q.owner, age_of(q.calls, oldest_ms));
}

void calls_ask_age(struct calls *c, calls_on_age *on_age, void *owner)
{
    struct age_question *q = calls_store_exists(c->store) ? malloc(sizeof(*q)) : NULL;
    struct calls_job *j = q ? calls_job_new(CALLS_JOB_STATS, on_age_known, q) : NULL;
    if (!j) {
        free(q);
        on_age(owner, 0);
        return;
    }
    *q = (struct age_question){.calls = c, .on_age = on_age, .owner = owner};
    calls_store_submit(c->store, j);
}

static void print_stats(struct exchange *x, uint64_t oldest_ms)
{
    const struct calls *c = x->gateway->calls;
    const struct calls_totals *t = &c->totals;
    struct json_writer w;
    struct buf body;
    buf_init(&body, 0);
    json_writer_init(&w, &body);
    json_put_object(&w, NULL);
    json_put_u64(&w, "queued", calls_waiting(c));
    json_put_u64(&w, "running", c->running_count);
    json_put_u64(&w, "queued_bytes", t->queued_bytes);
    json_put_milli(&w, "oldest_seconds", age_of(c, oldest_ms));
    json_put_u64(&w, "succeeded_kept", t->results);
    json_put_u64(&w, "succeeded_bytes", t->results_bytes);
    json_put_u64(&w, "failed_kept", t->failed);
    json_put_u64(&w, "failed_bytes", t->failed_bytes);
    json_put_u64(&w, "idempotency_keys", t->keys);
    json_put_object_end(&w);
    api_reply_json(x, &body, json_writer_end(&w));
}

static void on_stats(struct calls_job *j)
{
    struct exchange *x = j->owner;
    calls_note_totals(x->gateway->calls, j);
    if (!answer_failure(x, j))
        print_stats(x, j->oldest_ms);
    calls_job_free(j);
}

void calls_api_stats(struct exchange *x, struct str none)
{
    struct calls *c = x->gateway->calls;
    struct str ignored;
    (void)none;
    if (http1_query_find(x->request->query, "status", &ignored)) {
        calls_api_list(x);
        return;
    }
    struct calls_job *j = calls_store_exists(c->store) ? calls_job_new(CALLS_JOB_STATS, on_stats, x) : NULL;
    if (j)
        calls_store_submit(c->store, j);
    else
        print_stats(x, 0);
}

/* ---- cancel, redrive ---- */

static void reply_state(struct exchange *x, const uint8_t id[CALLS_ID_BYTES], enum calls_status s, bool cancelling)
{
    char text[ID_UUID_MAX];
    struct json_writer w;
    struct buf body;
    id_uuid_print(id, text);
    buf_init(&body, 0);
    json_writer_init(&w, &body);
    json_put_object(&w, NULL);
    json_put_text(&w, "id", text);
    json_put_text(&w, "status", calls_status_name(s));
    if (cancelling)
        json_put_bool(&w, "cancelling", true);
    json_put_object_end(&w);
    api_reply_json(x, &body, json_writer_end(&w));
}

static bool mark_cancelled(struct list *calls, const uint8_t id[CALLS_ID_BYTES])
{
    LIST_EACH (calls, at) {
        struct calls_call *call = LIST_ENTRY(at, struct calls_call, link);
        if (memcmp(call->row.id, id, CALLS_ID_BYTES) == 0) {
            call->cancelled = true;
            return true;
        }
    }
    return false;
}

static void note_cancel(struct calls *c, const struct calls_job *j)
{
    calls_note_totals(c, j);
    if (!j->error.code && j->answer == CALLS_IS_RUNNING && !mark_cancelled(&c->running, j->id))
        mark_cancelled(&c->stalled, j->id);
}

static void on_cancelled(struct calls_job *j)
{
    struct exchange *x = j->owner;
    note_cancel(x->gateway->calls, j);
    if (answer_failure(x, j)) {
        /* said */
    } else if (j->answer == CALLS_IS_OVER) {
        exchange_error(x, 409, "Conflict", "the call has ended already");
    } else {
        reply_state(x, j->id, j->answer == CALLS_IS_RUNNING ? CALLS_RUNNING : CALLS_CANCELLED,
                    j->answer == CALLS_IS_RUNNING);
    }
    calls_job_free(j);
}

static void on_quietly_cancelled(struct calls_job *j)
{
    note_cancel(j->owner, j);
    calls_job_free(j);
}

void calls_cancel_quietly(struct calls *c, const uint8_t id[CALLS_ID_BYTES])
{
    struct calls_job *j = calls_job_new(CALLS_JOB_CANCEL, on_quietly_cancelled, c);
    if (!j)
        return;
    memcpy(j->id, id, CALLS_ID_BYTES);
    calls_store_submit(c->store, j);
}

static void on_redriven(struct calls_job *j)
{
    struct exchange *x = j->owner;
    struct calls *c = x->gateway->calls;
    struct calls_lane *l = NULL;
    calls_note_totals(c, j);
    if (answer_failure(x, j)) {
        /* said */
    } else if (j->answer == CALLS_IS_QUEUED) {
        exchange_error(x, 409, "Conflict", "the call has not ended yet");
    } else if (j->answer == CALLS_HAS_SUCCEEDED) {
        exchange_error(x, 409, "Conflict", "the call has succeeded, and its event is not kept");
    } else {
        l = calls_lane_hold(c, buf_str(&j->out));
        reply_state(x, j->id, CALLS_QUEUED, false);
    }
    if (l) {
        calls_lane_note(l, calls_now(c));
        calls_lane_release(l);
    }
    calls_job_free(j);
}

void calls_api_cancel(struct exchange *x, struct str id)
{
    submit(x, CALLS_JOB_CANCEL, on_cancelled, id);
}

void calls_api_redrive(struct exchange *x, struct str id)
{
    submit(x, CALLS_JOB_REDRIVE, on_redriven, id);
}
