/* SPDX-License-Identifier: Apache-2.0 */
/* Part of gateway/calls_db.h: calls that have ended wait again, or are kept no longer. */
#include "gateway/calls_db.h"

#include "gateway/calls_db_internal.h"

/* 1: found, 0: not there, -1: an error. */
static int find_ended(struct calls_db *d, const uint8_t id[CALLS_ID_BYTES], struct calls_ended_place *ret_place,
                      struct buf *ret_function)
{
    struct sqlite3_stmt *s = d->statements[CALLS_SQL_FIND_ENDED];
    bool failed = true;
    bool found = store_db_bind_blob(s, 1, calls_db_id_str(id)) && store_db_next(s, &failed);
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
        return store_db_fail(d->db, e, "look for a call");
    *ret_answer = found ? CALLS_IS_OVER : CALLS_UNKNOWN;
    return 0;
}

static int is_waiting(struct calls_db *d, const uint8_t id[CALLS_ID_BYTES], enum calls_answer *ret_answer,
                      struct err *e)
{
    struct sqlite3_stmt *s = d->statements[CALLS_SQL_FIND];
    bool failed = true;
    bool found = store_db_bind_blob(s, 1, calls_db_id_str(id)) && store_db_next(s, &failed);
    *ret_answer = found ? CALLS_IS_QUEUED : CALLS_UNKNOWN;
    store_db_reset(s);
    return !found && failed ? store_db_fail(d->db, e, "look for a call") : 0;
}

bool calls_db_requeue(struct calls_db *d, const struct calls_ended_place *place, uint64_t now_ms)
{
    struct sqlite3_stmt *s = d->statements[CALLS_SQL_REDRIVE];
    uint64_t bytes = CALLS_ROW_BYTES + place->event_bytes;
    if (!store_db_bind_number(s, 1, place->seq) || !store_db_bind_number(s, 2, now_ms) ||
        !store_db_bind_number(s, 3, bytes) || !store_db_finish(s) ||
        !calls_db_run_on(d, CALLS_SQL_FORGET_ENDED, place->seq))
        return false;
    calls_db_take_off(&d->totals.failed, 1);
    calls_db_take_off(&d->totals.failed_bytes, place->bytes);
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
        return store_db_fail(d->db, e, "look for a call");
    if (!found)
        return is_waiting(d, id, ret_answer, e);
    *ret_answer = place.dead ? CALLS_DONE : CALLS_HAS_SUCCEEDED;
    return place.dead && !calls_db_requeue(d, &place, now_ms) ? store_db_fail(d->db, e, "queue a call again") : 0;
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
    if (!calls_db_run_on(d, CALLS_SQL_FORGET_ENDED, seq))
        return -1;
    w->dropped_failed += dead && !old;
    calls_db_take_off(count, 1);
    calls_db_take_off(bytes, size);
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
    calls_db_take_off(&d->totals.keys, 1);
    return calls_db_run_on(d, CALLS_SQL_FORGET_KEY, seq) ? 1 : -1;
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
    return went < 0 ? store_db_fail(d->db, e, "remove old calls") : 0;
}
