/* SPDX-License-Identifier: Apache-2.0 */
/* The table `tokens` of the registry's database. Changes are rare, so statements are prepared for each. On whatever thread has the database. */
#ifndef FAASD_GATEWAY_STORE_TOKENS_H
#define FAASD_GATEWAY_STORE_TOKENS_H

#include "gateway/store_db.h"

/* Borrowed for the call. */
struct store_token {
    const char *id;
    const char *name;
    const char *scopes;
    struct str digest; /* SHA-256 of the token */
    struct str sealed; /* its signing key */
    uint64_t created_ms;
    uint64_t expires_ms; /* 0 = never */
};

int store_tokens_load(struct store_db *db, int (*on_token)(const struct store_token *row, void *context), void *context,
                      struct err *e);
int store_tokens_insert(struct store_db *db, const struct store_token *row, struct err *e);
int store_tokens_delete(struct store_db *db, const char *id, struct err *e); /* 0 also when it is not there */

#endif
