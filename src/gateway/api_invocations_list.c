/* SPDX-License-Identifier: Apache-2.0 */
/*
 * GET /v1/invocations (docs/RECORDS.md). What waits or runs comes first; behind it, by the time at which it ended, what the memory has, failures that are on the disk alone, and
 * asynchronous calls. A call is one entry, whatever attempts it took: as the calls' database tells it, with the measures of its last attempt where the memory has that.
 */
#include "base/fmt.h"
#include "gateway/api_invocations.h"

#include <stdlib.h>
#include <string.h>

enum { LIST_DEFAULT = 100, LIST_MAX = 1000 };
enum { STATUS_ANY = -1, LIVE_QUEUED = 100, LIVE_RUNNING };

static bool read_status(struct exchange *x, int *ret_status, unsigned *ret_calls)
{
    static const struct {
        const char *name;
        int status;
    } NAMES[] = {{"queued", LIVE_QUEUED},   {"running", LIVE_RUNNING},       {"succeeded", RECORD_SUCCEEDED},
                 {"failed", RECORD_FAILED}, {"cancelled", RECORD_CANCELLED}, {"expired", RECORD_EXPIRED}};
    struct str text;
    *ret_status = STATUS_ANY;
    *ret_calls = CALLS_SET_ALL;
    if (!http1_query_find(x->request->query, "status", &text))
        return true;
    for (unsigned i = 0; i < sizeof(NAMES) / sizeof(NAMES[0]); i++)
        if (str_is(text, NAMES[i].name)) {
            *ret_status = NAMES[i].status;
            return calls_read_statuses(text, ret_calls);
        }
    exchange_error(x, 400, "BadRequest",
                   "status='%.*s': it is queued, running, succeeded, failed, cancelled or expired",
                   (int)(text.n < 64 ? text.n : 64), text.p);
    return false;
}

static bool read_number(struct exchange *x, const char *key, uint64_t *ret_value)
{
    struct str text;
    if (!http1_query_find(x->request->query, key, &text) || str_to_u64(text, ret_value))
        return true;
    exchange_error(x, 400, "BadRequest", "%s='%.*s' is not a number%s", key, (int)(text.n < 64 ? text.n : 64), text.p,
                   strcmp(key, "limit") ? " of milliseconds since 1970" : "");
    return false;
}

/* False when the exchange was ended with 400. */
static bool read_list_query(struct exchange *x, struct asking *a)
{
    struct str text;
    uint64_t limit = LIST_DEFAULT;
    if (!read_status(x, &a->status, &a->calls.statuses) || !read_number(x, "since", &a->query.since_ms) ||
        !read_number(x, "limit", &limit))
        return false;
    if (limit == 0 || limit > LIST_MAX) {
        exchange_error(x, 400, "BadRequest", "limit= is 1 to %d", LIST_MAX);
        return false;
    }
    a->query.limit = a->limit = (uint32_t)limit;
    if (!http1_query_find(x->request->query, "function", &text))
        return true;
    if (settings_name_is_valid(text) && str_copy(text, a->query.function, sizeof(a->query.function)))
        return true;
    exchange_error(x, 400, "BadRequest", "function= takes a function's name");
    return false;
}

static bool is_wanted(const struct asking *a, int status, const char *function, uint64_t ended_ms)
{
    return (a->status == STATUS_ANY || a->status == status) && ended_ms >= a->query.since_ms &&
           (!a->query.function[0] || (function && strcmp(a->query.function, function) == 0));
}

/* ---- asynchronous calls ---- */

struct row {
    const struct calls_listed *call;
    const struct record *record; /* of its last attempt; NULL: the memory has none */
};

/* Sorted by id while records are looked for, then as they came. */
struct rows {
    struct row *at;
    size_t count;
};

static int compare_ids(const void *a, const void *b)
{
    return memcmp(((const struct row *)a)->call->id, ((const struct row *)b)->call->id, CALLS_ID_BYTES);
}

static int compare_places(const void *a, const void *b)
{
    const struct calls_listed *x = ((const struct row *)a)->call, *y = ((const struct row *)b)->call;
    return (x > y) - (x < y);
}

