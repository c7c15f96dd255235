/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A function's log as CloudWatch tells it: events in streams. The lines are those on disk; START, END and REPORT are made of the records of requests that have ended
 * (gateway/records.h: the newest, in memory), so that no request pays for them.
 *
 * A stream is what one instance wrote on one day: "2026/11/21/[$LATEST]" and 32 hex digits, the last sixteen being the instance's number. Between the brackets stands the version where a record
 * tells it; streams are found by day and digits alone.
 *
 * log_events_snapshot() is the loop's, the rest the store's thread's.
 */
#ifndef FAASD_LAMBDA_LOG_EVENTS_H
#define FAASD_LAMBDA_LOG_EVENTS_H

#include "base/err.h"
#include "base/id.h"
#include "base/str.h"

struct gateway;
struct store_log;

enum {
    LOG_EVENTS_STREAM_MAX = 96, /* a stream's name with its NUL */
    LOG_EVENTS_ID_MAX = 64,     /* an event's id with its NUL */
};

/* Where an event stands: no two are at the same place, and a place does not change when others come. */
struct log_place {
    uint64_t time_ms;
    unsigned kind; /* 0: START, 1: a line, 2: END and REPORT */
    uint64_t nth;  /* of its kind in its millisecond, from 1 on */
};
int log_place_compare(const struct log_place *a, const struct log_place *b);

struct log_event {
    struct log_place place;
    uint64_t day; /* since the epoch */
    uint64_t instance;
    uint32_t version;   /* 0: not known */
    struct str message; /* with its newline; borrowed for the call */
};

/* What the records know of a function's requests. */
struct log_request {
    uint8_t id[ID_UUID_BYTES];
    uint64_t start_ms, end_ms; /* real time */
    uint64_t instance, run_us, init_us;
    uint32_t version, memory_kib, peak_kib;
    const char *status, *error_type; /* static; NULL: it succeeded, or said itself what went wrong */
};

struct log_snapshot {
    char function[65];
    struct log_request *requests; /* owned */
    size_t count;
    uint64_t seen_instance; /* whose version was looked up last */
    uint32_t seen_version;
};

int log_events_snapshot(const struct gateway *g, const char *function, struct log_snapshot *ret); /* -ENOMEM */
void log_events_fini(struct log_snapshot *s);

/* Every event in order, until on_event says false. */
int log_events_each(struct store_log *log, struct log_snapshot *s,
                    bool (*on_event)(const struct log_event *event, void *context), void *context, struct err *e);

void log_events_print_stream(struct log_snapshot *s, const struct log_event *event, char out[LOG_EVENTS_STREAM_MAX]);
/* False: it is no such name. */
bool log_events_parse_stream(struct str name, uint64_t *ret_day, uint64_t *ret_instance);
void log_events_print_id(const struct log_event *event, char out[LOG_EVENTS_ID_MAX]);

#endif
