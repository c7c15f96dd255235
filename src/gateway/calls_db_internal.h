/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of gateway/calls_db*.c. */
#ifndef FAASD_GATEWAY_CALLS_DB_INTERNAL_H
#define FAASD_GATEWAY_CALLS_DB_INTERNAL_H

#include "gateway/calls_db.h"
#include "gateway/store_db.h"

enum calls_statement {
    CALLS_SQL_STATE,
    CALLS_SQL_SET_STATE,
    CALLS_SQL_PUT,
    CALLS_SQL_FIND_KEY,
    CALLS_SQL_PUT_KEY,
    CALLS_SQL_RETRY,
    CALLS_SQL_END,
    CALLS_SQL_FORGET,
    CALLS_SQL_BYTES,
    CALLS_SQL_FIND,
    CALLS_SQL_FIND_ENDED,
    CALLS_SQL_REDRIVE,
    CALLS_SQL_FORGET_ENDED,
    CALLS_SQL_OLDEST_ENDED,
    CALLS_SQL_OLDEST_KEY,
    CALLS_SQL_FORGET_KEY,
    CALLS_SQL_FETCH,
    CALLS_SQL_NEXT_FUNCTION,
    CALLS_SQL_FIRST_DUE,
    CALLS_SQL_OLDEST,
    CALLS_SQL_LOOK_UP,
    CALLS_SQL_LOOK_UP_ENDED,
    CALLS_SQL_LIST,
    CALLS_SQL_LIST_ENDED,
    CALLS_SQL_LIST_DEAD,
    CALLS_SQL_NEXT_DEAD,
    CALLS_SQL_NEWEST_ENDED,
    CALLS_SQL_EVENT,
    CALLS_SQL_EVENT_ENDED,
    CALLS_STATEMENTS
};

extern const struct store_db_format CALLS_DB_FORMAT;
extern const char *const CALLS_DB_STATEMENT_TEXT[CALLS_STATEMENTS];

struct calls_db {
    struct store_db *db;
    struct calls_totals totals, before; /* `before`: as the transaction found them */
    struct sqlite3_stmt *statements[CALLS_STATEMENTS];
};

/* What tells that an event is the one that was accepted: a disk may flip bits where SQLite can't notice. Never 0, which a lost page reads as. */
enum { CALLS_DB_NO_SUM = 1 };
uint64_t calls_db_sum(const uint8_t id[CALLS_ID_BYTES], struct str head, struct str body);

/* A statement whose one parameter is a row's seq. False: SQLite says why. */
bool calls_db_run_on(struct calls_db *d, enum calls_statement which, uint64_t seq);

/* What a damaged database makes of counters must not wrap. */
static inline void calls_db_take_off(uint64_t *counter, uint64_t n)
{
    *counter -= *counter < n ? *counter : n;
}

static inline struct str calls_db_id_str(const uint8_t id[CALLS_ID_BYTES])
{
    return (struct str){.p = (const char *)id, .n = CALLS_ID_BYTES};
}

struct calls_ended_place {
    uint64_t seq, bytes, event_bytes;
    bool dead;
};
/* A dead letter waits again. False: SQLite says why. */
bool calls_db_requeue(struct calls_db *d, const struct calls_ended_place *place, uint64_t now_ms);

/* CALLS_IS_OVER or CALLS_UNKNOWN. */
int calls_db_has_ended(struct calls_db *d, const uint8_t id[CALLS_ID_BYTES], enum calls_answer *ret_answer,
                       struct err *e);

#endif
