/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/store_layers.h"

#include <errno.h>
#include <stddef.h>

#define COLUMNS "name, number, code, code_bytes, created_ms, attributes, policy, policy_revision"

/* All of this is rare: statements are prepared when they are needed. */
static int prepare(struct store_db *db, const char *text, struct sqlite3_stmt **ret_statement, struct err *e)
{
    *ret_statement = NULL;
    return store_db_prepare(db, &text, 1, ret_statement, e);
}

static struct store_layer row_of(struct sqlite3_stmt *s)
{
    return (struct store_layer){
        .name = store_db_text(s, 0),
        .number = store_db_number(s, 1),
        .code = store_db_text(s, 2),
        .code_bytes = store_db_number(s, 3),
        .created_ms = store_db_number(s, 4),
        .attributes = store_db_text(s, 5),
        .policy = store_db_text(s, 6),
        .policy_revision = store_db_text(s, 7),
    };
}

/* Of a statement whose parameters are bound. How many rows there were, or -errno. */
static int tell_rows(struct store_db *db, struct sqlite3_stmt *s, store_on_layer *on_layer, void *context,
                     struct err *e)
{
    bool failed = true;
    int r = 0, count = 0;
    while (r == 0 && store_db_next(s, &failed)) {
        const struct store_layer row = row_of(s);
        count++;
        r = on_layer(&row, context);
        if (r < 0)
            err_set(e, -r, "read the layers");
    }
    if (r == 0 && failed)
        r = store_db_fail(db, e, "read the layers");
    return r < 0 ? r : count;
}

static bool count_all(struct store_db *db, uint64_t *ret_count)
{
    struct sqlite3_stmt *s;
    struct err ignored;
    bool failed = true;
    if (prepare(db, "SELECT count(*) FROM layers WHERE removed = 0", &s, &ignored) == 0 && store_db_next(s, &failed))
        *ret_count = store_db_number(s, 0);
    store_db_finalize(&s, 1);
    return !failed;
}

int store_layers_insert(struct store_db *db, const struct store_layer *row, uint64_t *ret_number, struct err *e)
{
    static const char insert[] =
        "INSERT INTO layers (name, number, code, code_bytes, created_ms, attributes) VALUES (?1,"
        " (SELECT coalesce(max(number), 0) + 1 FROM layers WHERE name = ?1), ?2, ?3, ?4, ?5) RETURNING number";
    struct sqlite3_stmt *s;
    bool failed = true;
    int r = prepare(db, insert, &s, e);
    if (r < 0)
        return r;
    uint64_t count = 0;
    bool bound = count_all(db, &count);
    if (bound && count >= row->most) {
        store_db_finalize(&s, 1);
        return err_say(e, E2BIG, "there are %lu versions of layers: the limit 'lambda.layers' allows no more",
                       (unsigned long)count);
    }
    bound = bound && store_db_bind_text(s, 1, str_from(row->name)) && store_db_bind_text(s, 2, str_from(row->code)) &&
            store_db_bind_number(s, 3, row->code_bytes) && store_db_bind_number(s, 4, row->created_ms) &&
            store_db_bind_text(s, 5, str_from(row->attributes));
    if (bound && store_db_next(s, &failed)) {
        *ret_number = store_db_number(s, 0);
        while (store_db_next(s, &failed))
            continue; /* the row is committed when the statement has ended */
    }
    if (!bound || failed)
        r = store_db_fail(db, e, "store the layer");
    store_db_finalize(&s, 1);
    return r;
}

int store_layers_read(struct store_db *db, const char *name, uint64_t number, store_on_layer *on_layer, void *context,
                      struct err *e)
{
    struct sqlite3_stmt *s;
    int r = prepare(db, "SELECT " COLUMNS " FROM layers WHERE name = ?1 AND number = ?2 AND removed = 0", &s, e);
    if (r == 0 && (!store_db_bind_text(s, 1, str_from(name)) || !store_db_bind_number(s, 2, number)))
        r = store_db_fail(db, e, "read the layer");
    if (r == 0)
        r = tell_rows(db, s, on_layer, context, e);
    if (r == 0)
        r = err_say(e, ENOENT, "there is no such version of the layer");
    store_db_finalize(&s, 1);
    return r < 0 ? r : 0;
}

