/* SPDX-License-Identifier: Apache-2.0 */
/* The rows of layers: versions that somebody published, numbered per name. On the store's thread. What a function uses of them stands in its own row, so a removed one goes on serving. */
#ifndef FAASD_GATEWAY_STORE_LAYERS_H
#define FAASD_GATEWAY_STORE_LAYERS_H

#include "gateway/store_db.h"

/* Strings are borrowed for the call. */
struct store_layer {
    const char *name;
    uint64_t number;
    const char *code;    /* names versions/DIGEST */
    uint64_t code_bytes; /* of its files */
    uint64_t created_ms;
    const char *attributes; /* a JSON object */
    const char *policy;     /* a JSON array; "" = none */
    const char *policy_revision;
    uint64_t most; /* of inserting: so many there may be, of all names; E2BIG */
};

/* Under the number after the highest that was ever given to that name. */
int store_layers_insert(struct store_db *db, const struct store_layer *row, uint64_t *ret_number, struct err *e);

typedef int store_on_layer(const struct store_layer *row, void *context); /* 0, or it stops with -errno */

/* One. ENOENT: there is none (any more). */
int store_layers_read(struct store_db *db, const char *name, uint64_t number, store_on_layer *on_layer, void *context,
                      struct err *e);

struct store_layers_query {
    const char *name;         /* versions of this one, newest first; NULL: the newest of each layer, by name */
    const char *runtime;      /* says that it is compatible with this; "" = any */
    const char *architecture; /* the same */
    const char *from_name;    /* the first one, of layers; "" = all */
    uint64_t from_number;     /* the first one, of versions; 0 = the newest */
    uint64_t most;
};
int store_layers_list(struct store_db *db, const struct store_layers_query *q, store_on_layer *on_layer, void *context,
                      struct err *e);

/* Its number is not given again. One that is not there is fine. */
int store_layers_remove(struct store_db *db, const char *name, uint64_t number, struct err *e);
int store_layers_set_policy(struct store_db *db, const struct store_layer *row, struct err *e);

/* The trees of all of them. */
int store_layers_each_code(struct store_db *db, int (*on_code)(const char *code, void *context), void *context,
                           struct err *e);

#endif
