/* SPDX-License-Identifier: Apache-2.0 */
/* Opening, transactions, and what changes rows. What only reads is in calls_db_read.c. */
#include "gateway/calls_db.h"

#include "gateway/calls_db_internal.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* See struct store_db_format: one entry a format. Ids are random, so their index is written all over; all else is written where it ends. */
static const char *const STEPS[] = {
    "CREATE TABLE calls ("
    " seq INTEGER PRIMARY KEY,"
    " id BLOB NOT NULL UNIQUE,"
    " function TEXT NOT NULL,"
    " due INTEGER NOT NULL,"
    " accepted INTEGER NOT NULL,"
    " accepted_real INTEGER NOT NULL,"
    " attempts INTEGER NOT NULL,"
    " delays INTEGER NOT NULL,"
    " hops INTEGER NOT NULL,"
    " bytes INTEGER NOT NULL,"
    " http_status INTEGER NOT NULL,"
    " error TEXT NOT NULL,"
    " message TEXT NOT NULL,"
    " head BLOB NOT NULL,"
    " body BLOB NOT NULL"
    ") STRICT;"
    "CREATE INDEX calls_due ON calls (function, due);"
    "CREATE TABLE ended ("
    " seq INTEGER PRIMARY KEY,"
    " id BLOB NOT NULL UNIQUE,"
    " function TEXT NOT NULL,"
    " status INTEGER NOT NULL,"
    " dead INTEGER NOT NULL CHECK (dead IN (0, 1))," /* its event is kept: it can be redriven */
    " ended INTEGER NOT NULL,"
    " accepted_real INTEGER NOT NULL,"
    " ended_real INTEGER NOT NULL,"
    " attempts INTEGER NOT NULL,"
    " hops INTEGER NOT NULL,"
    " bytes INTEGER NOT NULL,"
    " http_status INTEGER NOT NULL,"
    " error TEXT NOT NULL,"
    " message TEXT NOT NULL,"
    " cut INTEGER NOT NULL CHECK (cut IN (0, 1)),"
    " fields BLOB NOT NULL,"
    " result BLOB NOT NULL,"
    " head BLOB NOT NULL,"
    " body BLOB NOT NULL"
    ") STRICT;"
    "CREATE INDEX ended_dead ON ended (dead);"
    "CREATE TABLE keys ("
    " seq INTEGER PRIMARY KEY,"
    " function TEXT NOT NULL,"
    " key TEXT NOT NULL,"
    " id BLOB NOT NULL,"
    " mark INTEGER NOT NULL,"
    " made INTEGER NOT NULL,"
    " UNIQUE (function, key)"
    ") STRICT;"
    "CREATE TABLE state ("
    " one INTEGER PRIMARY KEY CHECK (one = 1),"
    " queue_ms INTEGER NOT NULL, boot_ms INTEGER NOT NULL, real_ms INTEGER NOT NULL, boot_id TEXT NOT NULL,"
    " queued INTEGER NOT NULL, queued_bytes INTEGER NOT NULL,"
    " results INTEGER NOT NULL, results_bytes INTEGER NOT NULL,"
    " failed INTEGER NOT NULL, failed_bytes INTEGER NOT NULL,"
    " keys INTEGER NOT NULL"
    ") STRICT;"
    "INSERT INTO state VALUES (1, 0, 0, 0, '', 0, 0, 0, 0, 0, 0, 0);",
    /* sum: calls_db_sum() of an event; 1 = of a call that was accepted before there were any */
    "ALTER TABLE calls ADD COLUMN sum INTEGER NOT NULL DEFAULT 1;"
    "ALTER TABLE ended ADD COLUMN sum INTEGER NOT NULL DEFAULT 1;",
};

/* Of a damaged one: its own clock where that could be read, else the latest moment that some row tells, so that what was due stays due; counters as the rows are. */
static const char FORGET_STATE[] = "DELETE FROM state";
static const char MAKE_STATE[] =
    "DELETE FROM calls WHERE length(id) <> 16 OR function = '';" /* nobody could ask for it, or run it */
    "DELETE FROM ended WHERE length(id) <> 16;"
    "INSERT OR IGNORE INTO state SELECT 1, max(ifnull((SELECT max(accepted) FROM calls), 0),"
    " ifnull((SELECT max(ended) FROM ended), 0), ifnull((SELECT max(made) FROM keys), 0)),"
    " 0, 0, '', 0, 0, 0, 0, 0, 0, 0;"
    "UPDATE state SET queued = (SELECT count(*) FROM calls), queued_bytes = (SELECT ifnull(sum(bytes), 0) FROM calls),"
    " results = (SELECT count(*) FROM ended WHERE dead = 0),"
    " results_bytes = (SELECT ifnull(sum(bytes), 0) FROM ended WHERE dead = 0),"
    " failed = (SELECT count(*) FROM ended WHERE dead = 1),"
    " failed_bytes = (SELECT ifnull(sum(bytes), 0) FROM ended WHERE dead = 1), keys = (SELECT count(*) FROM keys)";