static void find_records(struct rows *rows, const struct record_ring *ring)
{
    qsort(rows->at, rows->count, sizeof(rows->at[0]), compare_ids);
    for (uint64_t n = ring->last; rows->count && n > 0 && n >= record_ring_oldest(ring); n--) {
        const struct record *r = record_ring_at(ring, n);
        struct calls_listed id;
        const struct row key = {.call = &id};
        if (!r || !r->background)
            continue;
        memcpy(id.id, r->id, sizeof(id.id));
        struct row *found = bsearch(&key, rows->at, rows->count, sizeof(rows->at[0]), compare_ids);
        if (found && !found->record)
            found->record = r;
    }
    qsort(rows->at, rows->count, sizeof(rows->at[0]), compare_places);
}

/* False: no memory. */
static bool make_rows(const struct asking *a, struct rows *ret)
{
    size_t count = a->calls.rows.len / sizeof(struct calls_listed);
    *ret = (struct rows){.at = count ? calloc(count, sizeof(struct row)) : NULL, .count = count};
    if (count && !ret->at)
        return false;
    for (size_t i = 0; i < count; i++)
        ret->at[i].call = (const struct calls_listed *)(const void *)a->calls.rows.data + i;
    if (count)
        find_records(ret, &a->x->gateway->records->ring);
    return true;
}

static void tell_call(struct asking *a, const struct row *row)
{
    char id[ID_UUID_MAX];
    const char *status = calls_status_name(row->call->status);
    const struct invocation *inv = NULL;
    id_uuid_print(row->call->id, id);
    if (row->call->status == CALLS_RUNNING)
        inv = asking_find_live(a->x->gateway->records, id);
    json_put_object(&a->w, NULL);
    if (inv)
        record_print_live(&a->w, inv, status);
    else if (row->record)
        record_print(&a->w, row->record, status);
    else
        asking_put_call(&a->w, row->call);
    json_put_object(&a->w, "call");
    calls_put_state(&a->w, a->x->gateway->calls, row->call, false);
    json_put_object_end(&a->w);
    json_put_object_end(&a->w);
    a->told++;
}

/* ---- in their order ---- */

static void tell_live(struct asking *a, const struct records *all)
{
    for (struct list *at = all->live.prev; at != &all->live && a->told < a->limit; at = at->prev) {
        const struct invocation *inv = LIST_ENTRY(at, struct invocation, live_link);
        if (inv->background ||
            !is_wanted(a, inv->delivered_ns ? LIVE_RUNNING : LIVE_QUEUED, inv->function->name, UINT64_MAX))
            continue;
        json_put_object(&a->w, NULL);
        record_print_live(&a->w, inv, NULL);
        json_put_object_end(&a->w);
        a->told++;
    }
}

/* The next one to be told of each source; nothing is: when it ended is 0. */
struct merge {
    uint64_t number; /* of the record in memory */
    const struct record *record;
    struct str line, lines; /* of the disk's */
    size_t row;             /* of the calls' */
    const struct row *call; /* the one before it; NULL: there is none left */
    uint64_t record_ms, line_ms, row_ms;
};

static void next_record(struct asking *a, struct merge *m)
{
    const struct record_ring *ring = &a->x->gateway->records->ring;
    m->record_ms = 0;
    for (; m->number > 0 && m->number >= record_ring_oldest(ring) && !m->record_ms; m->number--) {
        m->record = record_ring_at(ring, m->number);
        uint64_t ended = m->record ? record_ended_ms(m->record) : 0;
        if (m->record && !m->record->background &&
            is_wanted(a, m->record->status, m->record->account ? m->record->account->name : NULL, ended))
            m->record_ms = ended ? ended : 1;
    }
}

static void next_line(struct merge *m)
{
    m->line_ms = 0;
    while (m->lines.n && !m->line_ms) {
        struct str json, time = str_cut(str_cut(m->lines, '\n', &m->lines, NULL), ' ', &json, NULL);
        uint64_t ended;
        if (!str_to_u64(time, &ended))
            continue;
        m->line = json;
        m->line_ms = ended ? ended : 1;
    }
}

static void next_row(struct asking *a, const struct rows *rows, struct merge *m)
{
    m->call = NULL;
    for (; m->row < rows->count && !m->call; m->row++) {
        const struct row *at = &rows->at[m->row];
        if (at->call->ended_real_ms < a->query.since_ms)
            continue;
        m->call = at;
        m->row_ms = at->call->ended_real_ms;
    }
    if (!m->call)
        m->row_ms = 0;
}

