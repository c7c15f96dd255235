/* SPDX-License-Identifier: Apache-2.0 */
/* The rows of Function URLs and of the policies that say who may call a function. On the store's thread, or before it runs. They go with their function (store_sql.c). */
#ifndef FAASD_GATEWAY_STORE_URLS_H
#define FAASD_GATEWAY_STORE_URLS_H

#include "gateway/store_db.h"

/* Strings are borrowed for the call. */
struct store_url {
    const char *function, *qualifier; /* "" = the function itself */
    const char *id;
    const char *auth; /* as the API names it */
    const char *mode; /* "" = not given */
    const char *cors; /* JSON; "" = none */
    uint64_t created_ms, modified_ms;
};

int store_urls_load(struct store_db *db, void (*on_url)(const struct store_url *row, void *context), void *context,
                    struct err *e);
int store_urls_insert(struct store_db *db, const struct store_url *row, struct err *e); /* EEXIST: there is one */
int store_urls_update(struct store_db *db, const struct store_url *row, struct err *e);
int store_urls_remove(struct store_db *db, const char *function, const char *qualifier, struct err *e);

struct store_policy {
    const char *function, *qualifier;
    const char *revision;
    const char *statements; /* a JSON array */
};

int store_policies_load(struct store_db *db, void (*on_policy)(const struct store_policy *row, void *context),
                        void *context, struct err *e);
int store_policies_put(struct store_db *db, const struct store_policy *row, struct err *e);
int store_policies_remove(struct store_db *db, const char *function, const char *qualifier, struct err *e);

#endif
