/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/store_tokens.h"

static int prepare(struct store_db *db, const char *text, struct sqlite3_stmt **ret_statement, struct err *e)
{
    *ret_statement = NULL;
    int r = store_db_prepare(db, &text, 1, ret_statement, e);
    if (r < 0)
        store_db_finalize(ret_statement, 1);
    return r;
}

int store_tokens_load(struct store_db *db, int (*on_token)(const struct store_token *row, void *context), void *context,
                      struct err *e)
{
    struct sqlite3_stmt *s;
    int r =
        prepare(db, "SELECT id, name, scopes, digest, sealed, created_ms, expires_ms FROM tokens ORDER BY id", &s, e);
    if (r < 0)
        return r;
    bool failed = false;
    while (r == 0 && store_db_next(s, &failed)) {
        const struct store_token row = {
            .id = store_db_text(s, 0),
            .name = store_db_text(s, 1),
            .scopes = store_db_text(s, 2),
            .digest = store_db_bytes(s, 3),
            .sealed = store_db_bytes(s, 4),
            .created_ms = store_db_number(s, 5),
            .expires_ms = store_db_number(s, 6),
        };
        r = on_token(&row, context);
    }
    if (failed)
        r = store_db_fail(db, e, "load the tokens");
    store_db_finalize(&s, 1);
    return r;
}

int store_tokens_insert(struct store_db *db, const struct store_token *row, struct err *e)
{
    struct sqlite3_stmt *s;
    int r = prepare(db,
                    "INSERT INTO tokens (id, name, scopes, digest, sealed, created_ms, expires_ms)"
                    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                    &s, e);
    if (r < 0)
        return r;
    bool good = store_db_bind_text(s, 1, str_from(row->id)) && store_db_bind_text(s, 2, str_from(row->name)) &&
                store_db_bind_text(s, 3, str_from(row->scopes)) && store_db_bind_blob(s, 4, row->digest) &&
                store_db_bind_blob(s, 5, row->sealed) && store_db_bind_number(s, 6, row->created_ms) &&
                store_db_bind_number(s, 7, row->expires_ms) && store_db_finish(s);
    if (!good)
        r = store_db_fail(db, e, "store the token");
    store_db_finalize(&s, 1);
    return r;
}

int store_tokens_delete(struct store_db *db, const char *id, struct err *e)
{
    struct sqlite3_stmt *s;
    int r = prepare(db, "DELETE FROM tokens WHERE id = ?1", &s, e);
    if (r < 0)
        return r;
    if (!store_db_bind_text(s, 1, str_from(id)) || !store_db_finish(s))
        r = store_db_fail(db, e, "remove the token");
    store_db_finalize(&s, 1);
    return r;
}
