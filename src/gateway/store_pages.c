/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/store_pages.h"

#include "gateway/store_controls.h"
#include "gateway/store_work.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

/* ---- reading ---- */

#define COLUMNS                                                                                                        \
    "function, number, revision, code, handler, created_ms, code_bytes, settings, attributes, publication, opt, role"

/* The first needs no sorting: the index of current revisions is in name order. */
static const char *const LATEST_TEXT[] = {"SELECT " COLUMNS ", 0 FROM revisions WHERE current = 1 AND function >= ?1"
                                          " AND (?3 = '' OR function = ?3) AND ?2 >= 0 ORDER BY function LIMIT ?4"};
static const char *const ALL_TEXT[] = {
    "SELECT " COLUMNS ", n FROM (SELECT *, 0 AS n FROM revisions WHERE current = 1 UNION ALL"
    " SELECT *, number AS n FROM revisions WHERE publication IN (0, 2))"
    " WHERE (function > ?1 OR (function = ?1 AND n >= ?2)) AND (?3 = '' OR function = ?3) ORDER BY function, n LIMIT "
    "?4"};

enum { TEXTS = 8 };
static const int TEXT_COLUMNS[TEXTS] = {0, 2, 3, 4, 7, 8, 10, 11};

static int keep_text(struct buf *b, struct str text)
{
    int r = buf_add_str(b, text);
    return r < 0 ? r : buf_add(b, "", 1);
}

/* The strings are found when all are there: the buffer moves as it grows. Their lengths stand in the row meanwhile. */
static int keep_row(struct store_page *p, struct sqlite3_stmt *s, size_t lengths[TEXTS])
{
    struct store_page_row *row = &p->rows[p->count];
    int r = 0;
    for (unsigned i = 0; r == 0 && i < TEXTS; i++) {
        struct str text = store_db_bytes(s, TEXT_COLUMNS[i]);
        lengths[i] = text.n;
        r = keep_text(&p->text, text);
    }
    row->revision = (struct store_revision){.number = store_db_number(s, 1),
                                            .created_ms = store_db_number(s, 5),
                                            .code_bytes = store_db_number(s, 6),
                                            .publication = (enum store_publication)store_db_number(s, 9)};
    row->shown = store_db_number(s, 12);
    row->revision.current = row->shown == 0;
    p->count += r == 0;
    return r;
}

static void find_texts(struct store_page *p, size_t (*lengths)[TEXTS])
{
    const char *at = p->text.data;
    for (unsigned i = 0; i < p->count; i++) {
        struct str texts[TEXTS];
        for (unsigned k = 0; k < TEXTS; k++) {
            texts[k] = (struct str){at, lengths[i][k]};
            at += lengths[i][k] + 1;
        }
        struct store_revision *r = &p->rows[i].revision;
        r->function = texts[0].p;
        r->revision = texts[1].p;
        r->code = texts[2].p;
        r->handler = texts[3].p;
        r->settings = texts[4];
        r->attributes = texts[5];
        r->opt = texts[6].p;
        r->role = texts[7].p;
    }
}

static void run_page(struct store_task *t, struct store_db *db)
{
    struct store_page *p = (struct store_page *)(void *)t;
    size_t lengths[STORE_PAGE_ROWS_MAX][TEXTS] = {{0}};
    struct store_work w;
    bool failed = true;
    assert(p->most <= STORE_PAGE_ROWS_MAX);
    if (store_work_begin(&w, t, db, p->latest_only ? LATEST_TEXT : ALL_TEXT, 1)) {
        struct sqlite3_stmt *s = w.s[0];
        bool bound = store_db_bind_text(s, 1, str_from(p->from)) && store_db_bind_number(s, 2, p->from_number) &&
                     store_db_bind_text(s, 3, str_from(p->function)) && store_db_bind_number(s, 4, p->most);
        while (bound && p->count < p->most && store_db_next(s, &failed)) {
            if (keep_row(p, s, lengths[p->count]) < 0) {
                err_set(&t->error, ENOMEM, "read the functions");
                break;
            }
        }
        if (failed && t->error.code == 0)
            store_db_fail(db, &t->error, "read the functions");
        store_db_reset(s);
    }
    store_work_end(&w);
    if (p->with_tags && p->count && t->error.code == 0)
        store_tags_read(db, p->function, &p->tags, &t->error);
    find_texts(p, lengths);
}

void store_page_init(struct store_page *p)
{
    *p = (struct store_page){.task.run = run_page, .most = STORE_PAGE_ROWS_MAX};
    buf_init(&p->text, 0);
    buf_init(&p->tags, 0);
}

void store_page_fini(struct store_page *p)
{
    buf_fini(&p->text);
    buf_fini(&p->tags);
}

/* ---- one version ---- */

enum { FIND, PUBLISH, REMOVE, STATEMENTS };
static const char *const TEXT[STATEMENTS] = {
    [FIND] = "SELECT current FROM revisions WHERE function = ?1 AND number = ?2 AND (?3 = 0 OR created_ms = ?3)",
    [PUBLISH] = "UPDATE revisions SET publication = 2, attributes = ?3 WHERE function = ?1 AND number = ?2",
    /* As $LATEST it stays, as a draft. */
    [REMOVE] = "UPDATE revisions SET publication = CASE current WHEN 1 THEN 1 ELSE 3 END,"
               " code = CASE current WHEN 1 THEN code ELSE '' END, opt = CASE current WHEN 1 THEN opt ELSE '' END,"
               " settings = CASE current WHEN 1 THEN settings ELSE '{}' END"
               " WHERE function = ?1 AND number = ?2",
};

static bool change(struct store_work *w, const struct store_publish *p)
{
    uint64_t current = 0;
    bool found;
    if (!store_work_bind_version(w->s[FIND], p->function, p->number) ||
        !store_db_bind_number(w->s[FIND], 3, p->created_ms) || !store_work_ask_number(w->s[FIND], &current, &found))
        return false;
    if (!found || (!p->removes && !current)) {
        err_say(w->error, ENOENT, "it has changed meanwhile");
        return true;
    }
    struct sqlite3_stmt *s = w->s[p->removes ? REMOVE : PUBLISH];
    return store_work_bind_version(s, p->function, p->number) &&
           (p->removes || store_db_bind_text(s, 3, buf_str(&p->attributes))) && store_db_finish(s);
}

static void run_publish(struct store_task *t, struct store_db *db)
{
    struct store_publish *p = (struct store_publish *)(void *)t;
    struct store_work w;
    if (store_work_begin(&w, t, db, TEXT, STATEMENTS)) {
        bool begun = store_db_begin(db);
        store_work_conclude(&w, begun && change(&w, p), "change the version");
    }
    store_work_end(&w);
}

void store_publish_init(struct store_publish *p, const char *function, uint64_t number)
{
    *p = (struct store_publish){.task.run = run_publish, .number = number};
    store_work_name(p->function, function);
    buf_init(&p->attributes, 0);
}

void store_publish_fini(struct store_publish *p)
{
    buf_fini(&p->attributes);
}
