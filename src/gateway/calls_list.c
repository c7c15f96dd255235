/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/calls_list.h"

#include "base/log.h"
#include "base/units.h"
#include "gateway/api.h"
#include "gateway/calls_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- a listing ---- */

static void on_listed(struct calls_job *j);

static void ask_more(struct calls_listing *l)
{
    struct calls_job *j = calls_job_new(CALLS_JOB_LIST, on_listed, l);
    if (!j) {
        err_set(&l->error, ENOMEM, "list calls");
        l->done(l);
        return;
    }
    memcpy(j->list.function, l->function, sizeof(l->function));
    j->list.statuses = l->statuses;
    j->list.count = l->count - (unsigned)(l->rows.len / sizeof(struct calls_listed));
    j->list.cursor = l->cursor;
    calls_store_submit(l->calls->store, j);
}

static void on_listed(struct calls_job *j)
{
    struct calls_listing *l = j->owner;
    l->error = j->error;
    if (!l->error.code && buf_add_str(&l->rows, buf_str(&j->out)) < 0)
        err_set(&l->error, ENOMEM, "list calls");
    l->cursor = j->list.cursor;
    l->more = j->list.more;
    calls_job_free(j);
    if (!l->error.code && l->more && l->rows.len / sizeof(struct calls_listed) < l->count)
        ask_more(l);
    else
        l->done(l);
}

void calls_listing_start(struct calls *c, struct calls_listing *l)
{
    l->calls = c;
    l->more = false;
    l->error = (struct err){0};
    buf_init(&l->rows, 0);
    if (calls_store_exists(c->store) && l->statuses)
        ask_more(l);
    else
        l->done(l);
}

static bool read_status(struct str text, unsigned *statuses)
{
    if (str_is(text, "dead") || str_is(text, "all")) {
        *statuses |= str_is(text, "dead") ? CALLS_SET_DEAD : CALLS_SET_ALL;
        return true;
    }
    for (unsigned s = 0; s < CALLS_STATUSES; s++)
        if (str_is(text, calls_status_name((enum calls_status)s))) {
            *statuses |= CALLS_SET(s);
            return true;
        }
    return false;
}

bool calls_read_statuses(struct str text, unsigned *ret_statuses)
{
    struct str rest = text;
    bool more = true;
    *ret_statuses = 0;
    while (more)
        if (!read_status(str_cut(rest, ',', &rest, &more), ret_statuses))
            return false;
    return true;
}

/* ---- one ---- */

struct question {
    calls_on_found *on_found;
    calls_on_event *on_event;
    void *owner;
};

static void on_found(struct calls_job *j)
{
    struct question q = *(struct question *)j->owner;
    struct calls_listed found;
    struct err e = j->error;
    bool known = !e.code && j->answer == CALLS_DONE;
    if (known)
        calls_listed_fill(&found, &j->found.info, j->found.running);
    free(j->owner);
    calls_job_free(j);
    q.on_found(q.owner, known ? &found : NULL, &e);
}

static void on_event(struct calls_job *j)
{
    struct question q = *(struct question *)j->owner;
    struct err e = j->error;
    struct calls_event event = {.function = j->event.function};
    if (!e.code && j->answer == CALLS_DONE) {
        event.head = (struct str){j->out.data, j->event.head_n};
        event.body = str_skip(buf_str(&j->out), j->event.head_n);
    }
    q.on_event(q.owner, &event, &e);
    free(j->owner);
    calls_job_free(j);
}

/* False: no memory. */
static bool ask(struct calls *c, enum calls_job_kind kind, const uint8_t id[CALLS_ID_BYTES], const struct question *q)
{
    struct question *kept = malloc(sizeof(*kept));
    struct calls_job *j = kept ? calls_job_new(kind, kind == CALLS_JOB_EVENT ? on_event : on_found, kept) : NULL;
    if (!j) {
        free(kept);
        return false;
    }
    *kept = *q;
    memcpy(j->id, id, CALLS_ID_BYTES);
    calls_store_submit(c->store, j);
    return true;
}

