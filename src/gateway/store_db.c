/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/store_db.h"

#include "base/fdio.h"
#include "base/fmt.h"
#include "base/log.h"
#include "codec/config.h"
#include "gateway/store_lock.h"

#include <assert.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    APPLICATION_ID = 0x66616173, /* "faas": what file(1) and a curious person see */
    LOG_FRAME_BYTES = 4096 + 24, /* a page in the write-ahead log */
};

enum { BEGIN, COMMIT, ROLLBACK, STATEMENTS };
static const char *const STATEMENT_TEXT[STATEMENTS] = {
    [BEGIN] = "BEGIN IMMEDIATE", [COMMIT] = "COMMIT", [ROLLBACK] = "ROLLBACK"};

struct store_db {
    sqlite3 *handle;
    sqlite3_stmt *statements[STATEMENTS];
    bool salvaged;
    bool is_new; /* not under its name yet */
};

/* The names of those that stand aside, by bits: told by whichever thread opened them. */
static const char *const NAMES[] = {"faasd.db", "calls.db", "records.db"};
enum { NAME_COUNT = sizeof(NAMES) / sizeof(NAMES[0]) };
static atomic_uint standing_aside;

static unsigned bit_of(const char *name)
{
    for (unsigned i = 0; i < NAME_COUNT; i++)
        if (strcmp(NAMES[i], name) == 0)
            return 1u << i;
    return 0;
}

bool store_db_stands_aside(const char *name)
{
    return atomic_load(&standing_aside) & bit_of(name);
}

/* Why a flush failed. SQLite asks errno when the statement is over, and a rollback has called the kernel since: what the file itself keeps is the cause. In WAL
 * mode its "journal" is the log. */
static int flush_errno(sqlite3 *handle)
{
    sqlite3_file *file = NULL;
    int cause = 0;
    if (sqlite3_file_control(handle, "main", SQLITE_FCNTL_JOURNAL_POINTER, &file) == SQLITE_OK && file &&
        file->pMethods)
        file->pMethods->xFileControl(file, SQLITE_FCNTL_LAST_ERRNO, &cause);
    if (!cause)
        sqlite3_file_control(handle, "main", SQLITE_FCNTL_LAST_ERRNO, &cause);
    return cause;
}

static int io_errno(sqlite3 *handle)
{
    int cause =
        sqlite3_extended_errcode(handle) == SQLITE_IOERR_FSYNC ? flush_errno(handle) : sqlite3_system_errno(handle);
    return cause == ENOSPC || cause == EDQUOT || cause == EACCES ? cause : EIO;
}

static int errno_of(sqlite3 *handle)
{
    switch (sqlite3_errcode(handle)) {
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
    case SQLITE_CANTOPEN:
        return io_errno(handle);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return EUCLEAN;
    default:
        return EIO;
    }
}

int store_db_fail(struct store_db *db, struct err *e, const char *what)
{
    int error = errno_of(db->handle);
    bool full = error == ENOSPC || error == EDQUOT; /* of a flush SQLite says "disk I/O error" */
    return err_say(e, error, "%s: SQLite: %s", what, full ? sqlite3_errstr(SQLITE_FULL) : sqlite3_errmsg(db->handle));
}

/* ---- opening ---- */

static int run(struct store_db *db, const char *sql, struct err *e)
{
    if (sqlite3_exec(db->handle, sql, NULL, NULL, NULL) != SQLITE_OK)
        return store_db_fail(db, e, "prepare the database");
    return 0;
}

static int read_format(struct store_db *db, int *ret_format, struct err *e)
{
    sqlite3_stmt *s = NULL;
    int r = 0;
    if (sqlite3_prepare_v2(db->handle, "PRAGMA user_version", -1, &s, NULL) != SQLITE_OK ||
        sqlite3_step(s) != SQLITE_ROW)
        r = store_db_fail(db, e, "read the database's format");
    else
        *ret_format = sqlite3_column_int(s, 0);
    sqlite3_finalize(s);
    return r;
}

