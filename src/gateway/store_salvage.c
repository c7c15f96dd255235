/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/store_salvage.h"

#include "base/fmt.h"
#include "codec/config.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PATH_MAX_HERE = CONFIG_PATH_MAX + 64, TABLES_MAX = 64, COLUMNS_MAX = 64, NAME_MAX_HERE = 64, INSERT_MAX = 2048 };

int store_salvage_check(struct sqlite3 *db, struct err *e)
{
    sqlite3_stmt *s = NULL;
    int r = 0;
    const char *text = NULL;
    if (sqlite3_prepare_v2(db, "PRAGMA quick_check(1)", -1, &s, NULL) == SQLITE_OK && sqlite3_step(s) == SQLITE_ROW)
        text = (const char *)sqlite3_column_text(s, 0);
    if (!text)
        r = err_say(e, EUCLEAN, "it can't be checked: SQLite: %s", sqlite3_errmsg(db));
    else if (strcmp(text, "ok") != 0)
        r = err_say(e, EUCLEAN, "it is damaged: %.160s", text);
    sqlite3_finalize(s);
    return r;
}

/* ---- aside ---- */

static void print_aside(const char *path, unsigned number, char out[PATH_MAX_HERE])
{
    if (number == 1)
        fmt_to(out, PATH_MAX_HERE, "%s.damaged", path);
    else
        fmt_to(out, PATH_MAX_HERE, "%s.damaged-%u", path, number);
}

bool store_salvage_is_due(const char *path)
{
    char aside[PATH_MAX_HERE];
    print_aside(path, 1, aside);
    return access(aside, F_OK) == 0;
}

static void print_fresh(const char *path, char out[PATH_MAX_HERE])
{
    fmt_to(out, PATH_MAX_HERE, "%s.salvage", path);
}

static unsigned count_aside(const char *path)
{
    char aside[PATH_MAX_HERE];
    unsigned number = 0;
    for (; number < STORE_SALVAGE_ASIDE_MAX; number++) {
        print_aside(path, number + 1, aside);
        if (access(aside, F_OK) < 0)
            break;
    }
    return number;
}

/* The database first: as long as it stands under its name nothing was decided; once it does not, the new one is whole and the rest is only finished. */
static const char *const SUFFIXES[] = {"", "-wal", "-shm"};
enum { SUFFIX_COUNT = sizeof(SUFFIXES) / sizeof(SUFFIXES[0]) };

static int move_files(const char *path, unsigned number, char *ret_aside, uint64_t cap, struct err *e)
{
    char aside[PATH_MAX_HERE], from[PATH_MAX_HERE], to[PATH_MAX_HERE];
    print_aside(path, number, aside);
    for (unsigned i = 0; i < SUFFIX_COUNT; i++) {
        fmt_to(from, sizeof(from), "%s%s", path, SUFFIXES[i]);
        fmt_to(to, sizeof(to), "%s%s", aside, SUFFIXES[i]);
        if (rename(from, to) < 0 && errno != ENOENT)
            return err_set(e, errno, "set '%s' aside", from);
    }
    fmt_to(ret_aside, cap, "%s", aside);
    return 0;
}

static int take_name(const char *path, struct err *e)
{
    char fresh[PATH_MAX_HERE];
    print_fresh(path, fresh);
    return rename(fresh, path) < 0 ? err_set(e, errno, "rename '%s'", fresh) : 0;
}

int store_salvage_sweep(const char *path, struct err *e)
{
    char fresh[PATH_MAX_HERE], file[PATH_MAX_HERE];
    print_fresh(path, fresh);
    for (unsigned i = 0; i < SUFFIX_COUNT; i++) {
        fmt_to(file, sizeof(file), "%s%s", fresh, SUFFIXES[i]);
        if (unlink(file) < 0 && errno != ENOENT)
            return err_set(e, errno, "remove '%s'", file);
    }
    return 0;
}