void calls_find(struct calls *c, const uint8_t id[CALLS_ID_BYTES], calls_on_found *on_found_one, void *owner)
{
    const struct question q = {.on_found = on_found_one, .owner = owner};
    struct err e = {0};
    bool exists = calls_store_exists(c->store);
    if (exists && ask(c, CALLS_JOB_LOOK_UP, id, &q))
        return;
    if (exists)
        err_set(&e, ENOMEM, "look for a call");
    on_found_one(owner, NULL, &e);
}

void calls_find_event(struct calls *c, const uint8_t id[CALLS_ID_BYTES], calls_on_event *on_event_read, void *owner)
{
    const struct question q = {.on_event = on_event_read, .owner = owner};
    const struct calls_event none = {0};
    struct err e = {0};
    bool exists = calls_store_exists(c->store);
    if (exists && ask(c, CALLS_JOB_EVENT, id, &q))
        return;
    if (exists)
        err_set(&e, ENOMEM, "read a call's event");
    on_event_read(owner, &none, &e);
}

/* ---- in JSON ---- */

static void put_time(struct json_writer *w, const char *key, uint64_t real_ms)
{
    char text[CLOCK_RFC3339_MAX];
    clock_format_rfc3339(real_ms, text);
    json_put_text(w, key, text);
}

static uint64_t until_due(const struct calls *c, const struct calls_listed *l)
{
    uint64_t now = calls_now(c);
    return l->due_ms > now ? l->due_ms - now : 0;
}

void calls_put_state(struct json_writer *w, const struct calls *c, const struct calls_listed *l, bool brief)
{
    json_put_text(w, "status", calls_status_name(l->status));
    json_put_u64(w, "attempts", l->attempts);
    put_time(w, "accepted", l->accepted_real_ms);
    if (l->status == CALLS_QUEUED)
        json_put_milli(w, "nextAttemptSeconds", until_due(c, l));
    else if (l->status != CALLS_RUNNING)
        put_time(w, "ended", l->ended_real_ms);
    if (l->http_status)
        json_put_u64(w, "statusCode", (uint64_t)l->http_status);
    if (!l->error[0])
        return;
    json_put_text(w, "errorType", l->error);
    if (!brief)
        json_put_text(w, "errorMessage", l->message);
}

static void print_reason(const struct calls *c, const struct calls_listed *l, char *out, size_t cap)
{
    double seconds = (double)until_due(c, l) / 1e3;
    if (l->status == CALLS_RUNNING)
        snprintf(out, cap, "the call runs at this moment; attempts that failed before: %u", l->attempts);
    else if (l->status == CALLS_QUEUED && seconds > 0)
        snprintf(out, cap, "the call waits: its next attempt is in %.1f s, attempts that failed: %u", seconds,
                 l->attempts);
    else if (l->status == CALLS_QUEUED)
        snprintf(out, cap, "the call waits for its turn: requests and earlier calls of the function go first");
    else if (l->status == CALLS_CANCELLED)
        snprintf(out, cap, "somebody cancelled the call after %u attempts", l->attempts);
    else if (l->status == CALLS_EXPIRED)
        snprintf(out, cap, "the call became older than async_max_age; attempts that failed: %u", l->attempts);
    else
        snprintf(out, cap, "the call failed and is not tried again; attempts: %u%s%.160s", l->attempts,
                 *l->message ? ": " : "", l->message);
}

void calls_put_reason(struct json_writer *w, const struct calls *c, const struct calls_listed *l)
{
    char text[ID_UUID_MAX + 64], id[ID_UUID_MAX], reason[256];
    if (l->status == CALLS_SUCCEEDED)
        return;
    id_uuid_print(l->id, id);
    print_reason(c, l, reason, sizeof(reason));
    json_put_object(w, "why");
    json_put_text(w, "reason", reason);
    json_put_array(w, "change");
    if (l->status == CALLS_EXPIRED) {
        snprintf(text, sizeof(text), "faasd config %s --async-max-age 1d", l->function);
        json_put_text(w, NULL, text);
    }
    if (CALLS_SET(l->status) & CALLS_SET_DEAD)
        snprintf(text, sizeof(text), "faasd invocation redrive %s", id);
    else
        snprintf(text, sizeof(text), "faasd invocation cancel %s", id);
    json_put_text(w, NULL, text);
    json_put_array_end(w);
    json_put_object_end(w);
}

/* ---- GET /v1/calls?status=... ---- */