/* A log of 16 MiB that keeps its place: overwriting costs a flush of the disk half of what growing does, and pages that many commits change are written back once. */
static const struct store_db_format FORMAT = {.name = CALLS_DB_NAME,
                                              .steps = STEPS,
                                              .count = sizeof(STEPS) / sizeof(STEPS[0]),
                                              .cache_kib = 2048,
                                              .salvage = true,
                                              .is_born_whole = true,
                                              .check_bytes_max = CALLS_DB_CHECK_BYTES,
                                              .salvage_texts = {.before = FORGET_STATE, .after = MAKE_STATE},
                                              .salvage_advice =
                                                  "a call that could not be read is not run and not told of",
                                              .log_pages = 4000};

static const char *const STATEMENT_TEXT[CALLS_STATEMENTS] = {
    [CALLS_SQL_STATE] =
        "SELECT queue_ms, boot_ms, real_ms, boot_id, queued, queued_bytes, results, results_bytes, failed,"
        " failed_bytes, keys FROM state",
    [CALLS_SQL_SET_STATE] =
        "UPDATE state SET queue_ms = ?1, boot_ms = ?2, real_ms = ?3, boot_id = ?4, queued = ?5, queued_bytes = ?6,"
        " results = ?7, results_bytes = ?8, failed = ?9, failed_bytes = ?10, keys = ?11",
    [CALLS_SQL_PUT] =
        "INSERT INTO calls (id, function, due, accepted, accepted_real, attempts, delays, hops, bytes, http_status,"
        " error, message, head, body, sum) VALUES (?1, ?2, ?3, ?3, ?4, 0, 0, ?5, ?6, 0, '', '', ?7, ?8, ?9)",
    [CALLS_SQL_FIND_KEY] = "SELECT id, mark FROM keys WHERE function = ?1 AND key = ?2",
    [CALLS_SQL_PUT_KEY] = "INSERT INTO keys (function, key, id, mark, made) VALUES (?1, ?2, ?3, ?4, ?5)",
    [CALLS_SQL_RETRY] = "UPDATE calls SET due = ?2, attempts = ?3, delays = ?4, http_status = ?5, error = ?6,"
                        " message = ?7 WHERE seq = ?1",
    [CALLS_SQL_END] =
        "INSERT INTO ended (id, function, status, dead, ended, accepted_real, ended_real, attempts, hops, bytes,"
        " http_status, error, message, cut, fields, result, head, body, sum)"
        " SELECT id, function, ?2, ?3, ?4, accepted_real, ?5, ?6, hops, ?7, ?8, ?9, ?10, ?11, ?12, ?13,"
        " iif(?3, head, x''), iif(?3, body, x''), iif(?3, sum, 1) FROM calls WHERE seq = ?1",
    [CALLS_SQL_FORGET] = "DELETE FROM calls WHERE seq = ?1",
    [CALLS_SQL_BYTES] = "SELECT bytes FROM calls WHERE seq = ?1",
    [CALLS_SQL_FIND] = "SELECT seq, attempts, http_status, error, message FROM calls WHERE id = ?1",
    [CALLS_SQL_FIND_ENDED] = "SELECT seq, dead, function, bytes, length(head) + length(body) FROM ended WHERE id = ?1",
    [CALLS_SQL_REDRIVE] =
        "INSERT INTO calls (id, function, due, accepted, accepted_real, attempts, delays, hops, bytes, http_status,"
        " error, message, head, body, sum) SELECT id, function, ?2, ?2, accepted_real, 0, 0, hops, ?3, http_status,"
        " error, message, head, body, sum FROM ended WHERE seq = ?1",
    [CALLS_SQL_FORGET_ENDED] = "DELETE FROM ended WHERE seq = ?1",
    [CALLS_SQL_OLDEST_ENDED] = "SELECT seq, ended, bytes FROM ended WHERE dead = ?1 ORDER BY seq LIMIT 1",
    [CALLS_SQL_OLDEST_KEY] = "SELECT seq, made FROM keys ORDER BY seq LIMIT 1",
    [CALLS_SQL_FORGET_KEY] = "DELETE FROM keys WHERE seq = ?1",
    [CALLS_SQL_FETCH] =
        "SELECT seq, due, id, accepted, accepted_real, attempts, delays, hops, head, body, sum FROM calls"
        " WHERE function = ?1 ORDER BY due, seq",
    [CALLS_SQL_NEXT_FUNCTION] = "SELECT min(function) FROM calls WHERE function > ?1",
    [CALLS_SQL_FIRST_DUE] = "SELECT min(due) FROM calls WHERE function = ?1",
    [CALLS_SQL_OLDEST] = "SELECT accepted FROM calls ORDER BY seq LIMIT 1",
    [CALLS_SQL_LOOK_UP] =
        "SELECT function, 0, attempts, due, accepted_real, 0, http_status, error, message, x'', x'', 0, seq"
        " FROM calls WHERE id = ?1",
    [CALLS_SQL_LOOK_UP_ENDED] = "SELECT function, status, attempts, 0, accepted_real, ended_real, http_status, error,"
                                " message, fields, result, cut, 0 FROM ended WHERE id = ?1",
    /* the columns of LOOK_UP, then `seq` and `id`; the limit is in steps, so that nobody waits long behind them */
    [CALLS_SQL_LIST] = "SELECT function, 0, attempts, due, accepted_real, 0, http_status, error, message, x'', x'', 0,"
                       " seq, seq, id FROM calls WHERE seq < ?1 ORDER BY seq DESC LIMIT ?2",
    [CALLS_SQL_LIST_ENDED] =
        "SELECT function, status, attempts, 0, accepted_real, ended_real, http_status, error, message, x'', x'', 0,"
        " 0, seq, id FROM ended WHERE seq < ?1 ORDER BY seq DESC LIMIT ?2",
    [CALLS_SQL_LIST_DEAD] =
        "SELECT function, status, attempts, 0, accepted_real, ended_real, http_status, error, message, x'', x'', 0,"
        " 0, seq, id FROM ended WHERE dead = 1 AND seq < ?1 ORDER BY seq DESC LIMIT ?2",
    [CALLS_SQL_NEXT_DEAD] = "SELECT seq, function, status, bytes, length(head) + length(body) FROM ended"
                            " WHERE dead = 1 AND seq > ?1 AND seq <= ?2 ORDER BY seq LIMIT 1",
    [CALLS_SQL_NEWEST_ENDED] = "SELECT ifnull(max(seq), 0) FROM ended",
    [CALLS_SQL_EVENT] = "SELECT function, head, body FROM calls WHERE id = ?1",
    [CALLS_SQL_EVENT_ENDED] = "SELECT function, head, body FROM ended WHERE id = ?1 AND dead = 1",
};

