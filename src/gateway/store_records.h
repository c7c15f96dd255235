/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of failed invocations and of bills in the registry's database (gateway/store_db.h). Everything here runs on the store's thread. */
#ifndef FAASD_GATEWAY_STORE_RECORDS_H
#define FAASD_GATEWAY_STORE_RECORDS_H

#include "gateway/records.h"

/* The step of the database's format that brings the tables. */
#define STORE_RECORDS_STEP                                                                                             \
    "CREATE TABLE failures ("                                                                                          \
    " number INTEGER PRIMARY KEY,"                                                                                     \
    " id BLOB NOT NULL UNIQUE,"                                                                                        \
    " function TEXT NOT NULL,"                                                                                         \
    " ended_ms INTEGER NOT NULL,"                                                                                      \
    " record TEXT NOT NULL,"                                                                                           \
    " event_bytes INTEGER NOT NULL,"                                                                                   \
    " method TEXT NOT NULL,"                                                                                           \
    " target TEXT NOT NULL,"                                                                                           \
    " content_type TEXT NOT NULL,"                                                                                     \
    " event BLOB"                                                                                                      \
    ") STRICT;"                                                                                                        \
    "CREATE INDEX failures_ended ON failures (ended_ms);"                                                              \
    "CREATE TABLE bills ("                                                                                             \
    " month INTEGER NOT NULL,"                                                                                         \
    " function TEXT NOT NULL,"                                                                                         \
    " requests INTEGER NOT NULL,"                                                                                      \
    " run_mib_us INTEGER NOT NULL,"                                                                                    \
    " idle_mib_us INTEGER NOT NULL,"                                                                                   \
    " PRIMARY KEY (month, function)"                                                                                   \
    ") STRICT, WITHOUT ROWID;"

struct record_bill {
    unsigned month;
    char function[SETTINGS_NAME_MAX];
    struct account_sums sums;
};

/* One transaction: the failures, the sums added to what is there, and what is too old or too much removed. */
struct record_batch {
    struct store_task task; /* first */
    struct records *owner;
    struct list failures; /* struct record_failure.link: owned */
    struct buf bills;     /* owned: struct record_bill, one after another */
    uint32_t failed_max;  /* rows of failures that stay */
    uint64_t expired_ms;  /* failures that ended before this go; 0 = none */
};
void store_records_write(struct store_task *t, struct store_db *db);

/* Reads. `out` is the caller's to free. */
enum store_records_want { STORE_RECORDS_ONE, STORE_RECORDS_EVENT, STORE_RECORDS_LIST, STORE_RECORDS_BILL };
struct record_query {
    struct store_task task; /* first */
    enum store_records_want want;
    uint8_t id[RECORD_ID_BYTES];      /* ONE, EVENT */
    char function[SETTINGS_NAME_MAX]; /* LIST, BILL: "" = any */
    uint64_t since_ms, before_ms;     /* LIST: ended at or after, and before; 0 = unbounded */
    uint32_t limit;                   /* LIST */
    unsigned month;                   /* BILL */
    bool found;                       /* ONE, EVENT */
    bool has_event;
    struct buf
        out; /* ONE: JSON; EVENT: its bytes; LIST: JSON objects, each ended by a newline, newest first; BILL: struct record_bill */
    uint64_t event_bytes;
    char method[16];
    char content_type[128];
    struct buf target;
};
void store_records_read(struct store_task *t, struct store_db *db);

enum { STORE_RECORDS_READ_MAX = 8 << 20 };

#endif