struct page {
    struct calls_listing listing; /* first */
    struct exchange *x;
};

/* "w" or "e", whether they wait or have ended, and a number. */
static bool read_cursor(struct str text, struct calls_cursor *ret)
{
    *ret = CALLS_CURSOR_START;
    if (text.n < 2 || (*text.p != 'w' && *text.p != 'e') || !str_to_u64(str_skip(text, 1), &ret->seq) ||
        ret->seq > INT64_MAX)
        return false;
    ret->ended = *text.p == 'e';
    return true;
}

/* False when the exchange was ended. */
static bool read_page_query(struct exchange *x, struct calls_listing *l)
{
    struct str text, query = x->request->query;
    char statuses[CALLS_STATUS_TEXT_MAX];
    uint64_t limit = CALLS_LIST_DEFAULT;
    size_t n;
    l->statuses = CALLS_SET_ALL;
    l->cursor = CALLS_CURSOR_START;
    if (http1_query_find(query, "status", &text) && (!http1_percent_decode(text, statuses, sizeof(statuses), &n) ||
                                                     !calls_read_statuses((struct str){statuses, n}, &l->statuses))) {
        exchange_error(x, 400, "BadRequest",
                       "status= takes queued, running, succeeded, failed, cancelled, expired, several with commas "
                       "between, dead (failed, cancelled, expired) or all");
        return false;
    }
    if (http1_query_find(query, "limit", &text) && (!str_to_u64(text, &limit) || limit < 1 || limit > CALLS_LIST_MAX)) {
        exchange_error(x, 400, "BadRequest", "limit= is 1 to %d", CALLS_LIST_MAX);
        return false;
    }
    if (http1_query_find(query, "before", &text) && !read_cursor(text, &l->cursor)) {
        exchange_error(x, 400, "BadRequest", "before= takes what the page before gave as \"next\"");
        return false;
    }
    if (http1_query_find(query, "function", &text) &&
        !(settings_name_is_valid(text) && str_copy(text, l->function, sizeof(l->function)))) {
        exchange_error(x, 400, "BadRequest", "function= takes a function's name");
        return false;
    }
    l->count = (unsigned)limit;
    return true;
}

static void reply_page(struct exchange *x, const struct calls_listing *l)
{
    char id[ID_UUID_MAX], next[32];
    struct json_writer w;
    struct buf body;
    buf_init(&body, 0);
    json_writer_init(&w, &body);
    json_put_object(&w, NULL);
    json_put_array(&w, "calls");
    for (size_t at = 0; at < l->rows.len; at += sizeof(struct calls_listed)) {
        const struct calls_listed *one = (const void *)(l->rows.data + at);
        id_uuid_print(one->id, id);
        json_put_object(&w, NULL);
        json_put_text(&w, "id", id);
        json_put_text(&w, "function", one->function);
        calls_put_state(&w, l->calls, one, false);
        json_put_object_end(&w);
    }
    json_put_array_end(&w);
    if (l->more) {
        snprintf(next, sizeof(next), "%c%llu", l->cursor.ended ? 'e' : 'w', (unsigned long long)l->cursor.seq);
        json_put_text(&w, "next", next);
    }
    json_put_object_end(&w);
    api_reply_json(x, &body, json_writer_end(&w));
}

static void on_page(struct calls_listing *l)
{
    struct page *p = (struct page *)(void *)l;
    if (l->error.code)
        exchange_error(p->x, 503, "StorageFailed", "the calls cannot be read: %s", l->error.text);
    else
        reply_page(p->x, l);
    buf_fini(&l->rows);
    free(p);
}

void calls_api_list(struct exchange *x)
{
    struct page *p = calloc(1, sizeof(*p));
    if (!p) {
        exchange_error(x, 503, "NoCapacity", "out of memory");
        return;
    }
    p->x = x;
    p->listing.done = on_page;
    if (read_page_query(x, &p->listing))
        calls_listing_start(x->gateway->calls, &p->listing);
    else
        free(p);
}

/* ---- POST /v1/functions/NAME/redrive ---- */

struct drive {
    struct exchange *x;
    struct calls_lane *lane; /* held */
    char function[SETTINGS_NAME_MAX];
    unsigned statuses;
    uint64_t after_seq, up_to_seq, redriven;
};

