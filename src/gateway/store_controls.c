/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/store_controls.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

/* All of this is rare: statements are prepared when they are needed. */

enum { TEXTS_MAX = 4, NUMBERS_MAX = 3 };

/* Texts, and numbers behind them, from ?1 on. */
struct parameters {
    struct str texts[TEXTS_MAX];
    unsigned text_count;
    uint64_t numbers[NUMBERS_MAX];
    unsigned number_count;
};

static int prepare(struct store_db *db, const char *text, struct sqlite3_stmt **ret_statement, struct err *e)
{
    *ret_statement = NULL;
    return store_db_prepare(db, &text, 1, ret_statement, e);
}

static bool bind(struct sqlite3_stmt *s, const struct parameters *p)
{
    bool good = true;
    for (unsigned i = 0; good && i < p->text_count; i++)
        good = store_db_bind_text(s, (int)i + 1, p->texts[i]);
    for (unsigned i = 0; good && i < p->number_count; i++)
        good = store_db_bind_number(s, (int)(p->text_count + i) + 1, p->numbers[i]);
    return good;
}

static int run(struct store_db *db, const char *text, const struct parameters *p, struct err *e)
{
    struct sqlite3_stmt *s;
    int r = prepare(db, text, &s, e);
    if (r == 0 && !(bind(s, p) && store_db_finish(s)))
        r = store_db_fail(db, e, "change what is stored of a function");
    store_db_finalize(&s, 1);
    return r;
}

/* Of a statement that ends in RETURNING or selects: is there a row? Its first column, where `out` is given, is appended to that. */
static int ask(struct store_db *db, const char *text, const struct parameters *p, struct buf *out, struct err *e)
{
    struct sqlite3_stmt *s;
    bool failed = true, found = false;
    int r = prepare(db, text, &s, e);
    if (r == 0 && bind(s, p))
        found = store_db_next(s, &failed);
    if (r == 0 && !found && failed)
        r = store_db_fail(db, e, "change what is stored of a function");
    if (r == 0 && !found)
        r = err_say(e, ENOENT, "it was removed meanwhile");
    if (r == 0 && out && buf_add_str(out, store_db_bytes(s, 0)) < 0)
        r = err_set(e, ENOMEM, "read what is stored of a function");
    while (r == 0 && found && store_db_next(s, &failed))
        ;
    if (r == 0 && failed)
        r = store_db_fail(db, e, "change what is stored of a function");
    store_db_finalize(&s, 1);
    return r;
}

#define OF_FUNCTION "FROM revisions WHERE function = ?1 AND current = 1"
/* Drafts and removed versions have no number that names them. */
#define QUALIFIER_IS_THERE                                                                                             \
    "AND (?2 = '$LATEST' OR EXISTS (SELECT 1 FROM aliases WHERE function = ?1 AND name = ?2)"                          \
    " OR EXISTS (SELECT 1 FROM revisions WHERE function = ?1 AND CAST(number AS TEXT) = ?2"                            \
    " AND publication IN (0, 2)))"

/* ---- reserved concurrency ---- */

int store_limit_put(struct store_db *db, const char *function, uint64_t limit, struct err *e)
{
    const struct parameters p = {{str_from(function)}, 1, {limit}, 1};
    return ask(db,
               "INSERT INTO concurrency (function, reserved) SELECT ?1, ?2 " OF_FUNCTION
               " ON CONFLICT (function) DO UPDATE SET reserved = excluded.reserved RETURNING 1",
               &p, NULL, e);
}

int store_limit_remove(struct store_db *db, const char *function, struct err *e)
{
    const struct parameters p = {.texts = {str_from(function)}, .text_count = 1};
    return run(db, "DELETE FROM concurrency WHERE function = ?1", &p, e);
}

/* ---- provisioned concurrency ---- */

int store_provisioned_put(struct store_db *db, const struct store_provisioned *row, struct err *e)
{
    const struct parameters p = {
        {str_from(row->function), str_from(row->qualifier)}, 2, {row->count, row->modified_ms}, 2};
    return ask(db,
               "INSERT INTO provisioned (function, qualifier, count, modified_ms) SELECT ?1, ?2, ?3, ?4 " OF_FUNCTION
               " " QUALIFIER_IS_THERE " ON CONFLICT (function, qualifier) DO UPDATE SET count = excluded.count,"
               " modified_ms = excluded.modified_ms RETURNING 1",
               &p, NULL, e);
}

int store_provisioned_remove(struct store_db *db, const char *function, const char *qualifier, struct err *e)
{
    const struct parameters p = {.texts = {str_from(function), str_from(qualifier)}, .text_count = 2};
    return run(db, "DELETE FROM provisioned WHERE function = ?1 AND qualifier = ?2", &p, e);
}

/* ---- asynchronous calls ---- */

/* Numbers are stored as 1 more: 0 = not said. */
int store_async_put(struct store_db *db, const char *function, const struct async_config *c, struct err *e)
{
    const struct parameters p = {
        {str_from(function), str_from(c->qualifier), str_from(c->on_success), str_from(c->on_failure)},
        4,
        {(uint64_t)(c->retries + 1), (uint64_t)(c->max_age_s + 1), c->modified_ms},
        3};
    return ask(
        db,
        "INSERT INTO async_configs (function, qualifier, on_success, on_failure, retries, max_age_s, modified_ms)"
        " SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7 " OF_FUNCTION " " QUALIFIER_IS_THERE
        " ON CONFLICT (function, qualifier) DO UPDATE SET on_success = excluded.on_success, on_failure ="
        " excluded.on_failure, retries = excluded.retries, max_age_s = excluded.max_age_s, modified_ms ="
        " excluded.modified_ms RETURNING 1",
        &p, NULL, e);
}