/* One entry; false: there is none left. */
static bool tell_next(struct asking *a, const struct rows *rows, struct merge *m)
{
    if (m->record_ms && m->record_ms >= m->line_ms && m->record_ms >= m->row_ms) {
        json_put_object(&a->w, NULL);
        record_print(&a->w, m->record, NULL);
        json_put_object_end(&a->w);
        next_record(a, m);
    } else if (m->call && m->row_ms >= m->line_ms) {
        tell_call(a, m->call);
        next_row(a, rows, m);
        return true; /* counted */
    } else if (m->line_ms) {
        json_put_raw(&a->w, NULL, m->line);
        next_line(m);
    } else {
        return false;
    }
    a->told++;
    return true;
}

/* A database that can't be read hides what is in it, and nothing else. */
static void tell_missing(struct asking *a)
{
    char text[ERR_TEXT_MAX + 64];
    if (!a->calls.error.code && !a->query.task.error.code)
        return;
    json_put_array(&a->w, "missing");
    if (a->calls.error.code) {
        fmt_to(text, sizeof(text), "the calls cannot be read: %s", a->calls.error.text);
        json_put_text(&a->w, NULL, text);
    }
    if (a->query.task.error.code) {
        fmt_to(text, sizeof(text), "records on disk cannot be read: %s", a->query.task.error.text);
        json_put_text(&a->w, NULL, text);
    }
    json_put_array_end(&a->w);
}

static void finish_list(struct asking *a)
{
    struct records *all = a->x->gateway->records;
    struct merge m = {.number = all->ring.last, .lines = buf_str(&a->query.out)};
    struct rows rows;
    if (!make_rows(a, &rows)) {
        exchange_error(a->x, 503, "NoCapacity", "out of memory");
        asking_free(a);
        return;
    }
    json_writer_init(&a->w, &a->body);
    json_put_object(&a->w, NULL);
    json_put_array(&a->w, "invocations");
    tell_live(a, all);
    while (m.row < rows.count && !rows.at[m.row].call->ended_real_ms && a->told < a->limit)
        tell_call(a, &rows.at[m.row++]);
    while (m.row < rows.count && !rows.at[m.row].call->ended_real_ms)
        m.row++;
    next_record(a, &m);
    next_line(&m);
    next_row(a, &rows, &m);
    while (a->told < a->limit && tell_next(a, &rows, &m)) {
    }
    json_put_array_end(&a->w);
    tell_missing(a);
    json_put_object_end(&a->w);
    api_reply_json(a->x, &a->body, json_writer_end(&a->w));
    free(rows.at);
    asking_free(a);
}

/* ---- asking ---- */

static void on_list(struct store_task *t)
{
    struct asking *a = (struct asking *)(void *)t;
    if (t->error.code)
        a->query.out.len = 0;
    finish_list(a);
}

static unsigned count_in_memory(const struct asking *a, const struct records *all)
{
    const struct record_ring *ring = &all->ring;
    unsigned count = 0;
    for (uint64_t n = ring->last; n > 0 && n >= record_ring_oldest(ring) && count < a->limit; n--) {
        const struct record *r = record_ring_at(ring, n);
        count +=
            r && !r->background && is_wanted(a, r->status, r->account ? r->account->name : NULL, record_ended_ms(r));
    }
    return count;
}

static void on_calls(struct calls_listing *l)
{
    struct asking *a = LIST_ENTRY(l, struct asking, calls);
    const struct records *all = a->x->gateway->records;
    if (l->error.code)
        l->rows.len = 0;
    if ((a->status != STATUS_ANY && a->status != RECORD_FAILED) || count_in_memory(a, all) == a->limit) {
        finish_list(a);
        return;
    }
    /* What ended before the oldest in memory did is not in memory. */
    const struct record *oldest = record_ring_at(&all->ring, record_ring_oldest(&all->ring));
    a->query.before_ms = oldest ? record_ended_ms(oldest) : 0;
    asking_ask_store(a, on_list);
}

void api_invocations_list(struct exchange *x, struct str name)
{
    struct asking *a = asking_new(x, STORE_RECORDS_LIST);
    (void)name;
    if (!a)
        return;
    if (!read_list_query(x, a)) {
        asking_free(a);
        return;
    }
    memcpy(a->calls.function, a->query.function, sizeof(a->calls.function));
    a->calls.count = a->limit;
    a->calls.cursor = CALLS_CURSOR_START;
    a->calls.done = on_calls;
    calls_listing_start(x->gateway->calls, &a->calls);
}
