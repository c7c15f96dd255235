/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What happened: a record of each invocation that has ended. The newest stand in memory (gateway/record_ring.h); those that failed in the function are kept on disk
 * with their reason and, up to a limit, their event, and so are the sums of each function and month. The disk gets them in batches, every `records.flush`:
 * a power cut costs that much. Files: records.c the end of an invocation, usage.c what it used, record_flush.c the disk, record_print.c JSON.
 */
#ifndef FAASD_GATEWAY_RECORDS_H
#define FAASD_GATEWAY_RECORDS_H

#include "codec/json.h"
#include "gateway/account.h"
#include "gateway/instance.h"
#include "gateway/record_ring.h"
#include "gateway/store.h"

enum {
    RECORDS_UNSAVED_MAX =
        512, /* failures on their way to the disk; more than that in one flush are not kept, and counted */
    RECORDS_UNSAVED_FLUSH = 256, /* so many are not left waiting */
    RECORDS_BATCHES_MAX = 8,     /* handed over at a time: a bill that is asked for doesn't wait for the last write */
    RECORDS_TEXT_MAX = 4096,     /* of a failure's message and of its trace */
    RECORDS_WAITERS_MAX = 64,    /* who waits for usage at a time */
    RECORDS_IDLE_S = 900,        /* how often the idle cost of min_warm is written where nothing else is */
    RECORDS_SETTLE_MS = 1000,    /* how long one waits at most */
};

/* A failed invocation as the disk gets it. */
struct record_failure {
    struct list link; /* struct records.unsaved, or of the batch under way */
    uint64_t number;  /* of its record */
    uint8_t id[ID_UUID_BYTES];
    struct buf facts; /* owned: members of its JSON beside those of the record: error, why */
    struct buf json;  /* owned: the whole, when the batch is made */
    char function[SETTINGS_NAME_MAX];
    uint64_t ended_ms;
    struct buf event; /* owned: what replay sends; empty and has_event false when it was too long */
    bool has_event;
    uint64_t event_bytes; /* how long it was */
    char method[16];
    struct buf target; /* owned: path behind the function's name and the query, as they came */
    char content_type[128];
};

/* Wants to know when the usage of a record is known. */
struct records_waiter {
    struct list link; /* struct records.waiters */
    uint64_t number;
    uint64_t since_ns;
    void (*on_settled)(struct records_waiter *w);
};

struct records {
    struct gateway *gateway;
    struct account_table accounts;
    struct record_ring ring;
    struct list live;      /* struct invocation.live_link: queued or running, oldest first */
    struct list to_sample; /* struct instance.usage.sample_link */
    struct list waiters;
    ev_timer sample_timer; /* armed while to_sample or waiters hold something */

    struct list unsaved; /* struct record_failure.link */
    unsigned unsaved_count;
    uint64_t dropped; /* failures that were not kept because too many came at once */
    bool dropping;    /* and the log was told */
    ev_timer idle_timer;
    ev_timer flush_timer;        /* armed while there is something to write */
    unsigned under_way;          /* batches that were handed over */
    struct record_batch *failed; /* one that could not be written, to be tried again; NULL = none */
    bool failing;                /* and the log was told */
    bool closing;                /* nothing more will be known */
    struct buf bills;            /* struct record_bill, one after another: sums that are ready to be written */
    unsigned month;              /* of the unsaved sums: 202611; 0 = the clock is not set */
    uint64_t month_end_ms;
};

struct records *records_new(struct gateway *g);
/* The last flush; before store_close(). */
void records_close(struct records *r);
void records_free(struct records *r); /* NULL is fine; no invocation and no instance may live */

/* ---- an invocation's turns ---- */

void records_attach(struct records *r, struct function *f); /* gives it its account, once */
void records_begin(struct records *r, struct invocation *inv);
/* Its one end. `f`: NULL when it succeeded; borrowed for the call, and so is the exchange's body. `status`: what the caller is answered. */
void records_end(struct records *r, struct invocation *inv, const struct invocation_end *end);
/* For what ends without an instance and without invocation_end_*(): one-shot sandboxes (gateway/exec.c). In memory alone. */
struct records_note {
    const char *id;      /* a UUID */
    struct str function; /* its name */
    uint64_t started_ms; /* when it was accepted, real time */
    uint64_t queue_us;
    uint32_t version; /* 0 = none */
    enum record_status status;
    enum invocation_outcome outcome;
    const char *type; /* a word; "" = it succeeded */
    int http_status;
    bool delivered; /* a program ran: the rest counts */
    uint64_t run_us, cpu_us, peak_bytes, memory_bytes;
};
void records_note(struct records *r, const struct records_note *n);

/* ---- usage ---- */

void records_note_served(struct records *r, struct instance *i);
void records_on_settled(struct records *r);
/* Calls back when the record's usage is known, is not to be known, or RECORDS_SETTLE_MS have passed; at once when so already. */
void records_when_settled(struct records *r, struct records_waiter *w);

/* What instances that min_warm keeps cost while they are idle, up to now. */
void records_add_idle(struct records *r, struct function *f, uint64_t mib_us);

/* ---- the disk: record_flush.c ---- */

void records_keep_failure(struct records *r, const struct record *rec, const struct invocation *inv,
                          const struct invocation_end *end);
void records_note_unsaved(struct records *r);
void records_collect_sums(struct records *r); /* those of the month at hand are ready to be written */
void records_flush(struct records *r);        /* hands over what there is; later reads on the store's thread see it */
/* Its record with its reason: one JSON object. */
int records_print_whole(const struct records *r, const struct record_failure *f, struct buf *out);
/* One that the store's thread can't find yet; NULL: it is not among them. Borrowed until the loop goes on. */
struct record_failure *records_find_unsaved(const struct records *r, const uint8_t id[ID_UUID_BYTES]);
void records_free_failure(struct record_failure *f);
bool records_clock_is_set(void);
/* 202611 of a point in real time, UTC; 0 when the clock is not set. *ret_end_ms: when the next one begins. */
unsigned records_month(uint64_t real_ms, uint64_t *ret_end_ms);

/* ---- JSON: record_print.c ---- */

/* Of what is an attempt at an asynchronous call; stands behind "id", so that rows on disk can be told apart without parsing them. */
#define RECORD_ASYNC_KEY "async"

/* Members of an open object. status: in place of its own, as what an attempt's call is; NULL: its own. */
void record_print(struct json_writer *w, const struct record *r, const char *status);
void record_print_live(struct json_writer *w, const struct invocation *inv, const char *status);
/* Members "error" and "why". */
void record_print_failure(struct json_writer *w, const struct invocation *inv, const struct invocation_end *end);
uint64_t record_ended_ms(const struct record *r); /* real time */
const char *record_status_name(enum record_status s);
const char *record_outcome_name(enum invocation_outcome o);

#endif