/* ---- opening ---- */

static int load_state(struct calls_db *d, struct calls_moment *ret_last, struct err *e)
{
    struct sqlite3_stmt *s = d->statements[CALLS_SQL_STATE];
    bool failed;
    int r = 0;
    if (store_db_next(s, &failed)) {
        *ret_last = (struct calls_moment){
            .queue_ms = store_db_number(s, 0), .boot_ms = store_db_number(s, 1), .real_ms = store_db_number(s, 2)};
        str_copy(str_from(store_db_text(s, 3)), ret_last->boot_id, sizeof(ret_last->boot_id));
        d->totals = (struct calls_totals){.queued = store_db_number(s, 4),
                                          .queued_bytes = store_db_number(s, 5),
                                          .results = store_db_number(s, 6),
                                          .results_bytes = store_db_number(s, 7),
                                          .failed = store_db_number(s, 8),
                                          .failed_bytes = store_db_number(s, 9),
                                          .keys = store_db_number(s, 10)};
    } else {
        r = failed ? store_db_fail(d->db, e, "read the calls' state")
                   : err_say(e, EUCLEAN, "the calls' database has lost its state");
    }
    store_db_reset(s);
    return r;
}

static int open_once(struct calls_db **ret_db, const char *dir, struct calls_moment *ret_last, struct err *e)
{
    struct calls_db *d = calloc(1, sizeof(*d));
    if (!d)
        return err_set(e, ENOMEM, "open the calls' database");
    int r = store_db_open(&d->db, dir, &FORMAT, e);
    if (r == 0)
        r = store_db_prepare(d->db, STATEMENT_TEXT, CALLS_STATEMENTS, d->statements, e);
    if (r == 0)
        r = load_state(d, ret_last, e);
    if (r < 0) {
        calls_db_close(d);
        return r;
    }
    *ret_db = d;
    return 0;
}

