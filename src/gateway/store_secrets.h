/* SPDX-License-Identifier: Apache-2.0 */
/* The table of secrets, sealed (codec/secret.h): statements on the database of gateway/store_db.h. One thread at a time. Prepared anew for each call: there is a
 * handful of them a day. */
#ifndef FAASD_GATEWAY_STORE_SECRETS_H
#define FAASD_GATEWAY_STORE_SECRETS_H

#include "gateway/store_db.h"

/* A row. All borrowed: for the call, or until the callback returns. */
struct store_secret {
    const char *name;
    const char *key; /* fingerprint of the public key that it was sealed for */
    struct str sealed;
    uint64_t created_ms, updated_ms;
};

/* In name order. */
int store_secrets_load(struct store_db *db, void (*on_secret)(const struct store_secret *s, void *context),
                       void *context, struct err *e);
/* New, or another value of one that is there, whose created_ms stays. */
int store_secrets_put(struct store_db *db, const struct store_secret *s, struct err *e);
int store_secrets_remove(struct store_db *db, const char *name, struct err *e); /* 0 also when there is none */

#endif