int store_salvage_begin(const char *path, char *ret_fresh, uint64_t cap, struct err *e)
{
    char fresh[PATH_MAX_HERE];
    print_fresh(path, fresh);
    int r = store_salvage_sweep(path, e);
    if (r < 0)
        return r;
    if (count_aside(path) == STORE_SALVAGE_ASIDE_MAX)
        return err_say(e, EEXIST, "%d damaged ones stand beside '%s' already", STORE_SALVAGE_ASIDE_MAX, path);
    fmt_to(ret_fresh, cap, "%s", fresh);
    return 0;
}

int store_salvage_replace(const char *path, char *ret_aside, uint64_t cap, struct err *e)
{
    int r = move_files(path, count_aside(path) + 1, ret_aside, cap, e);
    return r < 0 ? r : take_name(path, e);
}

bool store_salvage_is_cut_off(const char *path)
{
    char fresh[PATH_MAX_HERE];
    print_fresh(path, fresh);
    return access(path, F_OK) < 0 && access(fresh, F_OK) == 0 && count_aside(path) > 0;
}

int store_salvage_resume(const char *path, struct err *e)
{
    char aside[PATH_MAX_HERE];
    if (!store_salvage_is_cut_off(path))
        return 0;
    int r = move_files(path, count_aside(path), aside, sizeof(aside), e);
    return r < 0 ? r : take_name(path, e);
}

/* ---- rows ---- */

struct names {
    unsigned count;
    char at[TABLES_MAX][NAME_MAX_HERE];
};

static int list_tables(sqlite3 *db, struct names *ret_names, struct err *e)
{
    static const char text[] =
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'";
    sqlite3_stmt *s = NULL;
    ret_names->count = 0;
    if (sqlite3_prepare_v2(db, text, -1, &s, NULL) != SQLITE_OK)
        return err_say(e, EIO, "list the tables: SQLite: %s", sqlite3_errmsg(db));
    while (ret_names->count < TABLES_MAX && sqlite3_step(s) == SQLITE_ROW)
        fmt_to(ret_names->at[ret_names->count++], NAME_MAX_HERE, "%s", (const char *)sqlite3_column_text(s, 0));
    sqlite3_finalize(s);
    return 0;
}

/* One that no longer fits its table's rules is left out, like one that can't be read. False: the damage was met. */
static bool copy_rows(sqlite3_stmt *from, sqlite3_stmt *to, uint64_t *rows)
{
    int columns = sqlite3_column_count(from);
    int step;
    while ((step = sqlite3_step(from)) == SQLITE_ROW) {
        bool fits = true;
        for (int i = 0; i < columns && fits; i++)
            fits = sqlite3_bind_value(to, i + 1, sqlite3_column_value(from, i)) == SQLITE_OK;
        if (fits && sqlite3_step(to) == SQLITE_DONE)
            *rows += (uint64_t)sqlite3_changes(sqlite3_db_handle(to));
        sqlite3_reset(to);
        sqlite3_clear_bindings(to);
    }
    return step == SQLITE_DONE;
}

/* " ORDER BY "a" DESC, "b" DESC": by the primary key, which is the order on disk. */
static void print_backwards(sqlite3 *db, const char *table, char *out, size_t cap)
{
    sqlite3_stmt *s = NULL;
    size_t n = 0;
    out[0] = '\0';
    if (sqlite3_prepare_v2(db, "SELECT name FROM pragma_table_info(?1) WHERE pk > 0 ORDER BY pk", -1, &s, NULL) ==
            SQLITE_OK &&
        sqlite3_bind_text(s, 1, table, -1, SQLITE_STATIC) == SQLITE_OK)
        while (sqlite3_step(s) == SQLITE_ROW)
            n = fmt_at(out, cap, n, "%s\"%s\" DESC", n ? ", " : " ORDER BY ", (const char *)sqlite3_column_text(s, 0));
    sqlite3_finalize(s);
}

