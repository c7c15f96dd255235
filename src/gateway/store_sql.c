/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/store_sql.h"

#include <errno.h>
#include <stdlib.h>

/* See struct store_db_format: one entry a format. */
static const char *const STEPS[] = {
    "CREATE TABLE revisions ("
    " function TEXT NOT NULL,"
    " number INTEGER NOT NULL CHECK (number > 0),"
    " revision TEXT NOT NULL,"
    " code TEXT NOT NULL,"
    " handler TEXT NOT NULL,"
    " created_ms INTEGER NOT NULL,"
    " code_bytes INTEGER NOT NULL,"
    " settings TEXT NOT NULL,"
    " current INTEGER NOT NULL CHECK (current IN (0, 1)),"
    " PRIMARY KEY (function, number)"
    ") STRICT, WITHOUT ROWID;"
    "CREATE UNIQUE INDEX revisions_current ON revisions (function) WHERE current = 1;"
    "CREATE INDEX revisions_code ON revisions (code);",
    "CREATE TABLE secrets ("
    " name TEXT NOT NULL PRIMARY KEY,"
    " key TEXT NOT NULL,"
    " sealed BLOB NOT NULL,"
    " created_ms INTEGER NOT NULL,"
    " updated_ms INTEGER NOT NULL"
    ") STRICT;",
    /* replaced: the number that was current when this one was deployed, 0 = none or unknown. second: 0 = none; weight: millionths of the requests that go there. */
    "ALTER TABLE revisions ADD COLUMN used_ms INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE revisions ADD COLUMN replaced INTEGER NOT NULL DEFAULT 0;"
    "CREATE TABLE aliases ("
    " function TEXT NOT NULL,"
    " name TEXT NOT NULL,"
    " number INTEGER NOT NULL CHECK (number >= 0),"
    " second INTEGER NOT NULL CHECK (second >= 0),"
    " weight INTEGER NOT NULL CHECK (weight BETWEEN 0 AND 1000000),"
    " PRIMARY KEY (function, name)"
    ") STRICT, WITHOUT ROWID;",
    "CREATE TABLE tokens ("
    " id TEXT NOT NULL PRIMARY KEY,"
    " name TEXT NOT NULL,"
    " scopes TEXT NOT NULL,"
    " digest BLOB NOT NULL UNIQUE,"
    " sealed BLOB NOT NULL,"
    " created_ms INTEGER NOT NULL,"
    " expires_ms INTEGER NOT NULL"
    ") STRICT, WITHOUT ROWID;",
    /* qualifier: an alias, of policies also a version's number; "" = the function itself. */
    "CREATE TABLE urls ("
    " function TEXT NOT NULL,"
    " qualifier TEXT NOT NULL,"
    " id TEXT NOT NULL UNIQUE,"
    " auth TEXT NOT NULL,"
    " mode TEXT NOT NULL,"
    " cors TEXT NOT NULL,"
    " created_ms INTEGER NOT NULL,"
    " modified_ms INTEGER NOT NULL,"
    " PRIMARY KEY (function, qualifier)"
    ") STRICT, WITHOUT ROWID;"
    "CREATE TABLE policies ("
    " function TEXT NOT NULL,"
    " qualifier TEXT NOT NULL,"
    " revision TEXT NOT NULL,"
    " statements TEXT NOT NULL,"
    " PRIMARY KEY (function, qualifier)"
    ") STRICT, WITHOUT ROWID;",
    /* publication: enum store_publication. attributes: JSON of what another API keeps with a revision, "" = nothing. */
    "ALTER TABLE revisions ADD COLUMN publication INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE revisions ADD COLUMN attributes TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE aliases ADD COLUMN description TEXT NOT NULL DEFAULT '';",
    /* opt: the tree at /opt; "" = none. role: what Lambda's API was told, "" = nothing. Of layers, attributes: what their publisher said; removed ones keep their number from being given
     * again. function_options: what Lambda's API keeps for its clients and nothing here acts on, by its kind. */
    "ALTER TABLE revisions ADD COLUMN opt TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE revisions ADD COLUMN role TEXT NOT NULL DEFAULT '';"
    "UPDATE revisions SET role = coalesce(json_extract(attributes, '$.Role'), '') WHERE json_valid(attributes);"
    "CREATE INDEX revisions_opt ON revisions (opt);"
    "CREATE TABLE layers ("
    " name TEXT NOT NULL,"
    " number INTEGER NOT NULL CHECK (number > 0),"
    " code TEXT NOT NULL,"
    " code_bytes INTEGER NOT NULL,"
    " created_ms INTEGER NOT NULL,"
    " attributes TEXT NOT NULL,"
    " policy TEXT NOT NULL DEFAULT '',"
    " policy_revision TEXT NOT NULL DEFAULT '',"
    " removed INTEGER NOT NULL DEFAULT 0 CHECK (removed IN (0, 1)),"
    " PRIMARY KEY (name, number)"
    ") STRICT, WITHOUT ROWID;"
    "CREATE INDEX layers_code ON layers (code);"
    "CREATE TABLE function_options ("
    " function TEXT NOT NULL,"
    " kind TEXT NOT NULL,"
    " qualifier TEXT NOT NULL,"
    " value TEXT NOT NULL,"
    " PRIMARY KEY (function, kind, qualifier)"
    ") STRICT, WITHOUT ROWID;"
    "CREATE TABLE event_sources ("
    " id TEXT NOT NULL PRIMARY KEY,"
    " function TEXT NOT NULL,"
    " modified_ms INTEGER NOT NULL,"
    " value TEXT NOT NULL"
    ") STRICT, WITHOUT ROWID;",
    /* What is said of a number or an alias goes with it, whoever deletes that; a version that becomes a draft (1) or is removed (3) has no number any more. A replaced row is not deleted.
     * async_configs: retries and max_age_s are 1 more, 0 = not said. tags: a JSON object. */
    "CREATE TABLE concurrency (function TEXT NOT NULL PRIMARY KEY, reserved INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE TABLE provisioned ("
    " function TEXT NOT NULL,"
    " qualifier TEXT NOT NULL,"
    " count INTEGER NOT NULL CHECK (count > 0),"
    " modified_ms INTEGER NOT NULL,"
    " PRIMARY KEY (function, qualifier)"
    ") STRICT, WITHOUT ROWID;"
    "CREATE TABLE async_configs ("
    " function TEXT NOT NULL,"
    " qualifier TEXT NOT NULL,"
    " on_success TEXT NOT NULL,"
    " on_failure TEXT NOT NULL,"
    " retries INTEGER NOT NULL,"
    " max_age_s INTEGER NOT NULL,"
    " modified_ms INTEGER NOT NULL,"
    " PRIMARY KEY (function, qualifier)"
    ") STRICT, WITHOUT ROWID;"
    "CREATE TABLE tags (function TEXT NOT NULL PRIMARY KEY, tags TEXT NOT NULL) STRICT, WITHOUT ROWID;"
    "CREATE TRIGGER alias_gone AFTER DELETE ON aliases BEGIN"
    " DELETE FROM provisioned WHERE function = OLD.function AND qualifier = OLD.name;"
    " DELETE FROM async_configs WHERE function = OLD.function AND qualifier = OLD.name;"
    " END;"
    "CREATE TRIGGER version_gone AFTER DELETE ON revisions BEGIN"
    " DELETE FROM provisioned WHERE function = OLD.function AND qualifier = CAST(OLD.number AS TEXT);"
    " DELETE FROM async_configs WHERE function = OLD.function AND qualifier = CAST(OLD.number AS TEXT);"
    " END;"
    "CREATE TRIGGER version_removed AFTER UPDATE OF publication ON revisions WHEN NEW.publication IN (1, 3) BEGIN"
    " DELETE FROM provisioned WHERE function = OLD.function AND qualifier = CAST(OLD.number AS TEXT);"
    " DELETE FROM async_configs WHERE function = OLD.function AND qualifier = CAST(OLD.number AS TEXT);"
    " END;",
};

