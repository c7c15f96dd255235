/* SPDX-License-Identifier: Apache-2.0 */
/* On the store's thread: a function's events, chosen and printed. */
#include "lambda/logs_internal.h"

#include "gateway/store_log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- tokens ---- */

void logs_print_token(char way, const struct log_place *at, char out[LOGS_TOKEN_MAX])
{
    snprintf(out, LOGS_TOKEN_MAX, "%c/%lu/%u/%lu", way, (unsigned long)at->time_ms, at->kind, (unsigned long)at->nth);
}

bool logs_parse_token(struct str text, char *ret_way, struct log_place *ret_at)
{
    struct str rest;
    uint64_t kind;
    struct str way = str_cut(text, '/', &rest, NULL);
    struct str time = str_cut(rest, '/', &rest, NULL);
    struct str kind_text = str_cut(rest, '/', &rest, NULL);
    if (way.n != 1 || (*way.p != 'f' && *way.p != 'b') || !str_to_u64(time, &ret_at->time_ms) ||
        !str_to_u64(kind_text, &kind) || kind > 3 || !str_to_u64(rest, &ret_at->nth))
        return false;
    *ret_way = *way.p;
    ret_at->kind = (unsigned)kind;
    return true;
}

/* ---- which events ---- */

static bool is_of_streams(const struct logs_query *q, const struct log_event *e)
{
    for (unsigned i = 0; i < q->stream_count; i++)
        if (q->streams[i].day == e->day && q->streams[i].instance == e->instance)
            return true;
    return q->stream_count == 0;
}

static bool has_prefix(struct logs_query *q, const struct log_event *e)
{
    char name[LOG_EVENTS_STREAM_MAX];
    if (!q->prefix[0])
        return true;
    log_events_print_stream(&q->snapshot, e, name);
    return str_starts_with(str_from(name), q->prefix);
}

static bool is_wanted(struct logs_query *q, const struct log_event *e)
{
    return e->place.time_ms >= q->start_ms && e->place.time_ms < q->end_ms && is_of_streams(q, e) &&
           (!q->has_from || log_place_compare(&e->place, &q->from) > 0) &&
           (!q->has_before || log_place_compare(&e->place, &q->before) < 0) &&
           log_pattern_matches(&q->pattern, e->message) && has_prefix(q, e);
}

/* ---- printing ---- */

struct answer {
    struct logs_query *q;
    struct json_writer w;
    uint64_t skip;  /* wanted ones that come first and are another page's */
    uint64_t count; /* told */
    uint64_t seen;  /* wanted, told or not */
    size_t bytes;
    bool more, with_stream, stream_exists;
    struct log_place first, last;
};

static bool count_event(const struct log_event *e, void *context)
{
    struct answer *a = context;
    a->stream_exists = a->stream_exists || is_of_streams(a->q, e);
    a->seen += is_wanted(a->q, e);
    return true;
}

static void print_event(struct answer *a, const struct log_event *e)
{
    char stream[LOG_EVENTS_STREAM_MAX], id[LOG_EVENTS_ID_MAX];
    struct json_writer *w = &a->w;
    json_put_object(w, NULL);
    if (a->with_stream) {
        log_events_print_stream(&a->q->snapshot, e, stream);
        json_put_text(w, "logStreamName", stream);
    }
    json_put_u64(w, "timestamp", e->place.time_ms);
    json_put_str(w, "message", e->message);
    json_put_u64(w, "ingestionTime", e->place.time_ms);
    if (a->with_stream) {
        log_events_print_id(e, id);
        json_put_text(w, "eventId", id);
    }
    json_put_object_end(w);
}

static bool tell_event(const struct log_event *e, void *context)
{
    struct answer *a = context;
    if (!is_wanted(a->q, e))
        return true;
    if (a->skip) {
        a->skip--;
        return true;
    }
    a->more = a->count == a->q->limit || (a->count && a->bytes + e->message.n > LOGS_BYTES_MAX);
    if (a->more)
        return false;
    if (a->count == 0)
        a->first = e->place;
    a->last = e->place;
    a->count++;
    a->bytes += e->message.n;
    print_event(a, e);
    return true;
}

static void begin(struct answer *a, struct logs_query *q)
{
    *a = (struct answer){.q = q};
    json_writer_init(&a->w, &q->out);
    json_put_object(&a->w, NULL);
}

static void finish(struct answer *a)
{
    json_put_object_end(&a->w);
    if (json_writer_end(&a->w) < 0 && !a->q->task.error.code)
        err_say(&a->q->task.error, -a->w.error, "the answer is too long, or memory is out");
}

/* Without a token from the end: the last events, unless startFromHead says otherwise. A page that would be longer than LOGS_BYTES_MAX ends early. */
void logs_run_events(struct store_task *t, struct store_log *log)
{
    struct logs_query *q = (struct logs_query *)(void *)t;
    struct answer a;
    char token[LOGS_TOKEN_MAX];
    begin(&a, q);
    int r = log_events_each(log, &q->snapshot, count_event, &a, &t->error);
    if (!q->from_head && a.seen > q->limit)
        a.skip = a.seen - q->limit;
    q->no_stream = !a.stream_exists;
    json_put_array(&a.w, "events");
    if (r == 0 && a.stream_exists)
        log_events_each(log, &q->snapshot, tell_event, &a, &t->error);
    json_put_array_end(&a.w);
    /* Nothing more: the token that was given, so that a client who follows knows. */
    if (!a.count) {
        const struct log_place at = q->has_from ? q->from : (struct log_place){q->start_ms, 0, 0};
        a.last = q->has_before ? q->before : at;
        a.first = q->has_from ? q->from : q->has_before ? q->before : at;
    }
    logs_print_token('f', &a.last, token);
    json_put_text(&a.w, "nextForwardToken", token);
    logs_print_token('b', &a.first, token);
    json_put_text(&a.w, "nextBackwardToken", token);
    finish(&a);
}

