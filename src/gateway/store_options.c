/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/store_options.h"

#include <errno.h>
#include <stddef.h>

/* All of this is rare: statements are prepared when they are needed. */
static int prepare(struct store_db *db, const char *text, struct sqlite3_stmt **ret_statement, struct err *e)
{
    *ret_statement = NULL;
    return store_db_prepare(db, &text, 1, ret_statement, e);
}

static int finish(struct store_db *db, struct sqlite3_stmt *s, bool bound, struct err *e)
{
    int r = bound && store_db_finish(s) ? 0 : store_db_fail(db, e, "store what was told");
    store_db_finalize(&s, 1);
    return r;
}

static bool bind_option(struct sqlite3_stmt *s, const struct store_option *o)
{
    return store_db_bind_text(s, 1, str_from(o->function)) && store_db_bind_text(s, 2, str_from(o->kind)) &&
           store_db_bind_text(s, 3, str_from(o->qualifier));
}

int store_options_put(struct store_db *db, const struct store_option *o, struct str value, struct err *e)
{
    struct sqlite3_stmt *s;
    int r = prepare(
        db, "INSERT OR REPLACE INTO function_options (function, kind, qualifier, value) VALUES (?1, ?2, ?3, ?4)", &s,
        e);
    return r < 0 ? r : finish(db, s, bind_option(s, o) && store_db_bind_text(s, 4, value), e);
}

int store_options_get(struct store_db *db, const struct store_option *o, struct buf *out, struct err *e)
{
    struct sqlite3_stmt *s;
    bool failed = true;
    int r =
        prepare(db, "SELECT value FROM function_options WHERE function = ?1 AND kind = ?2 AND qualifier = ?3", &s, e);
    if (r < 0)
        return r;
    if (bind_option(s, o) && store_db_next(s, &failed)) {
        r = buf_add_str(out, store_db_bytes(s, 0));
        if (r < 0)
            err_set(e, -r, "read what was told");
    } else if (failed) {
        r = store_db_fail(db, e, "read what was told");
    }
    store_db_finalize(&s, 1);
    return r;
}

int store_event_sources_put(struct store_db *db, const struct store_event_source *row, struct err *e)
{
    struct sqlite3_stmt *s;
    int r = prepare(
        db, "INSERT OR REPLACE INTO event_sources (id, function, modified_ms, value) VALUES (?1, ?2, ?3, ?4)", &s, e);
    return r < 0 ? r
                 : finish(db, s,
                          store_db_bind_text(s, 1, str_from(row->id)) &&
                              store_db_bind_text(s, 2, str_from(row->function)) &&
                              store_db_bind_number(s, 3, row->modified_ms) && store_db_bind_text(s, 4, row->value),
                          e);
}

int store_event_sources_remove(struct store_db *db, const char *id, struct err *e)
{
    struct sqlite3_stmt *s;
    int r = prepare(db, "DELETE FROM event_sources WHERE id = ?1", &s, e);
    return r < 0 ? r : finish(db, s, store_db_bind_text(s, 1, str_from(id)), e);
}

int store_event_sources_list(struct store_db *db, const struct store_event_sources_query *q,
                             int (*on_source)(const struct store_event_source *row, void *context), void *context,
                             struct err *e)
{
    struct sqlite3_stmt *s;
    bool failed = true;
    int r = prepare(db,
                    "SELECT id, function, modified_ms, value FROM event_sources WHERE id >= ?1 AND (?2 = '' OR function"
                    " = ?2) AND (?3 = '' OR json_extract(value, '$.EventSourceArn') = ?3) ORDER BY id LIMIT ?4",
                    &s, e);
    if (r < 0)
        return r;
    if (!store_db_bind_text(s, 1, str_from(q->from)) || !store_db_bind_text(s, 2, str_from(q->function)) ||
        !store_db_bind_text(s, 3, str_from(q->source)) || !store_db_bind_number(s, 4, q->most))
        r = store_db_fail(db, e, "read the mappings");
    while (r == 0 && store_db_next(s, &failed)) {
        const struct store_event_source row = {.id = store_db_text(s, 0),
                                               .function = store_db_text(s, 1),
                                               .modified_ms = store_db_number(s, 2),
                                               .value = store_db_bytes(s, 3)};
        r = on_source(&row, context);
        if (r < 0)
            err_set(e, -r, "read the mappings");
    }
    if (r == 0 && failed)
        r = store_db_fail(db, e, "read the mappings");
    store_db_finalize(&s, 1);
    return r;
}

int store_event_sources_count(struct store_db *db, uint64_t *ret_count, struct err *e)
{
    struct sqlite3_stmt *s;
    bool failed = true;
    int r = prepare(db, "SELECT count(*) FROM event_sources", &s, e);
    if (r == 0 && store_db_next(s, &failed))
        *ret_count = store_db_number(s, 0);
    else if (r == 0)
        r = store_db_fail(db, e, "count the mappings");
    store_db_finalize(&s, 1);
    return r;
}
