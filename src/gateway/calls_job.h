/* SPDX-License-Identifier: Apache-2.0 */
/* What travels between the loop and the thread of asynchronous calls. A job is owned by the loop, then by the thread, then by the loop again: never by both. */
#ifndef FAASD_GATEWAY_CALLS_JOB_H
#define FAASD_GATEWAY_CALLS_JOB_H

#include "base/list.h"
#include "codec/settings.h"
#include "gateway/calls_db_read.h"
#include "gateway/lambda_context.h"

/* A call out of the database, from its fetch to the commit of what came of it. One block of memory. */
struct calls_call {
    struct calls_row row;               /* head and body stand behind */
    struct list link;                   /* calls_job.fetch.calls, then struct calls.running */
    struct calls_lane *lane;            /* the loop's; NULL on the thread */
    size_t bytes;                       /* of all of it, against the window */
    struct calls_job *settle;           /* owned: made before it is run, so that its end finds memory */
    char qualifier[VERSIONS_ALIAS_MAX]; /* of what is called; the loop's, from calls_find_terms() on. "" = none */
    bool cancelled;                     /* somebody asked for it while it ran */
    char memory[];
};

enum calls_job_kind {
    /* writing: all that wait are committed together */
    CALLS_JOB_PUT,
    CALLS_JOB_SETTLE,
    CALLS_JOB_CANCEL,
    CALLS_JOB_REDRIVE,
    CALLS_JOB_REDRIVE_SOME,
    CALLS_JOB_SWEEP,
    /* reading: after that commit */
    CALLS_JOB_FETCH,
    CALLS_JOB_LOOK_UP,
    CALLS_JOB_LIST,
    CALLS_JOB_EVENT,
    CALLS_JOB_STATS,
    CALLS_JOB_OPEN,
};

struct calls_lane;

/* A function that is to be told how a call ended, by a call of its own. */
struct calls_destination {
    uint8_t id[CALLS_ID_BYTES];       /* of that call */
    char target[SETTINGS_TARGET_MAX]; /* NAME or NAME:QUALIFIER */
    bool gets_event;                  /* a dead letter: the event as it was, in place of a record */
    struct calls_lane *lane;          /* held: the loop's */
};

enum {
    CALLS_TOLD_MAX = 2, /* on_failure and dead_letter */
    CALLS_VERSION_MAX = 24,
};

/* What the record is made of beside the call and its result. */
struct calls_told {
    struct calls_destination to[CALLS_TOLD_MAX];
    unsigned count;
    char arn[LAMBDA_CONTEXT_INVOKED_MAX]; /* of what was called, as it was called */
    char version[CALLS_VERSION_MAX];      /* that ran: a number, or "$LATEST" where that was called */
    struct str failure;  /* of a function that failed: what Lambda's caller would be told. p NULL: the result's body */
    bool failure_is_cut; /* it was longer than a result may be */
};

/* A call as lists tell of it, with its texts. */
struct calls_listed {
    uint8_t id[CALLS_ID_BYTES];
    char function[SETTINGS_NAME_MAX];
    enum calls_status status;
    uint32_t attempts;
    uint64_t due_ms;                          /* while it is queued */
    uint64_t accepted_real_ms, ended_real_ms; /* ended: 0 = it has not */
    int http_status;                          /* of the last attempt; 0 = none */
    char error[64];
    char message[CALLS_MESSAGE_MAX];
};

struct calls_job {
    enum calls_job_kind kind;
    void (*done)(struct calls_job *j); /* on the loop, never from inside calls_store_submit(); frees the job */
    void *owner;
    struct calls_job *next;
    struct err error; /* code 0: `answer` counts */
    enum calls_answer answer;
    struct calls_totals totals; /* after it */
    struct buf
        out; /* owned: PUT: head and body; SETTLE: fields, body and told.failure; REDRIVE: whose it was; FETCH, LOOK_UP, LIST, EVENT, OPEN: below */
    uint8_t id[CALLS_ID_BYTES]; /* PUT: in and out; CANCEL, REDRIVE, LOOK_UP, EVENT: in */
    union {
        struct {
            struct calls_entry entry;
            char function[SETTINGS_NAME_MAX];
            char key[CALLS_KEY_MAX];
        } put;
        struct {
            struct calls_result result;
            struct calls_call *call; /* borrowed */
            struct calls_told told;
            char error[64];
            char message[CALLS_MESSAGE_MAX];
        } settle;
        struct calls_sweep sweep;
        struct {
            struct calls_redrive some;
            char function[SETTINGS_NAME_MAX];
        } redrive;
        struct {
            char function[SETTINGS_NAME_MAX];
            unsigned statuses, count;   /* of rows */
            struct calls_cursor cursor; /* in and out */
            bool more;
            /* `out`: struct calls_listed, one behind the other */
        } list;
        struct {
            size_t head_n; /* `out`: the head, then the body */
            char function[SETTINGS_NAME_MAX];
        } event;
        struct {
            char function[SETTINGS_NAME_MAX];
            unsigned count; /* at most */
            size_t bytes;   /* at most, but one call in any case */
            struct list calls;
            uint64_t next_ms;
        } fetch;
        struct {
            struct calls_info info; /* valid when answer is CALLS_DONE; strings stand in `out` */
            bool running;
        } found;
        uint64_t oldest_ms; /* STATS */
        struct {
            struct calls_clock clock;
            /* `out`: for each function with calls waiting uint64_t due_ms, then the name with its NUL */
        } opened;
    };
};

void calls_listed_fill(struct calls_listed *l, const struct calls_info *info, bool running);

enum {
    CALLS_LIST_STEPS = 4096
}; /* rows a LIST or REDRIVE_SOME looks at: a few milliseconds in which nothing is accepted */

/* NULL when memory is out. */
struct calls_job *calls_job_new(enum calls_job_kind kind, void (*done)(struct calls_job *j), void *owner);
void calls_job_free(struct calls_job *j); /* with the calls of a FETCH that nobody took out; NULL is fine */

static inline bool calls_job_writes(const struct calls_job *j)
{
    return j->kind <= CALLS_JOB_SWEEP;
}

#endif