void logs_run_filter(struct store_task *t, struct store_log *log)
{
    struct logs_query *q = (struct logs_query *)(void *)t;
    struct answer a;
    char token[LOGS_TOKEN_MAX];
    begin(&a, q);
    a.with_stream = true;
    json_put_array(&a.w, "events");
    log_events_each(log, &q->snapshot, tell_event, &a, &t->error);
    json_put_array_end(&a.w);
    json_put_array(&a.w, "searchedLogStreams"); /* AWS's is empty since 2019 */
    json_put_array_end(&a.w);
    if (a.more) {
        logs_print_token('f', &a.last, token);
        json_put_text(&a.w, "nextToken", token);
    }
    finish(&a);
}

/* ---- streams ---- */

struct known {
    char name[LOG_EVENTS_STREAM_MAX];
    uint64_t day, instance, first_ms, last_ms;
    bool descending, by_time;
};

struct streams {
    struct logs_query *q;
    struct known *all; /* owned */
    size_t count, cap;
    bool failed;
};

/* The newest are the likeliest. */
static struct known *find_stream(struct streams *s, const struct log_event *e)
{
    for (size_t i = s->count; i > 0; i--)
        if (s->all[i - 1].instance == e->instance && s->all[i - 1].day == e->day)
            return &s->all[i - 1];
    return NULL;
}

static bool note_stream(const struct log_event *e, void *context)
{
    struct streams *s = context;
    struct known *k = find_stream(s, e);
    if (k) {
        k->last_ms = e->place.time_ms;
        return true;
    }
    if (s->count == LOGS_KNOWN_MAX)
        return false;
    if (s->count == s->cap) {
        size_t cap = s->cap ? 2 * s->cap : 64;
        struct known *more = realloc(s->all, cap * sizeof(*more));
        s->failed = !more;
        if (!more)
            return false;
        s->all = more;
        s->cap = cap;
    }
    k = &s->all[s->count++];
    *k = (struct known){.day = e->day,
                        .instance = e->instance,
                        .first_ms = e->place.time_ms,
                        .last_ms = e->place.time_ms,
                        .descending = s->q->descending,
                        .by_time = s->q->by_time};
    log_events_print_stream(&s->q->snapshot, e, k->name);
    return true;
}

static int compare_streams(const void *a, const void *b)
{
    const struct known *x = a, *y = b;
    int order = strcmp(x->name, y->name);
    if (x->by_time && x->last_ms != y->last_ms)
        order = x->last_ms < y->last_ms ? -1 : 1;
    return x->descending ? -order : order;
}

static void print_stream(struct json_writer *w, const struct logs_query *q, const struct known *k)
{
    char arn[LAMBDA_ARN_MAX + LOG_EVENTS_STREAM_MAX];
    snprintf(arn, sizeof(arn), "arn:aws:logs:%s:%s:log-group:" LOGS_GROUP_PREFIX "%s:log-stream:%s", q->region,
             q->account_text, q->snapshot.function, k->name);
    json_put_object(w, NULL);
    json_put_text(w, "logStreamName", k->name);
    json_put_u64(w, "creationTime", k->first_ms);
    json_put_u64(w, "firstEventTimestamp", k->first_ms);
    json_put_u64(w, "lastEventTimestamp", k->last_ms);
    json_put_u64(w, "lastIngestionTime", k->last_ms);
    json_put_text(w, "arn", arn);
    json_put_u64(w, "storedBytes", 0); /* AWS's is 0 since 2019 */
    json_put_object_end(w);
}

void logs_run_streams(struct store_task *t, struct store_log *log)
{
    struct logs_query *q = (struct logs_query *)(void *)t;
    struct streams s = {.q = q};
    struct answer a;
    uint64_t matching = 0, told = 0;
    begin(&a, q);
    log_events_each(log, &q->snapshot, note_stream, &s, &t->error);
    if (s.failed)
        err_say(&t->error, ENOMEM, "out of memory");
    if (s.count)
        qsort(s.all, s.count, sizeof(*s.all), compare_streams);
    json_put_array(&a.w, "logStreams");
    for (size_t i = 0; i < s.count; i++) {
        if (!str_starts_with(str_from(s.all[i].name), q->prefix) || matching++ < q->skip || told == q->limit)
            continue;
        print_stream(&a.w, q, &s.all[i]);
        told++;
    }
    json_put_array_end(&a.w);
    if (matching > q->skip + told) {
        char token[24];
        snprintf(token, sizeof(token), "%lu", (unsigned long)(q->skip + told));
        json_put_text(&a.w, "nextToken", token);
    }
    free(s.all);
    finish(&a);
}
