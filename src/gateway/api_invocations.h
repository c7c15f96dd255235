/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of gateway/api_invocations*.c. */
#ifndef FAASD_GATEWAY_API_INVOCATIONS_H
#define FAASD_GATEWAY_API_INVOCATIONS_H

#include "gateway/api.h"
#include "gateway/calls_list.h"
#include "gateway/link.h"
#include "gateway/store_records.h"
#include "supervisor/message.h"

/* One question, from its handler to its answer. */
struct asking {
    struct record_query query; /* first */
    struct records_waiter waiter;
    struct link_waiter
        link; /* ONE: while the supervisor is asked for the steps of its start; answered or everything ends */
    struct message_steps_are *steps; /* ONE: owned; NULL = nobody asked, or there are none */
    struct exchange *x;
    struct json_writer w; /* LIST: open, into `body` */
    struct buf body;
    int status; /* LIST: what to tell, -1 = all: enum record_status, or LIVE_QUEUED, LIVE_RUNNING */
    uint32_t told, limit;
    struct calls_listing calls; /* LIST */
    bool has_call;              /* ONE: it is an asynchronous call, this one: */
    struct calls_listed call;
    void (*then)(struct asking *a); /* ONE: while `link` waits */
};

struct asking *asking_new(struct exchange *x, enum store_records_want want);
void asking_free(struct asking *a);
void asking_ask_store(struct asking *a, void (*done)(struct store_task *t));
void asking_reply_error(struct asking *a); /* of the store; frees it */
const struct invocation *asking_find_live(const struct records *all, const char *id);
/* ONE: `then` follows, at once or when the supervisor has said what it knows of the start of r's instance (api_invocations_steps.c). r may be NULL. */
void asking_ask_steps(struct asking *a, const struct record *r, void (*then)(struct asking *a));
void asking_put_steps(struct json_writer *w,
                      const struct asking *a); /* a member of an open object; nothing without steps */
/* Members of an open object, for a call without a record: as record_print(). */
void asking_put_call(struct json_writer *w, const struct calls_listed *c);

#endif