/* A whole copy, complete under its name or not there. */
static int keep_old(struct store_db *db, const char *path, int format, struct err *e)
{
    char kept[CONFIG_PATH_MAX + 64], fresh[sizeof(kept) + 8], text[sizeof(fresh) + 32];
    fmt_to(kept, sizeof(kept), "%s.format-%d", path, format);
    fmt_to(fresh, sizeof(fresh), "%s.new", kept);
    if (unlink(fresh) < 0 && errno != ENOENT)
        return err_set(e, errno, "remove '%s'", fresh);
    sqlite3_stmt *s = NULL;
    fmt_to(text, sizeof(text), "VACUUM INTO ?1");
    bool done = sqlite3_prepare_v2(db->handle, text, -1, &s, NULL) == SQLITE_OK &&
                sqlite3_bind_text(s, 1, fresh, -1, SQLITE_STATIC) == SQLITE_OK && sqlite3_step(s) == SQLITE_DONE;
    sqlite3_finalize(s);
    if (!done)
        return store_db_fail(db, e, "keep a copy of the former format");
    scoped_fd fd = open(fresh, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) < 0 || rename(fresh, kept) < 0)
        return err_set(e, errno, "keep '%s'", kept);
    return 0;
}

static int migrate(struct store_db *db, const char *path, const struct store_db_format *to, struct err *e)
{
    int format = 0;
    int r = read_format(db, &format, e);
    if (r < 0)
        return r;
    if (format == 0 && to->is_born_whole && !db->is_new)
        return err_say(e, EUCLEAN, "it was emptied: nothing tells its format");
    if (format < 0 || format > to->count)
        return err_say(e, EPROTO,
                       "the database has format %d, this program knows up to %d: it was written by a newer faasd",
                       format, to->count);
    if (format == to->count)
        return 0;
    r = format > 0 ? keep_old(db, path, format, e) : 0;
    if (r < 0)
        return r;
    char tail[128];
    fmt_to(tail, sizeof(tail), "PRAGMA application_id = %d; PRAGMA user_version = %d; COMMIT;", APPLICATION_ID,
           to->count);
    r = run(db, "BEGIN EXCLUSIVE", e);
    for (int i = format; r == 0 && i < to->count; i++)
        r = run(db, to->steps[i], e);
    if (r == 0)
        r = run(db, tail, e);
    if (r < 0)
        sqlite3_exec(db->handle, "ROLLBACK", NULL, NULL, NULL);
    return r;
}

static const char PRAGMAS[] = "PRAGMA journal_mode = WAL;"
                              "PRAGMA synchronous = FULL;"
                              "PRAGMA mmap_size = 0;"
                              "PRAGMA temp_store = MEMORY;"
                              "PRAGMA trusted_schema = OFF;";

/* A new file's name must be as durable as what is committed to it. */
static int sync_dir(const char *dir, struct err *e)
{
    scoped_fd fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) < 0)
        return err_set(e, errno, "sync '%s'", dir);
    return 0;
}

static bool is_to_be_checked(const char *path, const struct store_db_format *format)
{
    struct stat st;
    return format->check_bytes_max == 0 || (stat(path, &st) == 0 && st.st_size <= format->check_bytes_max);
}

static int open_at(struct store_db *db, const char *dir, const char *path, const struct store_db_format *format,
                   struct err *e)
{
    char sizes[160];
    int pages = format->log_pages ? format->log_pages : 1000;
    long limit = format->log_pages ? (long)pages * LOG_FRAME_BYTES : 1 << 20;
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW;
    store_lock_prepare();
    if (sqlite3_open_v2(path, &db->handle, flags, NULL) != SQLITE_OK)
        return db->handle ? store_db_fail(db, e, "open the database") : err_set(e, ENOMEM, "open the database");
    sqlite3_extended_result_codes(db->handle, 0);
    sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    /* 120 KiB of small blocks kept ready would be resident for a handful of statements a day. */
    sqlite3_db_config(db->handle, SQLITE_DBCONFIG_LOOKASIDE, NULL, 0, 0);
    sqlite3_busy_timeout(db->handle, 2000);
    fmt_to(sizes, sizeof(sizes),
           "PRAGMA cache_size = -%d; PRAGMA wal_autocheckpoint = %d; PRAGMA journal_size_limit = %ld;",
           format->cache_kib, pages, limit);
    int r = run(db, PRAGMAS, e);
    if (r == 0)
        r = run(db, sizes, e);
    if (r == 0 && format->salvage && is_to_be_checked(path, format))
        r = store_salvage_check(db->handle, e);
    if (r == 0)
        r = migrate(db, path, format, e);
    if (r == 0)
        r = store_db_prepare(db, STATEMENT_TEXT, STATEMENTS, db->statements, e);
    return r == 0 ? sync_dir(dir, e) : r;
}