/* The cache is small because rows are read once, at start. */
static const struct store_db_format FORMAT = {
    .name = STORE_SQL_FILE,
    .steps = STEPS,
    .count = sizeof(STEPS) / sizeof(STEPS[0]),
    .cache_kib = 128,
    .salvage = true,
    .salvage_advice =
        "restore a backup, or deploy again what is missing and remove that file: until then no code is thrown away"};

enum statement {
    UNSET_CURRENT,
    DELETE_DRAFTS,
    INSERT,
    DELETE_FUNCTION,
    DELETE_ALIASES,
    DELETE_URLS,
    DELETE_POLICIES,
    DELETE_OPTIONS,
    DELETE_CONCURRENCY,
    DELETE_PROVISIONED,
    DELETE_ASYNC_CONFIGS,
    DELETE_TAGS,
    HAS_CODE,
    HAS_FUNCTION,
    LOAD,
    STATEMENTS
};

static const char *const STATEMENT_TEXT[STATEMENTS] = {
    [UNSET_CURRENT] = "UPDATE revisions SET current = 0 WHERE function = ?1 AND current = 1",
    /* Drafts have no number that anybody was told: a later revision takes it. So do deleted ones, once a higher number is there to count on from. */
    [DELETE_DRAFTS] = "DELETE FROM revisions WHERE function = ?1 AND publication IN (1, 3) AND number <> ?2",
    /* Only a draft's number is given again: any other is NULL here, which no row may have. A draft in a draft's place follows what that followed. Attributes that are not given stay; what tells of code and description, only as long as that is true. */
    [INSERT] = "INSERT OR REPLACE INTO revisions (function, number, revision, code, handler, created_ms, code_bytes,"
               " settings, current, replaced, publication, attributes, opt, role)"
               " VALUES (?1, CASE WHEN EXISTS (SELECT 1 FROM revisions WHERE function = ?1 AND number = ?2"
               " AND publication <> 1) THEN NULL ELSE ?2 END, ?3, ?4, ?5, ?6, ?7, ?8, 1, CASE WHEN ?9 <> ?2 THEN ?9 "
               "ELSE coalesce((SELECT replaced"
               " FROM revisions WHERE function = ?1 AND number = ?2), 0) END, ?10, CASE WHEN ?11 <> '' THEN ?11 ELSE"
               " coalesce((SELECT CASE WHEN code = ?4 THEN json_remove(attributes, '$.Description')"
               " ELSE json_remove(attributes, '$.Description', '$.CodeSha256', '$.CodeSize') END FROM revisions"
               " WHERE function = ?1 AND number = ?9 AND json_valid(attributes)), '') END, ?12, ?13)",
    [DELETE_FUNCTION] = "DELETE FROM revisions WHERE function = ?1",
    [DELETE_ALIASES] = "DELETE FROM aliases WHERE function = ?1",
    [DELETE_URLS] = "DELETE FROM urls WHERE function = ?1",
    [DELETE_POLICIES] = "DELETE FROM policies WHERE function = ?1",
    [DELETE_OPTIONS] = "DELETE FROM function_options WHERE function = ?1",
    [DELETE_CONCURRENCY] = "DELETE FROM concurrency WHERE function = ?1",
    [DELETE_PROVISIONED] = "DELETE FROM provisioned WHERE function = ?1",
    [DELETE_ASYNC_CONFIGS] = "DELETE FROM async_configs WHERE function = ?1",
    [DELETE_TAGS] = "DELETE FROM tags WHERE function = ?1",
    [HAS_CODE] = ("SELECT 1 FROM revisions WHERE code = ?1 UNION ALL SELECT 1 FROM revisions WHERE opt = ?1"
                  " UNION ALL SELECT 1 FROM layers WHERE code = ?1 LIMIT 1"),
    [HAS_FUNCTION] = "SELECT 1 FROM revisions WHERE function = ?1 LIMIT 1",
    [LOAD] =
        ("SELECT function, number, revision, code, handler, created_ms, code_bytes, settings, current, opt, role FROM"
         " revisions ORDER BY function, number"),
};