int store_async_remove(struct store_db *db, const char *function, const char *qualifier, struct err *e)
{
    const struct parameters p = {.texts = {str_from(function), str_from(qualifier)}, .text_count = 2};
    return run(db, "DELETE FROM async_configs WHERE function = ?1 AND qualifier = ?2", &p, e);
}

/* ---- tags ---- */

/* Those that the function was made with stand among its attributes, until the first change. */
#define TAGS_NOW                                                                                                       \
    "coalesce((SELECT tags FROM tags WHERE function = ?1), CASE WHEN json_valid(attributes) THEN"                      \
    " json_extract(attributes, '$.Tags') END, '{}')"

static int count_tags(struct store_db *db, const char *function, uint64_t *ret_count, struct err *e)
{
    const struct parameters p = {.texts = {str_from(function)}, .text_count = 1};
    struct buf text;
    buf_init(&text, 0);
    int r = ask(db, "SELECT count(*) FROM tags, json_each(tags.tags) WHERE function = ?1", &p, &text, e);
    if (r == 0 && !str_to_u64(buf_str(&text), ret_count))
        *ret_count = 0;
    buf_fini(&text);
    return r;
}

int store_tags_patch(struct store_db *db, const char *function, struct str patch, struct err *e)
{
    const struct parameters p = {.texts = {str_from(function), patch}, .text_count = 2};
    uint64_t count = 0;
    if (!store_db_begin(db))
        return store_db_fail(db, e, "change a function's tags");
    int r = ask(db,
                "INSERT INTO tags (function, tags) SELECT ?1, json_patch(" TAGS_NOW ", ?2) " OF_FUNCTION
                " ON CONFLICT (function) DO UPDATE SET tags = excluded.tags RETURNING 1",
                &p, NULL, e);
    if (r == 0)
        r = count_tags(db, function, &count, e);
    if (r == 0 && count > STORE_TAGS_MAX)
        r = err_say(e, E2BIG, "a function has at most %d tags", STORE_TAGS_MAX);
    if (r == 0 && !store_db_commit(db))
        r = store_db_fail(db, e, "change a function's tags");
    if (r < 0)
        store_db_rollback(db);
    return r;
}

int store_tags_read(struct store_db *db, const char *function, struct buf *out, struct err *e)
{
    const struct parameters p = {.texts = {str_from(function)}, .text_count = 1};
    return ask(db, "SELECT " TAGS_NOW " " OF_FUNCTION, &p, out, e);
}

/* ---- at start ---- */

static void tell_limit(struct sqlite3_stmt *s, const struct store_controls_events *on)
{
    on->on_limit(store_db_text(s, 0), store_db_number(s, 1), on->context);
}

static void tell_provisioned(struct sqlite3_stmt *s, const struct store_controls_events *on)
{
    const struct store_provisioned row = {.function = store_db_text(s, 0),
                                          .qualifier = store_db_text(s, 1),
                                          .count = store_db_number(s, 2),
                                          .modified_ms = store_db_number(s, 3)};
    on->on_provisioned(&row, on->context);
}

/* What is too long for its place was never written. */
static void tell_async(struct sqlite3_stmt *s, const struct store_controls_events *on)
{
    struct async_config c = {.retries = (int)store_db_number(s, 4) - 1,
                             .max_age_s = (int)store_db_number(s, 5) - 1,
                             .modified_ms = store_db_number(s, 6)};
    if (str_copy(str_from(store_db_text(s, 1)), c.qualifier, sizeof(c.qualifier)) &&
        str_copy(str_from(store_db_text(s, 2)), c.on_success, sizeof(c.on_success)) &&
        str_copy(str_from(store_db_text(s, 3)), c.on_failure, sizeof(c.on_failure)))
        on->on_async(store_db_text(s, 0), &c, on->context);
}

int store_controls_load(struct store_db *db, const struct store_controls_events *on, struct err *e)
{
    static const struct {
        const char *text;
        void (*tell)(struct sqlite3_stmt *s, const struct store_controls_events *on);
    } parts[] = {
        {"SELECT function, reserved FROM concurrency", tell_limit},
        {"SELECT function, qualifier, count, modified_ms FROM provisioned", tell_provisioned},
        {"SELECT function, qualifier, on_success, on_failure, retries, max_age_s, modified_ms FROM async_configs",
         tell_async},
    };
    int r = 0;
    for (size_t i = 0; r == 0 && i < sizeof(parts) / sizeof(parts[0]); i++) {
        struct sqlite3_stmt *s;
        bool failed = false;
        r = prepare(db, parts[i].text, &s, e);
        while (r == 0 && store_db_next(s, &failed))
            parts[i].tell(s, on);
        if (r == 0 && failed)
            r = store_db_fail(db, e, "read what is stored of concurrency and asynchronous calls");
        store_db_finalize(&s, 1);
    }
    return r;
}
