/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/store_records.h"

#include "base/log.h"
#include "gateway/store_db.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>

static const char *const STEPS[] = {
    "CREATE TABLE failures ("
    " number INTEGER PRIMARY KEY,"
    " id BLOB NOT NULL UNIQUE,"
    " function TEXT NOT NULL,"
    " ended_ms INTEGER NOT NULL,"
    " record TEXT NOT NULL,"
    " event_bytes INTEGER NOT NULL,"
    " method TEXT NOT NULL,"
    " target TEXT NOT NULL,"
    " content_type TEXT NOT NULL,"
    " event BLOB"
    ") STRICT;"
    "CREATE INDEX failures_ended ON failures (ended_ms);"
    "CREATE TABLE bills ("
    " month INTEGER NOT NULL,"
    " function TEXT NOT NULL,"
    " requests INTEGER NOT NULL,"
    " run_mib_us INTEGER NOT NULL,"
    " idle_mib_us INTEGER NOT NULL,"
    " PRIMARY KEY (month, function)"
    ") STRICT, WITHOUT ROWID;",
};

/* Not read whole at its opening, as others are: only once something in it could not be read. */
static const struct store_db_format FORMAT = {.name = "records.db",
                                              .steps = STEPS,
                                              .count = sizeof(STEPS) / sizeof(STEPS[0]),
                                              .cache_kib = 64,
                                              .is_born_whole = true};
static const struct store_db_format DAMAGED_FORMAT = {.name = "records.db",
                                                      .steps = STEPS,
                                                      .count = sizeof(STEPS) / sizeof(STEPS[0]),
                                                      .cache_kib = 64,
                                                      .salvage = true,
                                                      .is_born_whole = true,
                                                      .salvage_advice =
                                                          "records and bills that could not be read are lost"};

/* The thread's; NULL until it is needed. */
static struct store_db *database;

void store_records_close(void)
{
    store_db_close(database);
    database = NULL;
}

static int open_database(const char *dir, struct err *e)
{
    if (database)
        return 0;
    int r = store_db_open(&database, dir, &FORMAT, e);
    return r == -EUCLEAN ? store_db_open(&database, dir, &DAMAGED_FORMAT, e) : r;
}

/* True: it was damaged, what can be read of it is in a new one, and what failed may be tried again. */
static bool may_try_again(const char *dir, struct err *e)
{
    if (e->code != EUCLEAN)
        return false;
    store_records_close();
    return store_db_open(&database, dir, &DAMAGED_FORMAT, e) == 0;
}

/* Statements are prepared for each batch and each question: both are rare, and kept ones would be resident for ever. */
enum write { PUT_FAILURE, ADD_BILL, EXPIRE, HOLD_COUNT, WRITES };
static const char *const WRITE_TEXT[WRITES] = {
    [PUT_FAILURE] = "INSERT OR REPLACE INTO failures (id, function, ended_ms, record, event_bytes, method, target,"
                    " content_type, event) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    [ADD_BILL] = "INSERT INTO bills (month, function, requests, run_mib_us, idle_mib_us) VALUES (?1, ?2, ?3, ?4, ?5)"
                 " ON CONFLICT (month, function) DO UPDATE SET requests = requests + ?3,"
                 " run_mib_us = run_mib_us + ?4, idle_mib_us = idle_mib_us + ?5",
    [EXPIRE] = "DELETE FROM failures WHERE ended_ms < ?1",
    [HOLD_COUNT] = "DELETE FROM failures WHERE number <="
                   " (SELECT number FROM failures ORDER BY number DESC LIMIT 1 OFFSET ?1)",
};

static bool put_failure(struct sqlite3_stmt *s, const struct record_failure *f)
{
    return store_db_bind_blob(s, 1, (struct str){(const char *)f->id, sizeof(f->id)}) &&
           store_db_bind_text(s, 2, str_from(f->function)) && store_db_bind_number(s, 3, f->ended_ms) &&
           store_db_bind_text(s, 4, buf_str(&f->json)) && store_db_bind_number(s, 5, f->event_bytes) &&
           store_db_bind_text(s, 6, str_from(f->method)) && store_db_bind_text(s, 7, buf_str(&f->target)) &&
           store_db_bind_text(s, 8, str_from(f->content_type)) &&
           (!f->has_event || store_db_bind_blob(s, 9, buf_str(&f->event))) && store_db_finish(s);
}

static bool put_failures(struct sqlite3_stmt *s, const struct record_batch *b)
{
    LIST_EACH (&b->failures, link)
        if (!put_failure(s, LIST_ENTRY(link, struct record_failure, link)))
            return false;
    return true;
}

static bool add_bills(struct sqlite3_stmt *s, const struct record_batch *b)
{
    for (size_t at = 0; at + sizeof(struct record_bill) <= b->bills.len; at += sizeof(struct record_bill)) {
        const struct record_bill *one = (const void *)(b->bills.data + at);
        if (!store_db_bind_number(s, 1, one->month) || !store_db_bind_text(s, 2, str_from(one->function)) ||
            !store_db_bind_number(s, 3, one->sums.requests) || !store_db_bind_number(s, 4, one->sums.run_mib_us) ||
            !store_db_bind_number(s, 5, one->sums.idle_mib_us) || !store_db_finish(s))
            return false;
    }
    return true;
}

static bool run_on_number(struct sqlite3_stmt *s, uint64_t value)
{
    return store_db_bind_number(s, 1, value) && store_db_finish(s);
}

