/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/store_secrets.h"

#include <stddef.h>

static const char LOAD[] = "SELECT name, key, sealed, created_ms, updated_ms FROM secrets ORDER BY name";
static const char PUT[] = "INSERT INTO secrets (name, key, sealed, created_ms, updated_ms) VALUES (?1, ?2, ?3, ?4, ?5)"
                          " ON CONFLICT (name) DO UPDATE SET key = ?2, sealed = ?3, updated_ms = ?5";
static const char REMOVE[] = "DELETE FROM secrets WHERE name = ?1";

static int prepare(struct store_db *db, const char *text, struct sqlite3_stmt **ret_statement, struct err *e)
{
    *ret_statement = NULL;
    return store_db_prepare(db, &text, 1, ret_statement, e);
}

int store_secrets_load(struct store_db *db, void (*on_secret)(const struct store_secret *s, void *context),
                       void *context, struct err *e)
{
    struct sqlite3_stmt *s;
    bool failed = false;
    int r = prepare(db, LOAD, &s, e);
    while (r == 0 && store_db_next(s, &failed)) {
        struct store_secret row = {
            .name = store_db_text(s, 0),
            .key = store_db_text(s, 1),
            .sealed = store_db_bytes(s, 2),
            .created_ms = store_db_number(s, 3),
            .updated_ms = store_db_number(s, 4),
        };
        on_secret(&row, context);
    }
    if (r == 0 && failed)
        r = store_db_fail(db, e, "read the stored secrets");
    store_db_finalize(&s, 1);
    return r;
}

int store_secrets_put(struct store_db *db, const struct store_secret *secret, struct err *e)
{
    struct sqlite3_stmt *s;
    int r = prepare(db, PUT, &s, e);
    bool done = r == 0 && store_db_bind_text(s, 1, str_from(secret->name)) &&
                store_db_bind_text(s, 2, str_from(secret->key)) && store_db_bind_blob(s, 3, secret->sealed) &&
                store_db_bind_number(s, 4, secret->created_ms) && store_db_bind_number(s, 5, secret->updated_ms) &&
                store_db_finish(s);
    if (r == 0 && !done)
        r = store_db_fail(db, e, "store the secret");
    store_db_finalize(&s, 1);
    return r;
}

int store_secrets_remove(struct store_db *db, const char *name, struct err *e)
{
    struct sqlite3_stmt *s;
    int r = prepare(db, REMOVE, &s, e);
    bool done = r == 0 && store_db_bind_text(s, 1, str_from(name)) && store_db_finish(s);
    if (r == 0 && !done)
        r = store_db_fail(db, e, "remove the secret");
    store_db_finalize(&s, 1);
    return r;
}
