/* SPDX-License-Identifier: Apache-2.0 */
#include "lambda/log_events.h"

#include "base/clock.h"
#include "gateway/records.h"
#include "gateway/store_log.h"
#include "lambda/report.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    KIND_START,
    KIND_LINE,
    KIND_END,
    DAY_MS = 86400000,
    LATE_MS = 1000, /* so long behind a request's end its last lines may be read */
    TAIL_DIGITS = 32
};

int log_place_compare(const struct log_place *a, const struct log_place *b)
{
    if (a->time_ms != b->time_ms)
        return a->time_ms < b->time_ms ? -1 : 1;
    if (a->kind != b->kind)
        return a->kind < b->kind ? -1 : 1;
    return a->nth < b->nth ? -1 : a->nth > b->nth;
}

/* ---- what the records know ---- */

static void tell_failure(const struct record *r, struct log_request *q)
{
    if (r->outcome == INVOCATION_TIMED_OUT) {
        q->status = "timeout";
    } else if (r->outcome == INVOCATION_OUT_OF_MEMORY || r->outcome == INVOCATION_CRASHED) {
        q->status = "error";
        q->error_type = r->outcome == INVOCATION_CRASHED ? "Runtime.ExitError" : "Runtime.OutOfMemory";
    }
}

static struct log_request request_of(const struct record *r)
{
    struct log_request q = {.end_ms = record_ended_ms(r),
                            .instance = r->instance,
                            .run_us = r->run_us,
                            .init_us = r->init_us,
                            .version = r->version,
                            .memory_kib = r->memory_kib,
                            .peak_kib = r->peak_kib};
    uint64_t run_ms = r->run_us / 1000;
    memcpy(q.id, r->id, sizeof(q.id));
    q.start_ms = q.end_ms > run_ms ? q.end_ms - run_ms : 0;
    tell_failure(r, &q);
    return q;
}

int log_events_snapshot(const struct gateway *g, const char *function, struct log_snapshot *ret)
{
    const struct record_ring *ring = &g->records->ring;
    size_t cap = 0;
    *ret = (struct log_snapshot){.requests = NULL};
    if (!str_copy(str_from(function), ret->function, sizeof(ret->function)))
        return -EINVAL;
    for (uint64_t n = record_ring_oldest(ring); n <= ring->last; n++) {
        const struct record *r = record_ring_at(ring, n);
        if (!r || !r->delivered || !r->account || strcmp(r->account->name, function) != 0)
            continue;
        if (ret->count == cap) {
            cap = cap ? 2 * cap : 64;
            struct log_request *more = realloc(ret->requests, cap * sizeof(*more));
            if (!more) {
                log_events_fini(ret);
                return -ENOMEM;
            }
            ret->requests = more;
        }
        ret->requests[ret->count++] = request_of(r);
    }
    return 0;
}

void log_events_fini(struct log_snapshot *s)
{
    free(s->requests);
    s->requests = NULL;
    s->count = 0;
}

/* ---- events of the platform ---- */

struct mark {
    struct log_place place;
    const struct log_request *request;
};

static int compare_ids(const void *a, const void *b)
{
    return memcmp(((const struct log_request *)a)->id, ((const struct log_request *)b)->id, ID_UUID_BYTES);
}

static int compare_marks(const void *a, const void *b)
{
    const struct mark *x = a, *y = b;
    int by_place = log_place_compare(&x->place, &y->place);
    return by_place ? by_place : compare_ids(x->request, y->request);
}

/* A line of a request may have been read after its reply: END stands behind it. The requests are in order of their ids. */
static bool note_late_line(const struct store_line *line, void *context)
{
    struct log_snapshot *s = context;
    struct log_request key = {.start_ms = 0};
    if (!id_uuid_parse(line->request, key.id))
        return true;
    struct log_request *q = bsearch(&key, s->requests, s->count, sizeof(key), compare_ids);
    if (q && line->time_ms > q->end_ms && line->time_ms <= q->end_ms + LATE_MS)
        q->end_ms = line->time_ms;
    return true;
}