int calls_db_open(struct calls_db **ret_db, const char *dir, struct calls_moment *ret_last, struct err *e)
{
    int r = open_once(ret_db, dir, ret_last, e);
    return r == -EUCLEAN ? calls_db_salvage(ret_db, dir, ret_last, e) : r;
}

int calls_db_salvage(struct calls_db **ret_db, const char *dir, struct calls_moment *ret_last, struct err *e)
{
    struct err damage = *e;
    int r = store_db_salvage(dir, &FORMAT, &damage, e);
    return r < 0 ? r : open_once(ret_db, dir, ret_last, e);
}

void calls_db_close(struct calls_db *d)
{
    if (!d)
        return;
    store_db_finalize(d->statements, CALLS_STATEMENTS);
    store_db_close(d->db);
    free(d);
}

const struct calls_totals *calls_db_totals(const struct calls_db *d)
{
    return &d->totals;
}

/* ---- transactions ---- */

int calls_db_begin(struct calls_db *d, struct err *e)
{
    d->before = d->totals;
    return store_db_begin(d->db) ? 0 : store_db_fail(d->db, e, "begin a transaction");
}

void calls_db_rollback(struct calls_db *d)
{
    d->totals = d->before;
    store_db_rollback(d->db);
}

static bool set_state(struct calls_db *d, const struct calls_moment *now)
{
    struct sqlite3_stmt *s = d->statements[CALLS_SQL_SET_STATE];
    const struct calls_totals *t = &d->totals;
    const uint64_t numbers[] = {t->queued, t->queued_bytes, t->results, t->results_bytes,
                                t->failed, t->failed_bytes, t->keys};
    bool good = store_db_bind_number(s, 1, now->queue_ms) && store_db_bind_number(s, 2, now->boot_ms) &&
                store_db_bind_number(s, 3, now->real_ms) && store_db_bind_text(s, 4, str_from(now->boot_id));
    for (int i = 0; good && i < (int)(sizeof(numbers) / sizeof(numbers[0])); i++)
        good = store_db_bind_number(s, 5 + i, numbers[i]);
    return good && store_db_finish(s);
}

int calls_db_commit(struct calls_db *d, const struct calls_moment *now, struct err *e)
{
    if (set_state(d, now) && store_db_commit(d->db))
        return 0;
    int r = store_db_fail(d->db, e, "store calls");
    calls_db_rollback(d);
    return r;
}

static int fail(struct calls_db *d, struct err *e, const char *what)
{
    return store_db_fail(d->db, e, what);
}

/* What a damaged database makes of counters must not wrap. */
static void take_off(uint64_t *counter, uint64_t n)
{
    *counter -= *counter < n ? *counter : n;
}

static struct str id_str(const uint8_t id[CALLS_ID_BYTES])
{
    return (struct str){.p = (const char *)id, .n = CALLS_ID_BYTES};
}

/* ---- putting in ---- */

static int find_key(struct calls_db *d, struct calls_entry *c, enum calls_answer *ret_answer, struct err *e)
{
    struct sqlite3_stmt *s = d->statements[CALLS_SQL_FIND_KEY];
    bool failed = true;
    *ret_answer = CALLS_DONE;
    if (store_db_bind_text(s, 1, str_from(c->function)) && store_db_bind_text(s, 2, c->key) &&
        store_db_next(s, &failed)) {
        struct str id = store_db_bytes(s, 0);
        *ret_answer = store_db_number(s, 1) == c->mark ? CALLS_REPEATED : CALLS_MISMATCH;
        if (id.n != CALLS_ID_BYTES)
            *ret_answer = CALLS_MISMATCH;
        else if (*ret_answer == CALLS_REPEATED)
            memcpy(c->id, id.p, CALLS_ID_BYTES);
        failed = false;
    }
    int r = failed ? fail(d, e, "look for an Idempotency-Key") : 0;
    store_db_reset(s);
    return r;
}