static void close_handle(struct store_db *db)
{
    store_db_finalize(db->statements, STATEMENTS);
    sqlite3_close(db->handle);
    db->handle = NULL;
}

/* The new one, complete and closed: nothing of it is left in a write-ahead log. `path`: what is to be read from; NULL = nothing. */
static int make_whole(const char *dir, const char *fresh, const char *path, const struct store_db_format *format,
                      uint64_t *ret_rows, struct err *e)
{
    char log[CONFIG_PATH_MAX + 64];
    struct store_db to = {.handle = NULL, .is_new = true};
    fmt_to(log, sizeof(log), "%s-wal", fresh);
    int r = open_at(&to, dir, fresh, format, e);
    if (r == 0 && path)
        r = store_salvage_copy(to.handle, path, &format->salvage_texts, ret_rows, e);
    close_handle(&to);
    if (r == 0 && access(log, F_OK) == 0)
        r = err_say(e, EIO, "'%s' could not be written back", log);
    return r;
}

/* Of a file of zero bytes SQLite would make a new database, and remove the log beside it. */
static bool has_bytes(const char *path)
{
    struct stat st;
    return stat(path, &st) < 0 ? errno != ENOENT : st.st_size > 0;
}

int store_db_salvage(const char *dir, const struct store_db_format *format, const struct err *damage, struct err *e)
{
    char path[CONFIG_PATH_MAX + 32], fresh[sizeof(path) + 16], aside[sizeof(path) + 32];
    uint64_t rows = 0;
    struct err unused;
    fmt_to(path, sizeof(path), "%s/%s", dir, format->name);
    int r = store_salvage_begin(path, fresh, sizeof(fresh), e);
    if (r == 0)
        r = make_whole(dir, fresh, has_bytes(path) ? path : NULL, format, &rows, e);
    if (r == 0)
        r = store_salvage_replace(path, aside, sizeof(aside), e);
    if (r < 0) {
        store_salvage_sweep(path, &unused);
        return err_wrap(e, "it is damaged (%.200s)", damage->text);
    }
    log_error("the database '%s' is damaged (%s): %lu rows of it could be read and are used; it is kept as '%s'%s%s",
              path, damage->text, (unsigned long)rows, aside, format->salvage_advice ? "; " : "",
              format->salvage_advice ? format->salvage_advice : "");
    *e = (struct err){.code = 0};
    return sync_dir(dir, e);
}