struct store_sql {
    struct store_db *db;
    struct sqlite3_stmt *statements[STATEMENTS];
};

int store_sql_open(struct store_sql **ret_sql, const char *dir, struct err *e)
{
    struct store_sql *q = calloc(1, sizeof(*q));
    if (!q)
        return err_set(e, ENOMEM, "open the database");
    int r = store_db_open(&q->db, dir, &FORMAT, e);
    if (r == 0)
        r = store_db_prepare(q->db, STATEMENT_TEXT, STATEMENTS, q->statements, e);
    if (r < 0) {
        store_sql_close(q);
        return r;
    }
    *ret_sql = q;
    return 0;
}

void store_sql_close(struct store_sql *q)
{
    if (!q)
        return;
    store_db_finalize(q->statements, STATEMENTS);
    store_db_close(q->db);
    free(q);
}

struct store_db *store_sql_db(struct store_sql *q)
{
    return q->db;
}

/* ---- statements ---- */

static bool run_on_function(struct store_sql *q, enum statement which, const char *function)
{
    struct sqlite3_stmt *s = q->statements[which];
    return store_db_bind_text(s, 1, str_from(function)) && store_db_finish(s);
}

static bool insert(struct store_sql *q, const struct store_revision *r)
{
    struct sqlite3_stmt *s = q->statements[INSERT];
    return store_db_bind_text(s, 1, str_from(r->function)) && store_db_bind_number(s, 2, r->number) &&
           store_db_bind_text(s, 3, str_from(r->revision)) && store_db_bind_text(s, 4, str_from(r->code)) &&
           store_db_bind_text(s, 5, str_from(r->handler)) && store_db_bind_number(s, 6, r->created_ms) &&
           store_db_bind_number(s, 7, r->code_bytes) && store_db_bind_text(s, 8, r->settings) &&
           store_db_bind_number(s, 9, r->replaced) && store_db_bind_number(s, 10, (uint64_t)r->publication) &&
           store_db_bind_text(s, 11, r->attributes) && store_db_bind_text(s, 12, str_from(r->opt ? r->opt : "")) &&
           store_db_bind_text(s, 13, str_from(r->role ? r->role : "")) && store_db_finish(s);
}