static bool put_key(struct calls_db *d, const struct calls_entry *c, uint64_t now_ms)
{
    struct sqlite3_stmt *s = d->statements[CALLS_SQL_PUT_KEY];
    d->totals.keys++;
    return store_db_bind_text(s, 1, str_from(c->function)) && store_db_bind_text(s, 2, c->key) &&
           store_db_bind_blob(s, 3, id_str(c->id)) && store_db_bind_number(s, 4, c->mark) &&
           store_db_bind_number(s, 5, now_ms) && store_db_finish(s);
}

uint64_t calls_db_sum(const uint8_t id[CALLS_ID_BYTES], struct str head, struct str body)
{
    uint64_t sum = str_hash(body, str_hash(head, str_hash(id_str(id), 0))) & INT64_MAX;
    return sum > CALLS_DB_NO_SUM ? sum : CALLS_DB_NO_SUM + 1;
}

static bool put_call(struct calls_db *d, const struct calls_entry *c, uint64_t bytes, uint64_t now_ms)
{
    struct sqlite3_stmt *s = d->statements[CALLS_SQL_PUT];
    return store_db_bind_blob(s, 1, id_str(c->id)) && store_db_bind_text(s, 2, str_from(c->function)) &&
           store_db_bind_number(s, 3, now_ms) && store_db_bind_number(s, 4, c->real_ms) &&
           store_db_bind_number(s, 5, c->hops) && store_db_bind_number(s, 6, bytes) &&
           store_db_bind_blob(s, 7, c->head) && store_db_bind_blob(s, 8, c->body) &&
           store_db_bind_number(s, 9, calls_db_sum(c->id, c->head, c->body)) && store_db_finish(s);
}

int calls_db_put(struct calls_db *d, struct calls_entry *c, uint64_t now_ms, enum calls_answer *ret_answer,
                 struct err *e)
{
    const struct calls_bounds *b = &c->bounds;
    uint64_t bytes = CALLS_ROW_BYTES + c->head.n + c->body.n;
    int r = c->key.n ? find_key(d, c, ret_answer, e) : 0;
    if (r < 0 || (c->key.n && *ret_answer != CALLS_DONE))
        return r;
    *ret_answer = CALLS_DONE;
    if (b->calls && d->totals.queued >= b->calls)
        *ret_answer = CALLS_FULL;
    else if (b->bytes && d->totals.queued_bytes + bytes > b->bytes)
        *ret_answer = CALLS_FULL_BYTES;
    if (*ret_answer != CALLS_DONE)
        return 0;
    if (!put_call(d, c, bytes, now_ms) || (c->key.n && !put_key(d, c, now_ms)))
        return fail(d, e, "store a call");
    d->totals.queued++;
    d->totals.queued_bytes += bytes;
    return 0;
}

/* ---- what came of it ---- */

static bool retry(struct calls_db *d, const struct calls_result *r)
{
    struct sqlite3_stmt *s = d->statements[CALLS_SQL_RETRY];
    return store_db_bind_number(s, 1, r->seq) && store_db_bind_number(s, 2, r->due_ms) &&
           store_db_bind_number(s, 3, r->attempts) && store_db_bind_number(s, 4, r->delays) &&
           store_db_bind_number(s, 5, (uint64_t)r->http_status) && store_db_bind_text(s, 6, r->error) &&
           store_db_bind_text(s, 7, r->message) && store_db_finish(s);
}

static bool read_bytes(struct calls_db *d, uint64_t seq, uint64_t *ret_bytes)
{
    struct sqlite3_stmt *s = d->statements[CALLS_SQL_BYTES];
    bool failed = true;
    bool found = store_db_bind_number(s, 1, seq) && store_db_next(s, &failed);
    *ret_bytes = found ? store_db_number(s, 0) : 0;
    store_db_reset(s);
    return found || !failed;
}

static bool run_on(struct calls_db *d, enum calls_statement which, uint64_t seq)
{
    struct sqlite3_stmt *s = d->statements[which];
    return store_db_bind_number(s, 1, seq) && store_db_finish(s);
}

