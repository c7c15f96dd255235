/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rows of what Lambda's API says of a function beside its versions: reserved and provisioned concurrency, what holds for asynchronous calls of a qualifier, tags. On the store's thread,
 * or before it runs. They go with their function, number or alias: triggers of store_sql.c. What would be a row of something that has gone meanwhile is not made: ENOENT.
 */
#ifndef FAASD_GATEWAY_STORE_CONTROLS_H
#define FAASD_GATEWAY_STORE_CONTROLS_H

#include "base/buf.h"
#include "gateway/async_config.h"
#include "gateway/store_db.h"

enum { STORE_TAGS_MAX = 50 /* of one function */ };

int store_limit_put(struct store_db *db, const char *function, uint64_t limit, struct err *e);
int store_limit_remove(struct store_db *db, const char *function, struct err *e);

/* Strings are borrowed for the call. */
struct store_provisioned {
    const char *function, *qualifier; /* a number or an alias */
    uint64_t count, modified_ms;
};
int store_provisioned_put(struct store_db *db, const struct store_provisioned *row, struct err *e);
int store_provisioned_remove(struct store_db *db, const char *function, const char *qualifier, struct err *e);

int store_async_put(struct store_db *db, const char *function, const struct async_config *c, struct err *e);
int store_async_remove(struct store_db *db, const char *function, const char *qualifier, struct err *e);

/* `patch`: a JSON object; a text sets a tag, null takes it away. E2BIG: they would be more than STORE_TAGS_MAX, and nothing is changed. ENOENT: no such function. */
int store_tags_patch(struct store_db *db, const char *function, struct str patch, struct err *e);
/* A JSON object, "{}" when there are none; appended to *out. ENOENT: no such function. */
int store_tags_read(struct store_db *db, const char *function, struct buf *out, struct err *e);

struct store_controls_events {
    void (*on_limit)(const char *function, uint64_t limit, void *context);
    void (*on_provisioned)(const struct store_provisioned *row, void *context);
    void (*on_async)(const char *function, const struct async_config *c, void *context);
    void *context;
};
int store_controls_load(struct store_db *db, const struct store_controls_events *on, struct err *e);

#endif
