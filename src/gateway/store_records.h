/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of failed invocations and of bills, in a database of their own (state/db/records.db, gateway/store_db.h): it may grow to a size that the registry's, which is
 * read whole at each start, must not have. Opened when it is first needed; one that turns out to be damaged is set aside and what can be read of it used.
 * Everything here runs on the store's thread.
 */
#ifndef FAASD_GATEWAY_STORE_RECORDS_H
#define FAASD_GATEWAY_STORE_RECORDS_H

#include "gateway/records.h"

struct record_bill {
    unsigned month;
    char function[SETTINGS_NAME_MAX];
    struct account_sums sums;
};

/* One transaction: the failures, the sums added to what is there, and what is too old or too much removed. */
struct record_batch {
    struct store_task task; /* first */
    struct records *owner;
    const char *dir;      /* of the database */
    struct list failures; /* struct record_failure.link: owned */
    struct buf bills;     /* owned: struct record_bill, one after another */
    uint32_t failed_max;  /* rows of failures that stay */
    uint64_t expired_ms;  /* failures that ended before this go; 0 = none */
};
void store_records_write(struct store_task *t, struct store_db *db);
/* faasd ends: nobody hears of a batch any more, so one that fails is lost, and the log is told by who writes it. */
void store_records_write_last(void);

/* Reads. `out` is the caller's to free. */
enum store_records_want { STORE_RECORDS_ONE, STORE_RECORDS_EVENT, STORE_RECORDS_LIST, STORE_RECORDS_BILL };
struct record_query {
    struct store_task task; /* first */
    const char *dir;        /* of the database */
    enum store_records_want want;
    uint8_t id[ID_UUID_BYTES];        /* ONE, EVENT */
    char function[SETTINGS_NAME_MAX]; /* LIST, BILL: "" = any */
    uint64_t since_ms, before_ms;     /* LIST: ended at or after, and before; 0 = unbounded */
    uint32_t limit;                   /* LIST */
    unsigned month;                   /* BILL */
    bool found;                       /* ONE, EVENT */
    bool has_event;
    struct buf
        out; /* ONE: JSON; EVENT: its bytes; LIST: when it ended, a space and its JSON object, a line each, newest first; BILL: struct record_bill */
    uint64_t event_bytes;
    char method[16];
    char content_type[128];
    struct buf target;
};
void store_records_read(struct store_task *t, struct store_db *db);

/* After the thread's end. */
void store_records_close(void);

enum { STORE_RECORDS_READ_MAX = 8 << 20 };

#endif
