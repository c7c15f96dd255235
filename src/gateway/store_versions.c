/* SPDX-License-Identifier: Apache-2.0 */
/* What every task here does: prepare its statements, run them, let them go. On the store's thread, but for the *_init and *_fini. */
#include "gateway/store_versions.h"

#include "base/clock.h"
#include "codec/json.h"
#include "gateway/store_work.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- reading one ---- */

enum { READ_ROW, READ_REPLACED, READ_OLDER, READ_STATEMENTS };
static const char *const READ_TEXT[READ_STATEMENTS] = {
    [READ_ROW] = "SELECT number, revision, code, handler, created_ms, code_bytes, settings, current, opt, role FROM"
                 " revisions WHERE function = ?1 AND number = ?2",
    [READ_REPLACED] = "SELECT number FROM revisions WHERE function = ?1 AND number ="
                      " (SELECT replaced FROM revisions WHERE function = ?1 AND current = 1)",
    [READ_OLDER] = "SELECT max(number) FROM revisions WHERE function = ?1 AND number <"
                   " (SELECT number FROM revisions WHERE function = ?1 AND current = 1) AND publication <> 3",
};

void store_version_read_fini(struct store_version_read *q)
{
    buf_fini(&q->row.text);
}

static int keep_text(struct buf *b, struct str text, size_t *ret_at)
{
    *ret_at = b->len;
    int r = buf_add_str(b, text);
    return r < 0 ? r : buf_add(b, "", 1);
}

/* The row's strings outlive the statement. */
static int keep_row(struct store_version_read *q, struct sqlite3_stmt *s)
{
    struct store_revision *r = &q->row.revision;
    struct str settings = store_db_bytes(s, 6);
    size_t at[6];
    int failed = keep_text(&q->row.text, store_db_bytes(s, 1), &at[0]);
    failed = failed < 0 ? failed : keep_text(&q->row.text, store_db_bytes(s, 2), &at[1]);
    failed = failed < 0 ? failed : keep_text(&q->row.text, store_db_bytes(s, 3), &at[2]);
    failed = failed < 0 ? failed : keep_text(&q->row.text, settings, &at[3]);
    failed = failed < 0 ? failed : keep_text(&q->row.text, store_db_bytes(s, 8), &at[4]);
    failed = failed < 0 ? failed : keep_text(&q->row.text, store_db_bytes(s, 9), &at[5]);
    if (failed < 0)
        return failed;
    const char *text = q->row.text.data;
    *r = (struct store_revision){.function = q->function,
                                 .number = store_db_number(s, 0),
                                 .revision = text + at[0],
                                 .code = text + at[1],
                                 .handler = text + at[2],
                                 .created_ms = store_db_number(s, 4),
                                 .code_bytes = store_db_number(s, 5),
                                 .settings = {text + at[3], settings.n},
                                 .current = store_db_number(s, 7) != 0,
                                 .opt = text + at[4],
                                 .role = text + at[5]};
    return 0;
}

static void read_row(struct store_work *w, struct store_version_read *q, uint64_t number)
{
    struct sqlite3_stmt *s = w->s[READ_ROW];
    bool failed = !store_work_bind_version(s, q->function, number);
    if (!failed && store_db_next(s, &failed)) {
        if (keep_row(q, s) < 0)
            err_set(w->error, ENOMEM, "read version %lu", (unsigned long)number);
    } else if (failed) {
        store_db_fail(w->db, w->error, "read the version");
    } else {
        err_say(w->error, ENOENT, "it is not there any more");
    }
    store_db_reset(s);
}

/* What rollback goes to. 0 with the error set: nothing. */
static uint64_t find_before(struct store_work *w, const char *function)
{
    uint64_t number = 0;
    bool found = false;
    bool fine = store_work_bind_version(w->s[READ_REPLACED], function, 0) &&
                store_work_ask_number(w->s[READ_REPLACED], &number, &found);
    if (fine && !found)
        fine = store_work_bind_version(w->s[READ_OLDER], function, 0) &&
               store_work_ask_number(w->s[READ_OLDER], &number, &found);
    if (!fine)
        store_db_fail(w->db, w->error, "look for the version before");
    else if (number == 0)
        err_say(w->error, ENOENT, "no earlier version is kept");
    return fine ? number : 0;
}