static bool clear(struct store_sql *q, const char *function)
{
    static const enum statement all[] = {DELETE_FUNCTION, DELETE_ALIASES,     DELETE_URLS,        DELETE_POLICIES,
                                         DELETE_OPTIONS,  DELETE_CONCURRENCY, DELETE_PROVISIONED, DELETE_ASYNC_CONFIGS,
                                         DELETE_TAGS,     DELETE_OPTIONS};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        if (!run_on_function(q, all[i], function))
            return false;
    return true;
}

static bool delete_drafts(struct store_sql *q, const struct store_revision *r)
{
    struct sqlite3_stmt *s = q->statements[DELETE_DRAFTS];
    return store_db_bind_text(s, 1, str_from(r->function)) && store_db_bind_number(s, 2, r->number) &&
           store_db_finish(s);
}

int store_sql_put(struct store_sql *q, const struct store_revision *r, struct err *e)
{
    bool begun = store_db_begin(q->db);
    /* Rows that stand in a first deploy's way could not be read when the registry was loaded: nothing serves from them. */
    bool is_first = r->number == 1 && r->replaced == 0;
    bool cleared = begun && (is_first ? clear(q, r->function) : delete_drafts(q, r));
    if (cleared && run_on_function(q, UNSET_CURRENT, r->function) && insert(q, r) && store_db_commit(q->db))
        return 0;
    int result = store_db_fail(q->db, e, "store the revision");
    if (begun)
        store_db_rollback(q->db);
    return result;
}

int store_sql_delete(struct store_sql *q, const char *function, struct err *e)
{
    bool begun = store_db_begin(q->db);
    if (begun && clear(q, function) && store_db_commit(q->db))
        return 0;
    int result = store_db_fail(q->db, e, "remove the function");
    if (begun)
        store_db_rollback(q->db);
    return result;
}

static bool has(struct store_sql *q, enum statement which, const char *text)
{
    struct sqlite3_stmt *s = q->statements[which];
    bool failed = true;
    bool found = store_db_bind_text(s, 1, str_from(text)) && store_db_next(s, &failed);
    store_db_reset(s);
    return found || failed;
}

bool store_sql_has_code(struct store_sql *q, const char *code)
{
    return has(q, HAS_CODE, code);
}

bool store_sql_has_function(struct store_sql *q, const char *function)
{
    return has(q, HAS_FUNCTION, function);
}

/* ---- loading ---- */

static struct store_revision row(struct sqlite3_stmt *s)
{
    return (struct store_revision){
        .function = store_db_text(s, 0),
        .number = store_db_number(s, 1),
        .revision = store_db_text(s, 2),
        .code = store_db_text(s, 3),
        .handler = store_db_text(s, 4),
        .created_ms = store_db_number(s, 5),
        .code_bytes = store_db_number(s, 6),
        .settings = str_from(store_db_text(s, 7)),
        .current = store_db_number(s, 8) != 0,
        .opt = store_db_text(s, 9),
        .role = store_db_text(s, 10),
    };
}

int store_sql_load(struct store_sql *q, int (*on_revision)(const struct store_revision *r, void *context),
                   void *context, struct err *e)
{
    struct sqlite3_stmt *s = q->statements[LOAD];
    bool failed;
    int r = 0;
    while (r == 0 && store_db_next(s, &failed)) {
        struct store_revision revision = row(s);
        r = on_revision(&revision, context);
        if (r < 0)
            err_say(e, -r, "the function '%s' could not be taken over from the database", revision.function);
    }
    if (r == 0 && failed)
        r = store_db_fail(q->db, e, "read the stored functions");
    store_db_reset(s);
    return r;
}