/* There is no file of that name, or one without a byte. Ours come to be under another: such a one, or a log without its database, is what is left of one. */
static int bear(const char *dir, const char *path, const struct store_db_format *format, struct err *e)
{
    char log[CONFIG_PATH_MAX + 64], fresh[CONFIG_PATH_MAX + 64];
    fmt_to(log, sizeof(log), "%s-wal", path);
    bool has_log = access(log, F_OK) == 0 && has_bytes(log);
    if (access(path, F_OK) == 0)
        return err_say(e, EUCLEAN, "it was emptied: it has no byte%s", has_log ? ", though its log has" : "");
    if (has_log) {
        /* so that what is set aside has its database's name; from now on as above */
        scoped_fd fd = open(path, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
        return fd < 0 ? err_set(e, errno, "make '%s'", path)
                      : err_say(e, EUCLEAN, "it is gone, though its log is there");
    }
    int r = store_salvage_begin(path, fresh, sizeof(fresh), e);
    if (r == 0)
        r = make_whole(dir, fresh, NULL, format, NULL, e);
    if (r == 0 && rename(fresh, path) < 0)
        r = err_set(e, errno, "rename '%s'", fresh);
    return r == 0 ? sync_dir(dir, e) : r;
}

int store_db_open(struct store_db **ret_db, const char *dir, const struct store_db_format *format, struct err *e)
{
    char path[CONFIG_PATH_MAX + 32];
    struct err ignored;
    struct store_db *db = calloc(1, sizeof(*db));
    if (!db)
        return err_set(e, ENOMEM, "open the database");
    fmt_to(path, sizeof(path), "%s/%s", dir, format->name);
    int r = store_salvage_resume(path, e);
    if (r == 0 && format->is_born_whole && !has_bytes(path))
        r = bear(dir, path, format, e);
    if (r == 0)
        r = open_at(db, dir, path, format, e);
    if (r == -EUCLEAN && format->salvage) {
        struct err damage = *e;
        close_handle(db);
        r = store_db_salvage(dir, format, &damage, e);
        if (r == 0)
            r = open_at(db, dir, path, format, e);
    }
    if (r == 0)
        store_salvage_sweep(path,
                            &ignored); /* what can't be removed is in nobody's way: each attempt begins with this */
    db->salvaged = store_salvage_is_due(path);
    if (db->salvaged)
        atomic_fetch_or(&standing_aside, bit_of(format->name));
    else
        atomic_fetch_and(&standing_aside, ~bit_of(format->name));
    if (r < 0) {
        store_db_close(db);
        return err_wrap(e, "'%s'", path);
    }
    *ret_db = db;
    return 0;
}

bool store_db_is_salvaged(const struct store_db *db)
{
    return db->salvaged;
}

void store_db_close(struct store_db *db)
{
    if (!db)
        return;
    close_handle(db);
    free(db);
}

int store_db_prepare(struct store_db *db, const char *const *texts, int count, struct sqlite3_stmt **statements,
                     struct err *e)
{
    for (int i = 0; i < count; i++)
        if (sqlite3_prepare_v3(db->handle, texts[i], -1, SQLITE_PREPARE_PERSISTENT, &statements[i], NULL) != SQLITE_OK)
            return store_db_fail(db, e, "prepare the database");
    return 0;
}

void store_db_finalize(struct sqlite3_stmt **statements, int count)
{
    for (int i = 0; i < count; i++) {
        sqlite3_finalize(statements[i]);
        statements[i] = NULL;
    }
}

/* ---- transactions ---- */

bool store_db_begin(struct store_db *db)
{
    return store_db_finish(db->statements[BEGIN]);
}

bool store_db_commit(struct store_db *db)
{
    return store_db_finish(db->statements[COMMIT]);
}

void store_db_rollback(struct store_db *db)
{
    store_db_finish(db->statements[ROLLBACK]);
}

/* ---- statements ---- */

bool store_db_bind_text(struct sqlite3_stmt *s, int index, struct str text)
{
    return sqlite3_bind_text64(s, index, text.n ? text.p : "", text.n, SQLITE_STATIC, SQLITE_UTF8) == SQLITE_OK;
}

bool store_db_bind_blob(struct sqlite3_stmt *s, int index, struct str bytes)
{
    return sqlite3_bind_blob64(s, index, bytes.n ? bytes.p : "", bytes.n, SQLITE_STATIC) == SQLITE_OK;
}

bool store_db_bind_number(struct sqlite3_stmt *s, int index, uint64_t value)
{
    assert(value <= INT64_MAX);
    return sqlite3_bind_int64(s, index, (sqlite3_int64)value) == SQLITE_OK;
}

bool store_db_next(struct sqlite3_stmt *s, bool *ret_failed)
{
    int step = sqlite3_step(s);
    *ret_failed = step != SQLITE_ROW && step != SQLITE_DONE;
    return step == SQLITE_ROW;
}

void store_db_reset(struct sqlite3_stmt *s)
{
    sqlite3_reset(s);
    sqlite3_clear_bindings(s);
}

bool store_db_finish(struct sqlite3_stmt *s)
{
    int step = sqlite3_step(s);
    store_db_reset(s);
    return step == SQLITE_DONE;
}

const char *store_db_text(struct sqlite3_stmt *s, int column)
{
    const char *text = (const char *)sqlite3_column_text(s, column);
    return text ? text : "";
}

struct str store_db_bytes(struct sqlite3_stmt *s, int column)
{
    const char *bytes = sqlite3_column_blob(s, column);
    int n = sqlite3_column_bytes(s, column);
    return bytes && n > 0 ? (struct str){bytes, (size_t)n} : (struct str){"", 0};
}

uint64_t store_db_number(struct sqlite3_stmt *s, int column)
{
    sqlite3_int64 value = sqlite3_column_int64(s, column);
    return value > 0 ? (uint64_t)value : 0;
}
