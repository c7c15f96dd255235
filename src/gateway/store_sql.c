/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/store_sql.h"

#include "base/fdio.h"
#include "base/fmt.h"

#include <assert.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <string.h>

/* Entry N brings a database from format N to N + 1; PRAGMA user_version holds the format. Entries are never changed once released. */
static const char *const MIGRATIONS[] = {
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
};

enum {
    FORMAT = sizeof(MIGRATIONS) / sizeof(MIGRATIONS[0]),
    APPLICATION_ID = 0x66616173, /* "faas": what file(1) and a curious person see */
};

enum statement {
    BEGIN,
    COMMIT,
    ROLLBACK,
    UNSET_CURRENT,
    INSERT,
    FORGET_OLD,
    DELETE_FUNCTION,
    HAS_CODE,
    HAS_FUNCTION,
    STATEMENTS
};

static const char *const STATEMENT_TEXT[STATEMENTS] = {
    [BEGIN] = "BEGIN IMMEDIATE",
    [COMMIT] = "COMMIT",
    [ROLLBACK] = "ROLLBACK",
    [UNSET_CURRENT] = "UPDATE revisions SET current = 0 WHERE function = ?1 AND current = 1",
    [INSERT] =
        "INSERT INTO revisions (function, number, revision, code, handler, created_ms, code_bytes, settings, current)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 1)",
    [FORGET_OLD] = "DELETE FROM revisions WHERE function = ?1 AND current = 0 AND number NOT IN"
                   " (SELECT number FROM revisions WHERE function = ?1 ORDER BY number DESC LIMIT ?2)",
    [DELETE_FUNCTION] = "DELETE FROM revisions WHERE function = ?1",
    [HAS_CODE] = "SELECT 1 FROM revisions WHERE code = ?1 LIMIT 1",
    [HAS_FUNCTION] = "SELECT 1 FROM revisions WHERE function = ?1 LIMIT 1",
};

struct store_sql {
    sqlite3 *db;
    sqlite3_stmt *statements[STATEMENTS];
};

static int errno_of(sqlite3 *db)
{
    switch (sqlite3_errcode(db)) {
    case SQLITE_FULL:
        return ENOSPC;
    case SQLITE_NOMEM:
        return ENOMEM;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return EBUSY;
    case SQLITE_CONSTRAINT:
        return EEXIST;
    case SQLITE_READONLY:
        return EROFS;
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN: {
        int cause = sqlite3_system_errno(db);
        return cause == ENOSPC || cause == EDQUOT || cause == EACCES ? cause : EIO;
    }
    default:
        return EIO;
    }
}

static int fail(struct store_sql *q, struct err *e, const char *what)
{
    return err_say(e, errno_of(q->db), "%s: SQLite: %s", what, sqlite3_errmsg(q->db));
}

/* ---- opening ---- */

static int run(struct store_sql *q, const char *sql, struct err *e)
{
    if (sqlite3_exec(q->db, sql, NULL, NULL, NULL) != SQLITE_OK)
        return fail(q, e, "prepare the database");
    return 0;
}

static int read_format(struct store_sql *q, int *ret_format, struct err *e)
{
    sqlite3_stmt *s = NULL;
    int r = 0;
    if (sqlite3_prepare_v2(q->db, "PRAGMA user_version", -1, &s, NULL) != SQLITE_OK || sqlite3_step(s) != SQLITE_ROW)
        r = fail(q, e, "read the database's format");
    else
        *ret_format = sqlite3_column_int(s, 0);
    sqlite3_finalize(s);
    return r;
}

static int migrate(struct store_sql *q, struct err *e)
{
    int format = 0;
    int r = read_format(q, &format, e);
    if (r < 0)
        return r;
    if (format < 0 || format > FORMAT)
        return err_say(e, EPROTO,
                       "the database has format %d, this program knows up to %d: it was written by a newer faasd",
                       format, FORMAT);
    if (format == FORMAT)
        return 0;
    char tail[128];
    fmt_to(tail, sizeof(tail), "PRAGMA application_id = %d; PRAGMA user_version = %d; COMMIT;", APPLICATION_ID, FORMAT);
    r = run(q, "BEGIN EXCLUSIVE", e);
    for (int i = format; r == 0 && i < FORMAT; i++)
        r = run(q, MIGRATIONS[i], e);
    if (r == 0)
        r = run(q, tail, e);
    if (r < 0)
        sqlite3_exec(q->db, "ROLLBACK", NULL, NULL, NULL);
    return r;
}

