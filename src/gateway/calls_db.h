/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tables of asynchronous calls, in a database file of their own (state/db/calls.db), so that no other work of the store delays an acceptance. `calls` holds what is still to be
 * done, in the order of acceptance; `ended` what came of it; `keys` the Idempotency-Keys. Used by the calls' thread alone.
 *
 * Times are of gateway/calls_clock.h unless they are called real. Writing functions belong between calls_db_begin() and calls_db_commit(); they
 * return 0 with *ret_answer, or -errno with a sentence, after which the transaction is rolled back.
 */
#ifndef FAASD_GATEWAY_CALLS_DB_H
#define FAASD_GATEWAY_CALLS_DB_H

#include "base/buf.h"
#include "base/err.h"
#include "gateway/calls_clock.h"
#include "gateway/calls_policy.h"

#include <stdbool.h>

enum {
    CALLS_ID_BYTES = 16,
    CALLS_ROW_BYTES = 512,    /* what a row costs beside head, body and result, its places in the indexes included */
    CALLS_KEY_MAX = 256,      /* of an Idempotency-Key, with a NUL */
    CALLS_MESSAGE_MAX = 1024, /* of what is kept of an error's text */
    CALLS_DB_CHECK_BYTES = 64 << 20, /* a file up to this is read through when it is opened: a tenth of a second */
};

#define CALLS_DB_NAME "calls.db"

enum calls_answer {
    CALLS_DONE,
    CALLS_REPEATED,   /* the Idempotency-Key is known: *ret_id is the call that has it */
    CALLS_MISMATCH,   /* and was of another request */
    CALLS_FULL,       /* as many calls wait as may */
    CALLS_FULL_BYTES, /* the same, counted in bytes */
    CALLS_UNKNOWN,    /* no such call, or not any more */
    CALLS_IS_RUNNING, /* a cancelled call has been delivered already */
    CALLS_IS_OVER,    /* a cancelled call has ended */
    CALLS_IS_QUEUED,  /* a redriven call has not ended */
    CALLS_HAS_SUCCEEDED,
};

struct calls_totals {
    uint64_t queued, queued_bytes;   /* running ones included */
    uint64_t results, results_bytes; /* ended: succeeded */
    uint64_t failed, failed_bytes;   /* ended: failed, expired, cancelled; their events are kept */
    uint64_t keys;
};

struct calls_bounds {
    uint64_t calls, bytes; /* 0: unbounded */
};

/* A call as it is put in. Strings are borrowed for the call. */
struct calls_entry {
    uint8_t id[CALLS_ID_BYTES]; /* in; out: of the call that has its key */
    const char *function;
    struct str key; /* Idempotency-Key; empty: none */
    uint64_t mark;  /* of the request, to tell a repetition from another one under the same key */
    uint32_t hops;  /* how many calls' destinations led here */
    uint64_t real_ms;
    struct str head; /* as front_make_exchange() takes it */
    struct str body;
    struct calls_bounds bounds;
};

/* One that is to be run. */
struct calls_row {
    uint64_t seq;
    uint8_t id[CALLS_ID_BYTES];
    uint64_t accepted_ms, real_ms;
    uint32_t attempts, delays, hops;
    bool damaged; /* the event is not the one that was accepted */
    struct str head, body;
};

/* What is known of an attempt. */
struct calls_result {
    uint64_t seq;
    enum calls_status status; /* QUEUED: to be run again at due_ms */
    uint64_t due_ms;
    uint32_t attempts, delays;
    int http_status;           /* 0: no attempt was made */
    struct str error, message; /* of faasd's own errors */
    struct str fields;         /* header lines */
    struct str body;
    bool cut; /* the body was longer than async.result and is not kept */
};

struct calls_db;

/* Opens or makes DIR/calls.db. *ret_last: the moment of the last commit, all zero in a new one. One that is damaged is replaced by what can be read of it. */
int calls_db_open(struct calls_db **ret_db, const char *dir, struct calls_moment *ret_last, struct err *e);
/* The same for one that is damaged for certain, *e says how: an operation failed with -EUCLEAN, and it was closed since. Rows keep their `seq`. */
int calls_db_salvage(struct calls_db **ret_db, const char *dir, struct calls_moment *ret_last, struct err *e);
void calls_db_close(struct calls_db *d); /* NULL is fine */
const struct calls_totals *calls_db_totals(const struct calls_db *d);

int calls_db_begin(struct calls_db *d, struct err *e);
int calls_db_commit(struct calls_db *d, const struct calls_moment *now, struct err *e); /* rolls back when it fails */
void calls_db_rollback(struct calls_db *d);

/* Due at once. A full queue and known keys are answers. */
int calls_db_put(struct calls_db *d, struct calls_entry *c, uint64_t now_ms, enum calls_answer *ret_answer,
                 struct err *e);
int calls_db_settle(struct calls_db *d, const struct calls_result *r, const struct calls_moment *now, struct err *e);
/* Which rows are being run. */
struct calls_leased {
    bool (*has)(void *context, uint64_t seq);
    void *context;
};
int calls_db_cancel(struct calls_db *d, const uint8_t id[CALLS_ID_BYTES], const struct calls_leased *leased,
                    const struct calls_moment *now, enum calls_answer *ret_answer, struct err *e);
/* A failed, expired or cancelled call from its beginning: attempts and age count anew. *ret_function: whose it is. */
int calls_db_redrive(struct calls_db *d, const uint8_t id[CALLS_ID_BYTES], uint64_t now_ms,
                     enum calls_answer *ret_answer, struct buf *ret_function, struct err *e);

/* Those of a function that have ended one of these ways, oldest first, as calls_db_redrive() does: some at a time. */
struct calls_redrive {
    const char *function;
    unsigned statuses; /* CALLS_SET(): FAILED, EXPIRED, CANCELLED count */
    struct calls_bounds bounds;
    unsigned steps;     /* rows at most */
    uint64_t after_seq; /* in and out: where it goes on */
    uint64_t up_to_seq; /* the same, 0 at first: one that fails again meanwhile is not driven again */
    unsigned redriven;  /* out */
    bool more, full;    /* out: rows are left; they are because as many calls wait as may */
};
int calls_db_redrive_some(struct calls_db *d, struct calls_redrive *r, uint64_t now_ms, struct err *e);

struct calls_sweep {
    uint64_t ended_before_ms, keys_before_ms;   /* older ones go */
    uint64_t results_bytes, failed_bytes, keys; /* beyond these the oldest go */
    unsigned steps;                             /* rows at most */
    uint64_t dropped_failed;                    /* out: calls that failed and had to go although they were not old */
    bool more;                                  /* out */
};
int calls_db_sweep(struct calls_db *d, struct calls_sweep *s, struct err *e);

/* ---- reading: outside of transactions, so that only what is durable is seen ---- */

/* Calls of a function that are due and not leased, oldest first: on_row returns false to stop before the row at hand. */
struct calls_fetch {
    const char *function;
    uint64_t now_ms;
    struct calls_leased leased;
    bool (*on_row)(void *context, const struct calls_row *row);
    void *context;
    uint64_t next_ms; /* out: when the first one that was not given is due; 0 = there is none */
};
int calls_db_fetch(struct calls_db *d, struct calls_fetch *f, struct err *e);

/* Functions with calls waiting, and when the first of each is due. */
int calls_db_each_lane(struct calls_db *d, int (*on_lane)(void *context, const char *function, uint64_t due_ms),
                       void *context, struct err *e);
uint64_t calls_db_oldest_ms(struct calls_db *d); /* when the oldest one waiting was accepted; 0 = none */

#endif
