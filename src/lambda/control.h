/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is said of a function beside its versions (gateway/store_controls.h): a change of it, one after the other, and all of it at start. A change is checked when it is its turn, stored, then
 * it holds and is answered. No step needs a timer: the store answers every task.
 */
#ifndef FAASD_LAMBDA_CONTROL_H
#define FAASD_LAMBDA_CONTROL_H

#include "gateway/async_config.h"
#include "gateway/store.h"
#include "lambda/change_queue.h"
#include "lambda/operation.h"

struct control_change;

struct control_kind {
    bool (*check)(struct control_change
                      *c); /* it is its turn. False: it has ended the exchange; NULL: nothing is to be checked */
    void (*store)(const struct control_change *c, struct store_db *db, struct err *e); /* on the store's thread */
    void (*apply)(
        struct control_change *c); /* it is stored: makes it hold, unless function->removed, and ends the exchange */
};

struct control_change {
    struct store_task task; /* first */
    struct queued_change turn;
    const struct control_kind *kind;
    struct exchange *x;
    struct function *function;          /* counted */
    char qualifier[VERSIONS_ALIAS_MAX]; /* as the request has it; "" = none */
    char region[LAMBDA_REGION_MAX];
    uint32_t count;            /* kinds' own: this */
    uint64_t real_ms;          /* when it was asked for */
    struct async_config async; /* and this */
};

/* A change of the function that the request names; NULL: the exchange was ended. control_start() takes it over. */
struct control_change *control_new(struct lambda_call *call, struct function *f, const struct control_kind *kind);
void control_start(struct control_change *c);
void control_free(struct control_change *c); /* one that is not started */

/* The function's ARN in the change's region; qualifier "" = none. */
const char *control_arn(const struct control_change *c, const char *qualifier, char out[LAMBDA_ARN_MAX]);

/* Before the store's thread starts, when functions, numbers and aliases are there. */
int control_load(struct gateway *g, struct err *e);

#endif