/* The cache is small because rows are read once, at start. */
static const char PRAGMAS[] = "PRAGMA journal_mode = WAL;"
                              "PRAGMA synchronous = FULL;"
                              "PRAGMA cache_size = -128;"
                              "PRAGMA mmap_size = 0;"
                              "PRAGMA temp_store = MEMORY;"
                              "PRAGMA trusted_schema = OFF;"
                              "PRAGMA journal_size_limit = 1048576;";

static int prepare_all(struct store_sql *q, struct err *e)
{
    for (int i = 0; i < STATEMENTS; i++)
        if (sqlite3_prepare_v3(q->db, STATEMENT_TEXT[i], -1, SQLITE_PREPARE_PERSISTENT, &q->statements[i], NULL) !=
            SQLITE_OK)
            return fail(q, e, "prepare the database");
    return 0;
}

/* A new file's name must be as durable as what is committed to it. */
static int sync_dir(const char *dir, struct err *e)
{
    scoped_fd fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) < 0)
        return err_set(e, errno, "sync '%s'", dir);
    return 0;
}

static int open_at(struct store_sql *q, const char *dir, const char *path, struct err *e)
{
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW;
    if (sqlite3_open_v2(path, &q->db, flags, NULL) != SQLITE_OK)
        return q->db ? fail(q, e, "open the database") : err_set(e, ENOMEM, "open the database");
    sqlite3_extended_result_codes(q->db, 0);
    sqlite3_db_config(q->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    /* 120 KiB of small blocks kept ready would be resident for a handful of statements a day. */
    sqlite3_db_config(q->db, SQLITE_DBCONFIG_LOOKASIDE, NULL, 0, 0);
    sqlite3_busy_timeout(q->db, 2000);
    int r = run(q, PRAGMAS, e);
    if (r == 0)
        r = migrate(q, e);
    if (r == 0)
        r = prepare_all(q, e);
    return r == 0 ? sync_dir(dir, e) : r;
}

int store_sql_open(struct store_sql **ret_sql, const char *dir, struct err *e)
{
    char path[CONFIG_PATH_MAX + 16];
    struct store_sql *q = calloc(1, sizeof(*q));
    if (!q)
        return err_set(e, ENOMEM, "open the database");
    fmt_to(path, sizeof(path), "%s/faasd.db", dir);
    int r = open_at(q, dir, path, e);
    if (r < 0) {
        store_sql_close(q);
        return err_wrap(e, "'%s'", path);
    }
    *ret_sql = q;
    return 0;
}

void store_sql_close(struct store_sql *q)
{
    if (!q)
        return;
    for (int i = 0; i < STATEMENTS; i++)
        sqlite3_finalize(q->statements[i]);
    sqlite3_close(q->db);
    free(q);
}

/* ---- statements ---- */

static sqlite3_stmt *begin(struct store_sql *q, enum statement which)
{
    sqlite3_reset(q->statements[which]);
    return q->statements[which];
}

/* SQLITE_ROW or SQLITE_DONE, or the error; parameters are borrowed, so they are let go. */
static int finish(sqlite3_stmt *s)
{
    int r = sqlite3_step(s);
    sqlite3_reset(s);
    sqlite3_clear_bindings(s);
    return r;
}

static bool bind_text(sqlite3_stmt *s, int index, struct str text)
{
    return sqlite3_bind_text64(s, index, text.n ? text.p : "", text.n, SQLITE_STATIC, SQLITE_UTF8) == SQLITE_OK;
}

static bool bind_number(sqlite3_stmt *s, int index, uint64_t value)
{
    assert(value <= INT64_MAX);
    return sqlite3_bind_int64(s, index, (sqlite3_int64)value) == SQLITE_OK;
}

static bool run_plain(struct store_sql *q, enum statement which)
{
    return finish(begin(q, which)) == SQLITE_DONE;
}

static bool run_on_function(struct store_sql *q, enum statement which, const char *function)
{
    sqlite3_stmt *s = begin(q, which);
    return bind_text(s, 1, str_from(function)) && finish(s) == SQLITE_DONE;
}

static bool insert(struct store_sql *q, const struct store_revision *r)
{
    sqlite3_stmt *s = begin(q, INSERT);
    return bind_text(s, 1, str_from(r->function)) && bind_number(s, 2, r->number) &&
           bind_text(s, 3, str_from(r->revision)) && bind_text(s, 4, str_from(r->code)) &&
           bind_text(s, 5, str_from(r->handler)) && bind_number(s, 6, r->created_ms) &&
           bind_number(s, 7, r->code_bytes) && bind_text(s, 8, r->settings) && finish(s) == SQLITE_DONE;
}

static bool forget_old(struct store_sql *q, const char *function, unsigned keep)
{
    sqlite3_stmt *s = begin(q, FORGET_OLD);
    return bind_text(s, 1, str_from(function)) && bind_number(s, 2, keep) && finish(s) == SQLITE_DONE;
}

int store_sql_put(struct store_sql *q, const struct store_revision *r, unsigned keep, struct err *e)
{
    bool begun = run_plain(q, BEGIN);
    /* Rows that stand in a first deploy's way could not be read when the registry was loaded: nothing serves from them. */
    bool cleared = begun && (r->number != 1 || run_on_function(q, DELETE_FUNCTION, r->function));
    if (cleared && run_on_function(q, UNSET_CURRENT, r->function) && insert(q, r) && forget_old(q, r->function, keep) &&
        run_plain(q, COMMIT))
        return 0;
    int result = fail(q, e, "store the revision");
    /* SQLite has rolled back by itself after some errors; the second time is then refused, which is as good. */
    if (begun)
        run_plain(q, ROLLBACK);
    return result;
}

int store_sql_delete(struct store_sql *q, const char *function, struct err *e)
{
    if (run_on_function(q, DELETE_FUNCTION, function))
        return 0;
    return fail(q, e, "remove the function");
}

static bool has(struct store_sql *q, enum statement which, const char *text)
{
    sqlite3_stmt *s = begin(q, which);
    return !bind_text(s, 1, str_from(text)) || finish(s) != SQLITE_DONE;
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

static const char LOAD[] =
    "SELECT function, number, revision, code, handler, created_ms, code_bytes, settings, current FROM revisions"
    " ORDER BY function, number";

static const char *text_at(sqlite3_stmt *s, int column)
{
    const char *text = (const char *)sqlite3_column_text(s, column);
    return text ? text : "";
}

static struct store_revision row(sqlite3_stmt *s)
{
    struct store_revision r = {
        .function = text_at(s, 0),
        .number = (uint64_t)sqlite3_column_int64(s, 1),
        .revision = text_at(s, 2),
        .code = text_at(s, 3),
        .handler = text_at(s, 4),
        .created_ms = (uint64_t)sqlite3_column_int64(s, 5),
        .code_bytes = (uint64_t)sqlite3_column_int64(s, 6),
        .current = sqlite3_column_int(s, 8) != 0,
    };
    r.settings = str_from(text_at(s, 7));
    return r;
}

int store_sql_load(struct store_sql *q, int (*on_revision)(const struct store_revision *r, void *context),
                   void *context, struct err *e)
{
    sqlite3_stmt *s = NULL;
    if (sqlite3_prepare_v2(q->db, LOAD, -1, &s, NULL) != SQLITE_OK)
        return fail(q, e, "read the stored functions");
    int r = 0;
    int step;
    while ((step = sqlite3_step(s)) == SQLITE_ROW) {
        struct store_revision revision = row(s);
        r = on_revision(&revision, context);
        if (r < 0)
            break;
    }
    if (r < 0)
        err_say(e, -r, "the function '%s' could not be taken over from the database", text_at(s, 0));
    else if (step != SQLITE_DONE)
        r = fail(q, e, "read the stored functions");
    sqlite3_finalize(s);
    return r;
}