#define MATCHING                                                                                                       \
    " removed = 0 AND (?2 = '' OR EXISTS (SELECT 1 FROM json_each(attributes, '$.CompatibleRuntimes') WHERE value ="   \
    " ?2)) AND (?3 = '' OR EXISTS (SELECT 1 FROM json_each(attributes, '$.CompatibleArchitectures') WHERE value = "    \
    "?3))"

int store_layers_list(struct store_db *db, const struct store_layers_query *q, store_on_layer *on_layer, void *context,
                      struct err *e)
{
    static const char versions[] =
        "SELECT " COLUMNS " FROM layers WHERE name = ?1 AND (?4 = 0 OR number <= ?4) AND" MATCHING
        " ORDER BY number DESC LIMIT ?5";
    static const char newest[] = "SELECT " COLUMNS " FROM layers AS l WHERE name >= ?1 AND ?4 >= 0 AND number = (SELECT"
                                 " max(number) FROM layers WHERE name = l.name AND" MATCHING ") ORDER BY name LIMIT ?5";
    struct sqlite3_stmt *s;
    int r = prepare(db, q->name ? versions : newest, &s, e);
    if (r == 0 &&
        (!store_db_bind_text(s, 1, str_from(q->name ? q->name : q->from_name)) ||
         !store_db_bind_text(s, 2, str_from(q->runtime)) || !store_db_bind_text(s, 3, str_from(q->architecture)) ||
         !store_db_bind_number(s, 4, q->from_number) || !store_db_bind_number(s, 5, q->most)))
        r = store_db_fail(db, e, "read the layers");
    if (r == 0)
        r = tell_rows(db, s, on_layer, context, e);
    store_db_finalize(&s, 1);
    return r < 0 ? r : 0;
}

static int change(struct store_db *db, const char *text, const struct store_layer *row, struct err *e)
{
    struct sqlite3_stmt *s;
    int r = prepare(db, text, &s, e);
    if (r == 0 && (!store_db_bind_text(s, 1, str_from(row->name)) || !store_db_bind_number(s, 2, row->number) ||
                   (row->policy && (!store_db_bind_text(s, 3, str_from(row->policy)) ||
                                    !store_db_bind_text(s, 4, str_from(row->policy_revision)))) ||
                   !store_db_finish(s)))
        r = store_db_fail(db, e, "change the layer");
    store_db_finalize(&s, 1);
    return r;
}

int store_layers_remove(struct store_db *db, const char *name, uint64_t number, struct err *e)
{
    const struct store_layer row = {.name = name, .number = number};
    return change(db,
                  "UPDATE layers SET removed = 1, code = '', attributes = '{}', policy = '', policy_revision = ''"
                  " WHERE name = ?1 AND number = ?2",
                  &row, e);
}

int store_layers_set_policy(struct store_db *db, const struct store_layer *row, struct err *e)
{
    return change(db,
                  "UPDATE layers SET policy = ?3, policy_revision = ?4 WHERE name = ?1 AND number = ?2 AND removed = 0",
                  row, e);
}

int store_layers_each_code(struct store_db *db, int (*on_code)(const char *code, void *context), void *context,
                           struct err *e)
{
    struct sqlite3_stmt *s;
    bool failed = true;
    int r = prepare(db, "SELECT DISTINCT code FROM layers WHERE removed = 0", &s, e);
    if (r < 0)
        return r;
    while (r == 0 && store_db_next(s, &failed))
        r = on_code(store_db_text(s, 0), context);
    if (r < 0)
        err_set(e, -r, "read the layers");
    else if (failed)
        r = store_db_fail(db, e, "read the layers");
    store_db_finalize(&s, 1);
    return r;
}
