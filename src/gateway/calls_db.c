/* SPDX-License-Identifier: Apache-2.0 */
/* Opening, transactions, and what becomes of a call that waits. Its tables are in calls_db_statements.c, ended ones in calls_db_ended.c, what only reads in calls_db_read.c. */
#include "gateway/calls_db.h"

#include "gateway/calls_db_internal.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

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
    int r = store_db_open(&d->db, dir, &CALLS_DB_FORMAT, e);
    if (r == 0)
        r = store_db_prepare(d->db, CALLS_DB_STATEMENT_TEXT, CALLS_STATEMENTS, d->statements, e);
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
    int r = store_db_salvage(dir, &CALLS_DB_FORMAT, &damage, e);
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
           store_db_bind_blob(s, 3, calls_db_id_str(c->id)) && store_db_bind_number(s, 4, c->mark) &&
           store_db_bind_number(s, 5, now_ms) && store_db_finish(s);
}

uint64_t calls_db_sum(const uint8_t id[CALLS_ID_BYTES], struct str head, struct str body)
{
    uint64_t sum = str_hash(body, str_hash(head, str_hash(calls_db_id_str(id), 0))) & INT64_MAX;
    return sum > CALLS_DB_NO_SUM ? sum : CALLS_DB_NO_SUM + 1;
}

static bool put_call(struct calls_db *d, const struct calls_entry *c, uint64_t bytes, uint64_t now_ms)
{
    struct sqlite3_stmt *s = d->statements[CALLS_SQL_PUT];
    return store_db_bind_blob(s, 1, calls_db_id_str(c->id)) && store_db_bind_text(s, 2, str_from(c->function)) &&
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

bool calls_db_run_on(struct calls_db *d, enum calls_statement which, uint64_t seq)
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
                store_db_bind_blob(s, 13, r->body) && store_db_finish(s) &&
                calls_db_run_on(d, CALLS_SQL_FORGET, r->seq);
    calls_db_take_off(&d->totals.queued, 1);
    calls_db_take_off(&d->totals.queued_bytes, before);
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
    bool found = store_db_bind_blob(s, 1, calls_db_id_str(id)) && store_db_next(s, &failed);
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
