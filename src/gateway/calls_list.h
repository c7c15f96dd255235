/* SPDX-License-Identifier: Apache-2.0 */
/* Calls as others tell of them: GET /v1/calls?status=..., and /v1/invocations (gateway/api_invocations.c). Asked of the calls' thread in jobs of bounded length. */
#ifndef FAASD_GATEWAY_CALLS_LIST_H
#define FAASD_GATEWAY_CALLS_LIST_H

#include "codec/json.h"
#include "gateway/calls.h"

enum { CALLS_LIST_DEFAULT = 100, CALLS_LIST_MAX = 1000, CALLS_STATUS_TEXT_MAX = 128 };

/* One question. Its owner keeps it until `done`. */
struct calls_listing {
    char function[SETTINGS_NAME_MAX]; /* "" = any */
    unsigned statuses;                /* CALLS_SET() */
    unsigned count;                   /* rows at most */
    struct calls_cursor cursor;       /* in; out: where the next page begins */
    bool more;                        /* out */
    struct buf rows;  /* out: struct calls_listed, one behind the other, newest first; the owner's to free */
    struct err error; /* out */
    void (*done)(struct calls_listing *l);
    struct calls *calls;
};
/* Calls back once; from inside the call where there is nothing to ask. */
void calls_listing_start(struct calls *c, struct calls_listing *l);

/* "failed", "failed,expired", "dead" (failed, cancelled, expired) or "all" into CALLS_SET(). */
bool calls_read_statuses(struct str text, unsigned *ret_statuses);

/* Members "status" to "errorMessage" of an open object. brief: without the message. */
void calls_put_state(struct json_writer *w, const struct calls *c, const struct calls_listed *l, bool brief);
/* Member "why" (as gateway/advice.h) of one that no record explains. Nothing for one that succeeded. */
void calls_put_reason(struct json_writer *w, const struct calls *c, const struct calls_listed *l);

/* NULL: there is no such call, or *e says what failed. Calls back once; from inside the call where there are no calls. */
typedef void calls_on_found(void *owner, const struct calls_listed *found, const struct err *e);
void calls_find(struct calls *c, const uint8_t id[CALLS_ID_BYTES], calls_on_found *on_found, void *owner);

/* head.n 0: there is none, or *e says what failed. Borrowed for the call. The same. */
struct calls_event {
    const char *function;
    struct str head, body;
};
typedef void calls_on_event(void *owner, const struct calls_event *event, const struct err *e);
void calls_find_event(struct calls *c, const uint8_t id[CALLS_ID_BYTES], calls_on_event *on_event, void *owner);

/* Handlers of gateway/route.c. */
void calls_api_list(struct exchange *x);
void calls_api_redrive_all(struct exchange *x, struct str function);

#endif