static void on_some_redriven(struct calls_job *j);

static void reply_drive(const struct drive *d, const struct calls_job *j)
{
    struct json_writer w;
    struct buf body;
    if (j->error.code) {
        exchange_error(d->x, 503, "StorageFailed", "%llu calls are queued again, the rest cannot be: %s",
                       (unsigned long long)d->redriven, j->error.text);
        return;
    }
    buf_init(&body, 0);
    json_writer_init(&w, &body);
    json_put_object(&w, NULL);
    json_put_text(&w, "function", d->function);
    json_put_u64(&w, "redriven", d->redriven);
    if (j->redrive.some.full)
        json_put_bool(&w, "full", true);
    json_put_object_end(&w);
    api_reply_json(d->x, &body, json_writer_end(&w));
}

static bool drive_on(struct drive *d)
{
    struct calls *c = d->x->gateway->calls;
    const struct config *config = d->x->gateway->config;
    struct calls_job *j = calls_job_new(CALLS_JOB_REDRIVE_SOME, on_some_redriven, d);
    if (!j)
        return false;
    memcpy(j->redrive.function, d->function, sizeof(d->function));
    j->redrive.some = (struct calls_redrive){
        .function = j->redrive.function,
        .statuses = d->statuses,
        .bounds = {.calls = config->async_calls_max, .bytes = config->async_bytes_max},
        .steps = CALLS_SWEEP_STEPS,
        .after_seq = d->after_seq,
        .up_to_seq = d->up_to_seq,
    };
    calls_store_submit(c->store, j);
    return true;
}

static void on_some_redriven(struct calls_job *j)
{
    struct drive *d = j->owner;
    struct calls *c = d->x->gateway->calls;
    calls_note_totals(c, j);
    if (!j->error.code) {
        d->redriven += j->redrive.some.redriven;
        d->after_seq = j->redrive.some.after_seq;
        d->up_to_seq = j->redrive.some.up_to_seq;
        if (j->redrive.some.redriven)
            calls_lane_note(d->lane, calls_now(c));
    }
    bool more = !j->error.code && j->redrive.some.more && !j->redrive.some.full;
    if (more && drive_on(d)) {
        calls_lane_pump(d->lane);
        calls_job_free(j);
        return;
    }
    if (more)
        err_set(&j->error, ENOMEM, "queue calls again");
    log_info("dead letters are queued again fn=%s count=%llu req=%s", d->function, (unsigned long long)d->redriven,
             d->x->id);
    reply_drive(d, j);
    calls_lane_release(d->lane);
    calls_job_free(j);
    free(d);
}

static bool read_drive_statuses(struct exchange *x, unsigned *ret_statuses)
{
    struct str text;
    char statuses[CALLS_STATUS_TEXT_MAX];
    size_t n;
    *ret_statuses = CALLS_SET(CALLS_FAILED) | CALLS_SET(CALLS_EXPIRED);
    if (!http1_query_find(x->request->query, "status", &text))
        return true;
    if (http1_percent_decode(text, statuses, sizeof(statuses), &n) &&
        calls_read_statuses((struct str){statuses, n}, ret_statuses) && !(*ret_statuses & ~CALLS_SET_DEAD))
        return true;
    exchange_error(x, 400, "BadRequest",
                   "status= takes failed, expired, cancelled, several with commas between, or dead for all of them");
    return false;
}

void calls_api_redrive_all(struct exchange *x, struct str function)
{
    struct calls *c = x->gateway->calls;
    struct drive *d = calloc(1, sizeof(*d));
    if (d && !read_drive_statuses(x, &d->statuses)) {
        free(d);
        return;
    }
    if (d) {
        d->x = x;
        str_copy(function, d->function, sizeof(d->function));
    }
    if (d && !calls_store_exists(c->store)) {
        const struct calls_job nothing = {.kind = CALLS_JOB_REDRIVE_SOME};
        reply_drive(d, &nothing);
        free(d);
        return;
    }
    if (d)
        d->lane = calls_lane_hold(c, function);
    if (d && d->lane && drive_on(d))
        return;
    if (d && d->lane)
        calls_lane_release(d->lane);
    free(d);
    exchange_error(x, 503, "NoCapacity", "out of memory");
}
