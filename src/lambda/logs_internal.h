/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of lambda/logs*.c: one request on its way to the store's thread and back. */
#ifndef FAASD_LAMBDA_LOGS_INTERNAL_H
#define FAASD_LAMBDA_LOGS_INTERNAL_H

#include "codec/json.h"
#include "gateway/exchange.h"
#include "gateway/store.h"
#include "lambda/log_events.h"
#include "lambda/log_pattern.h"
#include "lambda/name.h"

enum {
    LOGS_EVENTS_MOST = 10000,
    LOGS_BYTES_MAX = 1 << 20,  /* of one answer's events, as on AWS */
    LOGS_ANSWER_MAX = 8 << 20, /* its JSON */
    LOGS_STREAMS_MOST = 100,   /* named in one request */
    LOGS_PAGE = 50,
    LOGS_KNOWN_MAX = 10000, /* streams of one function */
    LOGS_TOKEN_MAX = 64,
};

#define LOGS_GROUP_PREFIX "/aws/lambda/"

struct logs_stream {
    uint64_t day, instance;
};

struct logs_query {
    struct store_task task; /* first */
    struct exchange *x;
    const struct logs_operation *op;
    struct log_snapshot snapshot;
    char region[LAMBDA_REGION_MAX];
    char account_text[LAMBDA_ACCOUNT_MAX];
    uint64_t start_ms, end_ms; /* [start, end) */
    uint64_t limit;
    bool from_head, descending, by_time;
    bool has_from, has_before; /* tokens */
    struct log_place from;     /* events behind it */
    struct log_place before;   /* events before it */
    uint64_t skip;             /* streams of earlier pages */
    struct logs_stream streams[LOGS_STREAMS_MOST];
    unsigned stream_count;              /* 0: all */
    char prefix[LOG_EVENTS_STREAM_MAX]; /* of streams' names */
    char pattern_text[LOG_PATTERN_MAX + 1];
    struct log_pattern pattern;
    struct buf out; /* the answer */
    bool no_stream; /* the stream that was named is not there */
};

struct logs_operation {
    const char *name;
    /* Reads the request into *q. False: the exchange was ended. */
    bool (*read)(struct logs_query *q, const struct json *body);
    /* On the store's thread: fills q->out. NULL: `read` has answered. */
    void (*run_log)(struct store_task *t, struct store_log *log);
};

void logs_fail(struct exchange *x, int status, const char *type, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* logs_read.c: on the store's thread. */
void logs_run_events(struct store_task *t, struct store_log *log); /* GetLogEvents */
void logs_run_filter(struct store_task *t, struct store_log *log);
void logs_run_streams(struct store_task *t, struct store_log *log);

/* "f/TIME/KIND/NTH": `way` is 'f' or 'b'. */
void logs_print_token(char way, const struct log_place *at, char out[LOGS_TOKEN_MAX]);
bool logs_parse_token(struct str text, char *ret_way, struct log_place *ret_at);

#endif