static bool end(struct calls_db *d, const struct calls_result *r, const struct calls_moment *now)
{
    struct sqlite3_stmt *s = d->statements[CALLS_SQL_END];
    bool dead = r->status != CALLS_SUCCEEDED;
    uint64_t before, bytes = CALLS_ROW_BYTES + r->fields.n + r->body.n;
    if (!read_bytes(d, r->seq, &before))
        return false;
    if (before == 0)
        return true; /* gone already: nothing is ended twice */
    if (dead)
        bytes += before;
    bool good = store_db_bind_number(s, 1, r->seq) && store_db_bind_number(s, 2, (uint64_t)r->status) &&
                store_db_bind_number(s, 3, dead) && store_db_bind_number(s, 4, now->queue_ms) &&
                store_db_bind_number(s, 5, now->real_ms) && store_db_bind_number(s, 6, r->attempts) &&
                store_db_bind_number(s, 7, bytes) && store_db_bind_number(s, 8, (uint64_t)r->http_status) &&
                store_db_bind_text(s, 9, r->error) && store_db_bind_text(s, 10, r->message) &&
                store_db_bind_number(s, 11, r->cut) && store_db_bind_blob(s, 12, r->fields) &&
                store_db_bind_blob(s, 13, r->body) && store_db_finish(s) && run_on(d, CALLS_SQL_FORGET, r->seq);
    take_off(&d->totals.queued, 1);
    take_off(&d->totals.queued_bytes, before);
    *(dead ? &d->totals.failed : &d->totals.results) += 1;
    *(dead ? &d->totals.failed_bytes : &d->totals.results_bytes) += bytes;
    return good;
}

int calls_db_settle(struct calls_db *d, const struct calls_result *r, const struct calls_moment *now, struct err *e)
{
    bool good = r->status == CALLS_QUEUED ? retry(d, r) : end(d, r, now);
    return good ? 0 : fail(d, e, "store what came of a call");
}

int calls_db_cancel(struct calls_db *d, const uint8_t id[CALLS_ID_BYTES], const struct calls_leased *leased,
                    const struct calls_moment *now, enum calls_answer *ret_answer, struct err *e)
{
    struct sqlite3_stmt *s = d->statements[CALLS_SQL_FIND];
    char error[64] = "", message[CALLS_MESSAGE_MAX] = "";
    struct calls_result result = {.status = CALLS_CANCELLED};
    bool failed = true;
    bool found = store_db_bind_blob(s, 1, id_str(id)) && store_db_next(s, &failed);
    if (found) {
        result.seq = store_db_number(s, 0);
        result.attempts = (uint32_t)store_db_number(s, 1);
        result.http_status = (int)store_db_number(s, 2);
        str_copy(str_from(store_db_text(s, 3)), error, sizeof(error));
        str_copy(str_from(store_db_text(s, 4)), message, sizeof(message));
        result.error = str_from(error);
        result.message = str_from(message);
    }
    store_db_reset(s);
    if (!found && failed)
        return fail(d, e, "look for a call");
    if (!found)
        return calls_db_has_ended(d, id, ret_answer, e);
    *ret_answer = leased->has(leased->context, result.seq) ? CALLS_IS_RUNNING : CALLS_DONE;
    if (*ret_answer == CALLS_DONE && !end(d, &result, now))
        return fail(d, e, "cancel a call");
    return 0;
}

/* 1: found, 0: not there, -1: an error. */
static int find_ended(struct calls_db *d, const uint8_t id[CALLS_ID_BYTES], struct calls_ended_place *ret_place,
                      struct buf *ret_function)
{
    struct sqlite3_stmt *s = d->statements[CALLS_SQL_FIND_ENDED];
    bool failed = true;
    bool found = store_db_bind_blob(s, 1, id_str(id)) && store_db_next(s, &failed);
    if (found) {
        *ret_place = (struct calls_ended_place){.seq = store_db_number(s, 0),
                                                .dead = store_db_number(s, 1) != 0,
                                                .bytes = store_db_number(s, 3),
                                                .event_bytes = store_db_number(s, 4)};
        if (ret_function && buf_add_text(ret_function, store_db_text(s, 2)) < 0)
            failed = true;
    }
    store_db_reset(s);
    return failed ? -1 : found;
}

int calls_db_has_ended(struct calls_db *d, const uint8_t id[CALLS_ID_BYTES], enum calls_answer *ret_answer,
                       struct err *e)
{
    struct calls_ended_place place;
    int found = find_ended(d, id, &place, NULL);
    if (found < 0)
        return fail(d, e, "look for a call");
    *ret_answer = found ? CALLS_IS_OVER : CALLS_UNKNOWN;
    return 0;
}