static bool read_table(sqlite3 *from, const char *table, const char *order, sqlite3_stmt *to, uint64_t *rows)
{
    char text[512];
    sqlite3_stmt *read = NULL;
    fmt_to(text, sizeof(text), "SELECT * FROM \"%s\"%s", table, order);
    bool whole = sqlite3_prepare_v2(from, text, -1, &read, NULL) == SQLITE_OK && copy_rows(read, to, rows);
    sqlite3_finalize(read);
    return whole;
}

/* By the names that the damaged one has: one of an older format lacks the newest, and those have defaults. */
static void print_insert(sqlite3_stmt *read, const char *table, char *out, size_t cap)
{
    int columns = sqlite3_column_count(read);
    size_t n = fmt_to(out, cap, "INSERT OR IGNORE INTO \"%s\" (", table);
    for (int i = 0; i < columns && i < COLUMNS_MAX; i++)
        n = fmt_at(out, cap, n, "%s\"%s\"", i ? "," : "", sqlite3_column_name(read, i));
    n = fmt_at(out, cap, n, ") VALUES (");
    for (int i = 0; i < columns && i < COLUMNS_MAX; i++)
        n = fmt_at(out, cap, n, i ? ",?" : "?");
    fmt_at(out, cap, n, ")");
}

/* From both ends, when the damage is met on the way: what lies between is lost. */
static uint64_t copy_table(sqlite3 *to, sqlite3 *from, const char *table)
{
    char text[INSERT_MAX], order[256];
    sqlite3_stmt *read = NULL, *write = NULL;
    uint64_t rows = 0;
    fmt_to(text, sizeof(text), "SELECT * FROM \"%s\"", table);
    if (sqlite3_prepare_v2(from, text, -1, &read, NULL) == SQLITE_OK) {
        print_insert(read, table, text, sizeof(text));
        print_backwards(to, table, order, sizeof(order));
        /* preparing fails where the damaged one names columns that there are not */
        if (sqlite3_prepare_v2(to, text, -1, &write, NULL) == SQLITE_OK && !read_table(from, table, "", write, &rows))
            read_table(from, table, *order ? order : " ORDER BY rowid DESC", write, &rows);
    }
    sqlite3_finalize(read);
    sqlite3_finalize(write);
    return rows;
}

static bool run_text(sqlite3 *db, const char *text)
{
    return !text || sqlite3_exec(db, text, NULL, NULL, NULL) == SQLITE_OK;
}

static bool copy_all(sqlite3 *to, sqlite3 *from, const struct names *tables, const struct store_salvage_texts *texts,
                     uint64_t *ret_rows)
{
    if (!run_text(to, "BEGIN IMMEDIATE") || !run_text(to, texts->before))
        return false;
    /* With writable_schema SQLite reads a file that is shorter than its header says (lockBtree), instead of refusing all of it. */
    run_text(from, "PRAGMA writable_schema = ON; PRAGMA cell_size_check = ON; PRAGMA trusted_schema = OFF");
    for (unsigned i = 0; i < tables->count; i++)
        *ret_rows += copy_table(to, from, tables->at[i]);
    return run_text(to, texts->after) && run_text(to, "COMMIT");
}

int store_salvage_copy(struct sqlite3 *to, const char *path, const struct store_salvage_texts *texts,
                       uint64_t *ret_rows, struct err *e)
{
    sqlite3 *from = NULL;
    struct names tables;
    *ret_rows = 0;
    int r = list_tables(to, &tables, e);
    if (r < 0)
        return r;
    /* Writable: its write-ahead log holds what was committed last, and reading that needs an index beside it. The log itself stays as it is. */
    bool opened = sqlite3_open_v2(path, &from, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW,
                                  NULL) == SQLITE_OK;
    if (opened)
        sqlite3_db_config(from, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    if (!opened || !copy_all(to, from, &tables, texts, ret_rows)) {
        sqlite3 *failed = opened ? to : from;
        bool full = sqlite3_errcode(failed) == SQLITE_FULL;
        r = err_say(e, full ? ENOSPC : EIO, "keep what can be read of '%s': SQLite: %s", path, sqlite3_errmsg(failed));
    }
    sqlite3_close(from);
    return r;
}