static int write_batch(const struct record_batch *b, struct err *e)
{
    struct sqlite3_stmt *s[WRITES] = {NULL};
    int r = open_database(b->dir, e);
    if (r == 0)
        r = store_db_prepare(database, WRITE_TEXT, WRITES, s, e);
    if (r == 0) {
        bool begun = store_db_begin(database);
        bool done = begun && put_failures(s[PUT_FAILURE], b) && add_bills(s[ADD_BILL], b) &&
                    (b->expired_ms == 0 || run_on_number(s[EXPIRE], b->expired_ms)) &&
                    run_on_number(s[HOLD_COUNT], b->failed_max) && store_db_commit(database);
        if (!done)
            r = store_db_fail(database, e, "store records");
        if (!done && begun)
            store_db_rollback(database);
    }
    store_db_finalize(s, WRITES);
    return r;
}

static atomic_bool is_last;

void store_records_write_last(void)
{
    atomic_store(&is_last, true);
}

void store_records_write(struct store_task *t, struct store_db *db)
{
    struct record_batch *b = (struct record_batch *)(void *)t;
    (void)db;
    if (write_batch(b, &t->error) < 0 && may_try_again(b->dir, &t->error)) {
        t->error = (struct err){.code = 0};
        write_batch(b, &t->error);
    }
    if (t->error.code && atomic_load(&is_last))
        log_error("the last records and bills could not be written and are lost: %s", t->error.text);
}

/* ---- reading ---- */

/* Where records of asynchronous calls say so: behind the id (record_print). Lists have those from the calls' database. */
static const char *const READ_TEXT[] = {
    [STORE_RECORDS_ONE] = "SELECT record FROM failures WHERE id = ?1",
    [STORE_RECORDS_EVENT] = "SELECT event, event_bytes, method, target, content_type, event IS NOT NULL FROM failures"
                            " WHERE id = ?1",
    [STORE_RECORDS_LIST] = "SELECT record, ended_ms FROM failures WHERE (?1 = '' OR function = ?1) AND ended_ms >= ?2"
                           " AND ended_ms < ?3 AND substr(record, 46, 12) <> '\"" RECORD_ASYNC_KEY
                           "\":true' ORDER BY ended_ms DESC LIMIT ?4",
    [STORE_RECORDS_BILL] = "SELECT month, function, requests, run_mib_us, idle_mib_us FROM bills WHERE month = ?1"
                           " AND (?2 = '' OR function = ?2) ORDER BY function",
};

static bool bind(struct record_query *q, struct sqlite3_stmt *s)
{
    if (q->want == STORE_RECORDS_LIST)
        return store_db_bind_text(s, 1, str_from(q->function)) && store_db_bind_number(s, 2, q->since_ms) &&
               store_db_bind_number(s, 3, q->before_ms ? q->before_ms : INT64_MAX) &&
               store_db_bind_number(s, 4, q->limit);
    if (q->want == STORE_RECORDS_BILL)
        return store_db_bind_number(s, 1, q->month) && store_db_bind_text(s, 2, str_from(q->function));
    return store_db_bind_blob(s, 1, (struct str){(const char *)q->id, sizeof(q->id)});
}

static int take_event(struct record_query *q, struct sqlite3_stmt *s)
{
    q->event_bytes = store_db_number(s, 1);
    str_copy(str_from(store_db_text(s, 2)), q->method, sizeof(q->method));
    str_copy(str_from(store_db_text(s, 4)), q->content_type, sizeof(q->content_type));
    q->has_event = store_db_number(s, 5) != 0;
    int r = buf_add_text(&q->target, store_db_text(s, 3));
    return r < 0 ? r : buf_add_str(&q->out, store_db_bytes(s, 0));
}

static int take_row(struct record_query *q, struct sqlite3_stmt *s)
{
    q->found = true;
    if (q->want == STORE_RECORDS_EVENT)
        return take_event(q, s);
    if (q->want == STORE_RECORDS_BILL) {
        struct record_bill bill = {.month = (unsigned)store_db_number(s, 0),
                                   .sums = {.requests = store_db_number(s, 2),
                                            .run_mib_us = store_db_number(s, 3),
                                            .idle_mib_us = store_db_number(s, 4)}};
        str_copy(str_from(store_db_text(s, 1)), bill.function, sizeof(bill.function));
        return buf_add(&q->out, &bill, sizeof(bill));
    }
    int r = q->want == STORE_RECORDS_LIST ? buf_addf(&q->out, "%lu ", (unsigned long)store_db_number(s, 1)) : 0;
    if (r == 0)
        r = buf_add_str(&q->out, store_db_bytes(s, 0));
    return r < 0 || q->want == STORE_RECORDS_ONE ? r : buf_add(&q->out, "\n", 1);
}

static int read_rows(struct record_query *q, struct err *e)
{
    struct sqlite3_stmt *s = NULL;
    bool failed = false;
    q->out.len = 0;
    int r = open_database(q->dir, e);
    if (r == 0)
        r = store_db_prepare(database, &READ_TEXT[q->want], 1, &s, e);
    if (r < 0) {
        store_db_finalize(&s, 1);
        return r;
    }
    if (!bind(q, s))
        failed = true;
    while (!failed && r == 0 && store_db_next(s, &failed))
        r = take_row(q, s);
    if (failed)
        r = store_db_fail(database, e, "read records");
    else if (r == -EMSGSIZE)
        r = 0; /* as many as may be told at once */
    else if (r < 0)
        err_set(e, -r, "read records");
    store_db_finalize(&s, 1);
    return r;
}

void store_records_read(struct store_task *t, struct store_db *db)
{
    struct record_query *q = (struct record_query *)(void *)t;
    (void)db;
    buf_init(&q->out, STORE_RECORDS_READ_MAX);
    if (read_rows(q, &t->error) < 0 && may_try_again(q->dir, &t->error)) {
        t->error = (struct err){.code = 0};
        read_rows(q, &t->error);
    }
}