static int is_waiting(struct calls_db *d, const uint8_t id[CALLS_ID_BYTES], enum calls_answer *ret_answer,
                      struct err *e)
{
    struct sqlite3_stmt *s = d->statements[CALLS_SQL_FIND];
    bool failed = true;
    bool found = store_db_bind_blob(s, 1, id_str(id)) && store_db_next(s, &failed);
    *ret_answer = found ? CALLS_IS_QUEUED : CALLS_UNKNOWN;
    store_db_reset(s);
    return !found && failed ? fail(d, e, "look for a call") : 0;
}

bool calls_db_requeue(struct calls_db *d, const struct calls_ended_place *place, uint64_t now_ms)
{
    struct sqlite3_stmt *s = d->statements[CALLS_SQL_REDRIVE];
    uint64_t bytes = CALLS_ROW_BYTES + place->event_bytes;
    if (!store_db_bind_number(s, 1, place->seq) || !store_db_bind_number(s, 2, now_ms) ||
        !store_db_bind_number(s, 3, bytes) || !store_db_finish(s) || !run_on(d, CALLS_SQL_FORGET_ENDED, place->seq))
        return false;
    take_off(&d->totals.failed, 1);
    take_off(&d->totals.failed_bytes, place->bytes);
    d->totals.queued++;
    d->totals.queued_bytes += bytes;
    return true;
}

int calls_db_redrive(struct calls_db *d, const uint8_t id[CALLS_ID_BYTES], uint64_t now_ms,
                     enum calls_answer *ret_answer, struct buf *ret_function, struct err *e)
{
    struct calls_ended_place place = {0};
    int found = find_ended(d, id, &place, ret_function);
    if (found < 0)
        return fail(d, e, "look for a call");
    if (!found)
        return is_waiting(d, id, ret_answer, e);
    *ret_answer = place.dead ? CALLS_DONE : CALLS_HAS_SUCCEEDED;
    return place.dead && !calls_db_requeue(d, &place, now_ms) ? fail(d, e, "queue a call again") : 0;
}

/* ---- what is kept no longer ---- */

/* 1: one went, 0: none has to, -1: an error. */
static int sweep_ended(struct calls_db *d, struct calls_sweep *w, bool dead)
{
    struct sqlite3_stmt *s = d->statements[CALLS_SQL_OLDEST_ENDED];
    uint64_t *count = dead ? &d->totals.failed : &d->totals.results;
    uint64_t *bytes = dead ? &d->totals.failed_bytes : &d->totals.results_bytes;
    bool failed = true;
    bool found = store_db_bind_number(s, 1, dead) && store_db_next(s, &failed);
    uint64_t seq = found ? store_db_number(s, 0) : 0, size = found ? store_db_number(s, 2) : 0;
    bool old = found && store_db_number(s, 1) <= w->ended_before_ms;
    store_db_reset(s);
    if (!found)
        return failed ? -1 : 0;
    if (!old && *bytes <= (dead ? w->failed_bytes : w->results_bytes))
        return 0;
    if (!run_on(d, CALLS_SQL_FORGET_ENDED, seq))
        return -1;
    w->dropped_failed += dead && !old;
    take_off(count, 1);
    take_off(bytes, size);
    return 1;
}

static int sweep_key(struct calls_db *d, const struct calls_sweep *w)
{
    struct sqlite3_stmt *s = d->statements[CALLS_SQL_OLDEST_KEY];
    bool failed;
    bool found = store_db_next(s, &failed);
    uint64_t seq = found ? store_db_number(s, 0) : 0;
    bool old = found && store_db_number(s, 1) <= w->keys_before_ms;
    store_db_reset(s);
    if (!found)
        return failed ? -1 : 0;
    if (!old && d->totals.keys <= w->keys)
        return 0;
    take_off(&d->totals.keys, 1);
    return run_on(d, CALLS_SQL_FORGET_KEY, seq) ? 1 : -1;
}

int calls_db_sweep(struct calls_db *d, struct calls_sweep *w, struct err *e)
{
    int went = 1;
    for (unsigned i = 0; i < w->steps && went > 0; i++) {
        went = sweep_ended(d, w, false);
        if (went == 0)
            went = sweep_ended(d, w, true);
        if (went == 0)
            went = sweep_key(d, w);
    }
    w->more = went > 0;
    return went < 0 ? fail(d, e, "remove old calls") : 0;
}