static void run_read(struct store_task *t, struct store_db *db)
{
    struct store_version_read *q = (struct store_version_read *)(void *)t;
    struct store_work w;
    if (store_work_begin(&w, t, db, READ_TEXT, READ_STATEMENTS)) {
        uint64_t number = q->number ? q->number : find_before(&w, q->function);
        if (number)
            read_row(&w, q, number);
    }
    store_work_end(&w);
}

void store_version_read_init(struct store_version_read *q, const char *function, uint64_t number)
{
    *q = (struct store_version_read){.task.run = run_read, .number = number};
    store_work_name(q->function, function);
    buf_init(&q->row.text, 0);
}

/* ---- moving $LATEST ---- */

enum { MOVE_FIND, MOVE_UNSET, MOVE_SET, MOVE_STATEMENTS };
static const char *const MOVE_TEXT[MOVE_STATEMENTS] = {
    [MOVE_FIND] = "SELECT number FROM revisions WHERE function = ?1 AND number = ?2",
    [MOVE_UNSET] = "UPDATE revisions SET current = 0 WHERE function = ?1 AND current = 1",
    [MOVE_SET] = "UPDATE revisions SET current = 1 WHERE function = ?1 AND number = ?2",
};

static bool move(struct store_work *w, const struct store_version_move *q)
{
    uint64_t number;
    bool found;
    if (!store_work_bind_version(w->s[MOVE_FIND], q->function, q->number) ||
        !store_work_ask_number(w->s[MOVE_FIND], &number, &found))
        return false;
    if (!found) {
        err_say(w->error, ENOENT, "version %lu is not there any more", (unsigned long)q->number);
        return true;
    }
    return store_work_bind_version(w->s[MOVE_UNSET], q->function, 0) && store_db_finish(w->s[MOVE_UNSET]) &&
           store_work_bind_version(w->s[MOVE_SET], q->function, q->number) && store_db_finish(w->s[MOVE_SET]);
}

/* Ends a transaction that went well, or not, or refused by itself with an error of its own. */
static void run_move(struct store_task *t, struct store_db *db)
{
    struct store_version_move *q = (struct store_version_move *)(void *)t;
    struct store_work w;
    if (store_work_begin(&w, t, db, MOVE_TEXT, MOVE_STATEMENTS)) {
        bool begun = store_db_begin(db);
        store_work_conclude(&w, begun && move(&w, q), "make the version current");
    }
    store_work_end(&w);
}

void store_version_move_init(struct store_version_move *q, const char *function, uint64_t number)
{
    *q = (struct store_version_move){.task.run = run_move, .number = number};
    store_work_name(q->function, function);
}

/* ---- listing ---- */

static const char *const LIST_TEXT[] = {
    "SELECT number, revision, code, created_ms, code_bytes, settings, current, used_ms FROM revisions"
    " WHERE function = ?1 AND publication <> 3 ORDER BY number"};

static void put_time(struct json_writer *w, const char *key, uint64_t real_ms)
{
    char text[CLOCK_RFC3339_MAX];
    clock_format_rfc3339(real_ms, text);
    json_put_text(w, key, real_ms ? text : NULL);
}

/* Of what was given. Settings that can't be read any more are described without. */
static void put_given(struct json_writer *w, struct str settings)
{
    struct json_doc *doc = NULL;
    struct err ignored;
    if (json_parse(settings, JSON_STRICT, &doc, &ignored) < 0)
        return;
    static const char *const keys[] = {"runtime", "description"};
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        if (json_get_text(json_root(doc), keys[i]))
            json_put_text(w, keys[i], json_get_text(json_root(doc), keys[i]));
    json_free(doc);
}