/* START and END with REPORT, numbered within their millisecond. */
static struct mark *make_marks(const struct log_snapshot *s)
{
    struct mark *marks = calloc(s->count ? 2 * s->count : 1, sizeof(*marks));
    for (size_t i = 0; marks && i < s->count; i++) {
        const struct log_request *q = &s->requests[i];
        marks[2 * i] = (struct mark){{q->start_ms, KIND_START, 0}, q};
        marks[2 * i + 1] = (struct mark){{q->end_ms, KIND_END, 0}, q};
    }
    if (!marks)
        return NULL;
    qsort(marks, 2 * s->count, sizeof(*marks), compare_marks);
    uint64_t nth = 0;
    for (size_t i = 0; i < 2 * s->count; i++) {
        bool same = i > 0 && marks[i].place.time_ms == marks[i - 1].place.time_ms &&
                    marks[i].place.kind == marks[i - 1].place.kind;
        nth = same ? nth + 2 : 1; /* END and REPORT are two */
        marks[i].place.nth = nth;
    }
    return marks;
}

/* ---- merging ---- */

struct merge {
    const struct mark *marks;
    size_t mark_count, next;
    struct log_place line; /* the last one */
    struct buf message;
    bool (*on_event)(const struct log_event *event, void *context);
    void *context;
    bool over;
    int error;
};

static void tell(struct merge *m, struct log_event *event, struct str message)
{
    event->message = message;
    event->day = event->place.time_ms / DAY_MS;
    m->over = m->over || !m->on_event(event, m->context);
}

static void tell_mark(struct merge *m, const struct mark *mark)
{
    const struct log_request *q = mark->request;
    char id[ID_UUID_MAX], version[16], text[LAMBDA_REPORT_MAX];
    const struct lambda_report r = {.id = id,
                                    .version = version,
                                    .run_us = q->run_us,
                                    .init_us = q->init_us,
                                    .memory_bytes = (uint64_t)q->memory_kib * 1024,
                                    .peak_bytes = (uint64_t)q->peak_kib * 1024,
                                    .status = q->status,
                                    .error_type = q->error_type};
    struct log_event event = {.place = mark->place, .instance = q->instance, .version = q->version};
    id_uuid_print(q->id, id);
    snprintf(version, sizeof(version), "%u", q->version);
    if (mark->place.kind == KIND_START) {
        tell(m, &event, (struct str){text, lambda_report_start(&r, text)});
        return;
    }
    tell(m, &event, (struct str){text, lambda_report_end(&r, text)});
    event.place.nth++;
    if (!m->over)
        tell(m, &event, (struct str){text, lambda_report_print(&r, text)});
}

static void tell_marks_before(struct merge *m, const struct log_place *place)
{
    while (!m->over && m->next < m->mark_count && (!place || log_place_compare(&m->marks[m->next].place, place) < 0))
        tell_mark(m, &m->marks[m->next++]);
}

static bool on_line(const struct store_line *line, void *context)
{
    struct merge *m = context;
    struct log_event event = {.instance = line->instance};
    bool same = line->time_ms == m->line.time_ms;
    m->line = (struct log_place){line->time_ms, KIND_LINE, same ? m->line.nth + 1 : 1};
    tell_marks_before(m, &m->line);
    event.place = m->line;
    m->message.len = 0;
    int r = buf_add_str(&m->message, line->text);
    if (r == 0)
        r = buf_add(&m->message, "\n", 1);
    if (r < 0)
        m->error = r;
    else if (!m->over)
        tell(m, &event, buf_str(&m->message));
    return !m->over && !m->error;
}

