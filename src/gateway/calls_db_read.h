/* SPDX-License-Identifier: Apache-2.0 */
/* Asynchronous calls as people are shown them: one by its id, lists page by page, events. Outside of transactions, as all reading of gateway/calls_db.h. */
#ifndef FAASD_GATEWAY_CALLS_DB_READ_H
#define FAASD_GATEWAY_CALLS_DB_READ_H

#include "gateway/calls_db.h"

/* Of statuses. */
#define CALLS_SET(status) (1u << (status))
#define CALLS_SET_WAITING (CALLS_SET(CALLS_QUEUED) | CALLS_SET(CALLS_RUNNING))
#define CALLS_SET_DEAD    (CALLS_SET(CALLS_FAILED) | CALLS_SET(CALLS_CANCELLED) | CALLS_SET(CALLS_EXPIRED))
#define CALLS_SET_ALL     (CALLS_SET_WAITING | CALLS_SET(CALLS_SUCCEEDED) | CALLS_SET_DEAD)

/* One call for people; strings are borrowed for the callback. */
struct calls_info {
    uint8_t id[CALLS_ID_BYTES];
    const char *function;
    uint64_t seq; /* while it is queued, else 0 */
    enum calls_status status;
    uint32_t attempts;
    uint64_t due_ms; /* while it is queued */
    uint64_t accepted_real_ms, ended_real_ms;
    int http_status; /* of the last attempt; 0 = none yet */
    const char *error, *message;
    struct str fields, body;
    bool cut;
};
/* False: no such call, or e->code says why not. */
bool calls_db_look_up(struct calls_db *d, const uint8_t id[CALLS_ID_BYTES],
                      void (*on_info)(void *context, const struct calls_info *info), void *context, struct err *e);

/* What a page begins behind: of those that wait, then of those that have ended, the newest first. */
struct calls_cursor {
    bool ended;
    uint64_t seq; /* calls below this one follow */
};
#define CALLS_CURSOR_START ((struct calls_cursor){.ended = false, .seq = INT64_MAX})

struct calls_list {
    const char *function;       /* "" = any */
    unsigned statuses;          /* CALLS_SET(); QUEUED and RUNNING are one here */
    unsigned steps;             /* rows looked at, at most */
    struct calls_cursor cursor; /* in and out */
    bool more;                  /* out: the end was not reached */
    bool (*on_info)(void *context,
                    const struct calls_info *info); /* without its result; false: no more after this one */
    void *context;
};
int calls_db_list(struct calls_db *d, struct calls_list *l, struct err *e);

/* The event of one that waits, or of a dead letter: borrowed for the callback. False: there is none, or e->code says why not. */
bool calls_db_read_event(struct calls_db *d, const uint8_t id[CALLS_ID_BYTES],
                         void (*on_event)(void *context, const char *function, struct str head, struct str body),
                         void *context, struct err *e);

#endif