static void put_row(struct json_writer *w, struct sqlite3_stmt *s, const struct store_version_uses *uses)
{
    struct store_version_use use = store_work_find_use(uses, store_db_number(s, 0));
    uint64_t stored_ms = store_db_number(s, 7);
    json_put_object(w, NULL);
    json_put_u64(w, "number", store_db_number(s, 0));
    json_put_bool(w, "current", store_db_number(s, 6) != 0);
    put_time(w, "created", store_db_number(s, 3));
    put_time(w, "used", use.used_ms > stored_ms ? use.used_ms : stored_ms);
    json_put_text(w, "revision", store_db_text(s, 1));
    json_put_text(w, "code", store_db_text(s, 2));
    json_put_u64(w, "code_bytes", store_db_number(s, 4));
    put_given(w, store_db_bytes(s, 5));
    json_put_object_end(w);
}

static void run_list(struct store_task *t, struct store_db *db)
{
    struct store_version_list *q = (struct store_version_list *)(void *)t;
    struct json_writer json;
    struct store_work w;
    bool failed = true;
    json_writer_init(&json, &q->json);
    json_put_array(&json, NULL);
    if (store_work_begin(&w, t, db, LIST_TEXT, 1)) {
        if (store_work_bind_version(w.s[0], q->function, 0))
            while (store_db_next(w.s[0], &failed))
                put_row(&json, w.s[0], &q->uses);
        if (failed)
            store_db_fail(db, &t->error, "read the versions");
    }
    store_work_end(&w);
    json_put_array_end(&json);
    int r = json_writer_end(&json);
    if (r < 0 && t->error.code == 0)
        err_set(&t->error, -r, "describe the versions");
}

int store_version_list_init(struct store_version_list *q, const char *function, const struct versions *v)
{
    *q = (struct store_version_list){.task.run = run_list};
    store_work_name(q->function, function);
    buf_init(&q->json, STORE_VERSIONS_JSON_MAX);
    return store_work_copy_uses(&q->uses, v);
}

void store_version_list_fini(struct store_version_list *q)
{
    buf_fini(&q->json);
    free(q->uses.all);
}

/* ---- aliases ---- */

enum { ALIAS_FUNCTION, ALIAS_NUMBER, ALIAS_THERE, ALIAS_COUNT, ALIAS_PUT, ALIAS_DELETE, ALIAS_STATEMENTS };
static const char *const ALIAS_TEXT[ALIAS_STATEMENTS] = {
    [ALIAS_FUNCTION] = "SELECT number FROM revisions WHERE function = ?1 AND current = 1",
    [ALIAS_NUMBER] = "SELECT number FROM revisions WHERE function = ?1 AND number = ?2"
                     " AND publication IN (0, 2)",
    [ALIAS_THERE] = "SELECT 1 FROM aliases WHERE function = ?1 AND name = ?2",
    [ALIAS_COUNT] = "SELECT count(*) FROM aliases WHERE function = ?1",
    [ALIAS_PUT] = "INSERT OR REPLACE INTO aliases (function, name, number, second, weight, description)"
                  " VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    [ALIAS_DELETE] = "DELETE FROM aliases WHERE function = ?1 AND name = ?2",
};

static bool bind_alias(struct sqlite3_stmt *s, const struct store_alias_change *q)
{
    return store_db_bind_text(s, 1, str_from(q->function)) && store_db_bind_text(s, 2, str_from(q->alias.name));
}

/* False: SQLite failed. Not there: the error says so. */
static bool want_version(struct store_work *w, const struct store_alias_change *q, uint64_t number)
{
    struct sqlite3_stmt *s = w->s[number ? ALIAS_NUMBER : ALIAS_FUNCTION];
    uint64_t ignored;
    bool found;
    if (!store_work_bind_version(s, q->function, number) || !store_work_ask_number(s, &ignored, &found))
        return false;
    if (!found && number)
        err_say(w->error, ENOENT, "version %lu is not there any more", (unsigned long)number);
    else if (!found)
        err_say(w->error, ENOENT, "the function is not there any more");
    return true;
}

