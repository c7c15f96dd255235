/* SPDX-License-Identifier: Apache-2.0 */
/* Part of gateway/calls_db.h: the tables, and every statement that is made of them. */
#include "gateway/calls_db_internal.h"

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
const struct store_db_format CALLS_DB_FORMAT = {.name = CALLS_DB_NAME,
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

const char *const CALLS_DB_STATEMENT_TEXT[CALLS_STATEMENTS] = {
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