int log_events_each(struct store_log *log, struct log_snapshot *s,
                    bool (*on_event)(const struct log_event *event, void *context), void *context, struct err *e)
{
    if (s->count) /* NULL without any */
        qsort(s->requests, s->count, sizeof(*s->requests), compare_ids);
    int r = s->count ? store_log_visit(log, s->function, note_late_line, s, e) : 0;
    if (r < 0)
        return r;
    struct mark *marks = make_marks(s);
    if (!marks)
        return err_set(e, ENOMEM, "read the log of '%s'", s->function);
    struct merge m = {.marks = marks, .mark_count = 2 * s->count, .on_event = on_event, .context = context};
    buf_init(&m.message, 0);
    r = store_log_visit(log, s->function, on_line, &m, e);
    if (r == 0 && m.error)
        r = err_set(e, -m.error, "read the log of '%s'", s->function);
    if (r == 0)
        tell_marks_before(&m, NULL);
    buf_fini(&m.message);
    free(marks);
    return r;
}

/* ---- names ---- */

static uint32_t version_of(struct log_snapshot *s, const struct log_event *event)
{
    if (event->version || !event->instance)
        return event->version;
    if (s->seen_instance == event->instance)
        return s->seen_version;
    s->seen_instance = event->instance;
    s->seen_version = 0;
    for (size_t i = 0; !s->seen_version && i < s->count; i++)
        if (s->requests[i].instance == event->instance)
            s->seen_version = s->requests[i].version;
    return s->seen_version;
}

void log_events_print_stream(struct log_snapshot *s, const struct log_event *event, char out[LOG_EVENTS_STREAM_MAX])
{
    char day[CLOCK_RFC3339_MAX], version[16] = "$LATEST";
    uint32_t number = version_of(s, event);
    clock_format_rfc3339(event->day * DAY_MS, day);
    if (number)
        snprintf(version, sizeof(version), "%u", number);
    snprintf(out, LOG_EVENTS_STREAM_MAX, "%.4s/%.2s/%.2s/[%s]%016lx%016lx", day, day + 5, day + 8, version,
             (unsigned long)str_hash(str_from(s->function), event->day), (unsigned long)event->instance);
}

static bool parse_hex(struct str text, uint64_t *ret)
{
    uint64_t value = 0;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'f'))
            return false;
        value = value << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    *ret = value;
    return true;
}

/* The inverse of clock_format_rfc3339's date: days of the same shifted calendar. */
static uint64_t days_of(unsigned year, unsigned month, unsigned day)
{
    unsigned y = year - (month <= 2);
    unsigned era = y / 400, of_era = y % 400;
    unsigned day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    return (uint64_t)era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + day_of_year - 719468;
}

bool log_events_parse_stream(struct str name, uint64_t *ret_day, uint64_t *ret_instance)
{
    uint64_t year, month, day, hash;
    if (name.n < sizeof("2026/11/21/[1]") - 1 + TAIL_DIGITS || name.p[4] != '/' || name.p[7] != '/' ||
        name.p[10] != '/' || name.p[11] != '[' || name.p[name.n - TAIL_DIGITS - 1] != ']')
        return false;
    if (!str_to_u64((struct str){name.p, 4}, &year) || !str_to_u64((struct str){name.p + 5, 2}, &month) ||
        !str_to_u64((struct str){name.p + 8, 2}, &day) || year < 1970 || month < 1 || month > 12 || day < 1 || day > 31)
        return false;
    *ret_day = days_of((unsigned)year, (unsigned)month, (unsigned)day);
    return parse_hex((struct str){name.p + name.n - TAIL_DIGITS, 16}, &hash) &&
           parse_hex((struct str){name.p + name.n - 16, 16}, ret_instance);
}

void log_events_print_id(const struct log_event *event, char out[LOG_EVENTS_ID_MAX])
{
    snprintf(out, LOG_EVENTS_ID_MAX, "%020lu%06u%030lu", (unsigned long)event->place.time_ms, event->place.kind,
             (unsigned long)event->place.nth);
}