static bool want_place(struct store_work *w, const struct store_alias_change *q, bool is_there)
{
    uint64_t count = 0;
    bool found;
    if (is_there)
        return true;
    if (!store_work_bind_version(w->s[ALIAS_COUNT], q->function, 0) ||
        !store_work_ask_number(w->s[ALIAS_COUNT], &count, &found))
        return false;
    if (count >= q->aliases_max)
        err_say(w->error, E2BIG, "it has %lu aliases: the limit 'aliases' allows no more", (unsigned long)count);
    return true;
}

static bool put_alias(struct store_work *w, const struct store_alias_change *q, bool is_there)
{
    struct sqlite3_stmt *s = w->s[ALIAS_PUT];
    const struct versions_alias *a = &q->alias;
    if (!want_version(w, q, a->number) || (a->second && !want_version(w, q, a->second)) || !want_place(w, q, is_there))
        return false;
    return w->error->code || (bind_alias(s, q) && store_db_bind_number(s, 3, a->number) &&
                              store_db_bind_number(s, 4, a->second) && store_db_bind_number(s, 5, a->weight) &&
                              store_db_bind_text(s, 6, str_from(a->description)) && store_db_finish(s));
}

static bool change_alias(struct store_work *w, const struct store_alias_change *q)
{
    uint64_t ignored;
    bool is_there;
    if (!bind_alias(w->s[ALIAS_THERE], q) || !store_work_ask_number(w->s[ALIAS_THERE], &ignored, &is_there))
        return false;
    if (q->alias.number != STORE_ALIAS_REMOVE)
        return put_alias(w, q, is_there);
    if (!is_there)
        err_say(w->error, ENOENT, "there is no alias '%s'", q->alias.name);
    return bind_alias(w->s[ALIAS_DELETE], q) && store_db_finish(w->s[ALIAS_DELETE]);
}

static void run_alias(struct store_task *t, struct store_db *db)
{
    struct store_alias_change *q = (struct store_alias_change *)(void *)t;
    struct store_work w;
    if (store_work_begin(&w, t, db, ALIAS_TEXT, ALIAS_STATEMENTS)) {
        bool begun = store_db_begin(db);
        store_work_conclude(&w, begun && change_alias(&w, q), "store the alias");
    }
    store_work_end(&w);
}

void store_alias_change_init(struct store_alias_change *q, const char *function, const struct versions_alias *a)
{
    *q = (struct store_alias_change){.task.run = run_alias, .alias = *a};
    store_work_name(q->function, function);
}

/* ---- at start ---- */

static const char *const LOAD_TEXT[] = {
    "SELECT function, number, used_ms, publication FROM revisions WHERE publication <> 1 ORDER BY function, number",
    "SELECT function, name, number, second, weight, description FROM aliases"};

static void tell_number(struct sqlite3_stmt *s, const struct store_versions_events *on)
{
    if (store_db_number(s, 3) != STORE_REMOVED)
        on->on_number(store_db_text(s, 0), store_db_number(s, 1), store_db_number(s, 2), on->context);
    else if (on->on_removed)
        on->on_removed(store_db_text(s, 0), store_db_number(s, 1), on->context);
}

static void tell_alias(struct sqlite3_stmt *s, const struct store_versions_events *on)
{
    struct versions_alias a = {
        .number = store_db_number(s, 2), .second = store_db_number(s, 3), .weight = (uint32_t)store_db_number(s, 4)};
    str_copy(store_db_bytes(s, 5), a.description, sizeof(a.description));
    if (str_copy(store_db_bytes(s, 1), a.name, sizeof(a.name)))
        on->on_alias(store_db_text(s, 0), &a, on->context);
}

int store_versions_load(struct store *s, const struct store_versions_events *on, struct err *e)
{
    struct sqlite3_stmt *statements[2] = {NULL};
    struct store_db *db = store_database(s);
    bool failed = false;
    int r = store_db_prepare(db, LOAD_TEXT, 2, statements, e);
    while (r == 0 && store_db_next(statements[0], &failed))
        tell_number(statements[0], on);
    while (r == 0 && !failed && store_db_next(statements[1], &failed))
        tell_alias(statements[1], on);
    if (r == 0 && failed)
        r = store_db_fail(db, e, "read the stored versions");
    store_db_finalize(statements, 2);
    return r;
}
