/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/store_urls.h"

#include <stddef.h>

static int prepare(struct store_db *db, const char *text, struct sqlite3_stmt **ret_statement, struct err *e)
{
    *ret_statement = NULL;
    return store_db_prepare(db, &text, 1, ret_statement, e);
}

/* Runs one statement whose parameters are texts, numbers behind them. All of this is rare: statements are prepared when they are needed. */
struct parameters {
    const char *texts[6];
    unsigned text_count;
    uint64_t numbers[2];
    unsigned number_count;
};

static int run(struct store_db *db, const char *text, const struct parameters *p, struct err *e)
{
    struct sqlite3_stmt *s;
    int r = prepare(db, text, &s, e);
    bool good = r == 0;
    for (unsigned i = 0; good && i < p->text_count; i++)
        good = store_db_bind_text(s, (int)i + 1, str_from(p->texts[i]));
    for (unsigned i = 0; good && i < p->number_count; i++)
        good = store_db_bind_number(s, (int)(p->text_count + i) + 1, p->numbers[i]);
    good = good && store_db_finish(s);
    if (r == 0 && !good)
        r = store_db_fail(db, e, "change what is stored of a function's URLs and policies");
    store_db_finalize(&s, 1);
    return r;
}

int store_urls_load(struct store_db *db, void (*on_url)(const struct store_url *row, void *context), void *context,
                    struct err *e)
{
    struct sqlite3_stmt *s;
    bool failed = false;
    int r = prepare(
        db, "SELECT function, qualifier, id, auth, mode, cors, created_ms, modified_ms FROM urls ORDER BY function", &s,
        e);
    while (r == 0 && store_db_next(s, &failed)) {
        const struct store_url row = {
            .function = store_db_text(s, 0),
            .qualifier = store_db_text(s, 1),
            .id = store_db_text(s, 2),
            .auth = store_db_text(s, 3),
            .mode = store_db_text(s, 4),
            .cors = store_db_text(s, 5),
            .created_ms = store_db_number(s, 6),
            .modified_ms = store_db_number(s, 7),
        };
        on_url(&row, context);
    }
    if (r == 0 && failed)
        r = store_db_fail(db, e, "read the stored Function URLs");
    store_db_finalize(&s, 1);
    return r;
}

static struct parameters all_of(const struct store_url *u)
{
    return (struct parameters){
        {u->function, u->qualifier, u->id, u->auth, u->mode, u->cors}, 6, {u->created_ms, u->modified_ms}, 2};
}

int store_urls_insert(struct store_db *db, const struct store_url *row, struct err *e)
{
    const struct parameters p = all_of(row);
    return run(db,
               "INSERT INTO urls (function, qualifier, id, auth, mode, cors, created_ms, modified_ms)"
               " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
               &p, e);
}

int store_urls_update(struct store_db *db, const struct store_url *row, struct err *e)
{
    const struct parameters p = all_of(row);
    return run(db,
               "UPDATE urls SET auth = ?4, mode = ?5, cors = ?6, created_ms = ?7, modified_ms = ?8"
               " WHERE function = ?1 AND qualifier = ?2 AND id = ?3",
               &p, e);
}

int store_urls_remove(struct store_db *db, const char *function, const char *qualifier, struct err *e)
{
    const struct parameters p = {.texts = {function, qualifier}, .text_count = 2};
    return run(db, "DELETE FROM urls WHERE function = ?1 AND qualifier = ?2", &p, e);
}

int store_policies_load(struct store_db *db, void (*on_policy)(const struct store_policy *row, void *context),
                        void *context, struct err *e)
{
    struct sqlite3_stmt *s;
    bool failed = false;
    int r = prepare(db, "SELECT function, qualifier, revision, statements FROM policies ORDER BY function", &s, e);
    while (r == 0 && store_db_next(s, &failed)) {
        const struct store_policy row = {
            .function = store_db_text(s, 0),
            .qualifier = store_db_text(s, 1),
            .revision = store_db_text(s, 2),
            .statements = store_db_text(s, 3),
        };
        on_policy(&row, context);
    }
    if (r == 0 && failed)
        r = store_db_fail(db, e, "read the stored policies");
    store_db_finalize(&s, 1);
    return r;
}

int store_policies_put(struct store_db *db, const struct store_policy *row, struct err *e)
{
    const struct parameters p = {.texts = {row->function, row->qualifier, row->revision, row->statements},
                                 .text_count = 4};
    return run(db,
               "INSERT INTO policies (function, qualifier, revision, statements) VALUES (?1, ?2, ?3, ?4)"
               " ON CONFLICT (function, qualifier) DO UPDATE SET revision = ?3, statements = ?4",
               &p, e);
}

int store_policies_remove(struct store_db *db, const char *function, const char *qualifier, struct err *e)
{
    const struct parameters p = {.texts = {function, qualifier}, .text_count = 2};
    return run(db, "DELETE FROM policies WHERE function = ?1 AND qualifier = ?2", &p, e);
}
