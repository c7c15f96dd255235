/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One SQLite database in WAL mode with synchronous=FULL, so that what was committed survives a power cut; what the modules that keep rows in it (store_*.c, each
 * with the statements of its own tables) share. One thread at a time. Errors are errnos: ENOSPC for a full disk, EIO for a broken one, EUCLEAN for a damaged file, EEXIST
 * for a row that is there already.
 */
#ifndef FAASD_GATEWAY_STORE_DB_H
#define FAASD_GATEWAY_STORE_DB_H

#include "base/err.h"
#include "base/str.h"
#include "gateway/store_salvage.h"

#include <stdbool.h>
#include <stdint.h>

struct store_db;
struct sqlite3_stmt;

struct store_db_format {
    const char *name; /* of the file, in the directory */
    const char *const *
        steps; /* entry N brings a database from format N to N + 1; PRAGMA user_version holds the format. Never changed once released. */
    int count;
    int cache_kib;
    bool
        salvage; /* checked when it is opened (reads all of it), and what is damaged is replaced by what can be read of it */
    int64_t check_bytes_max; /* a larger one is not read through, only what is seen at once is salvaged; 0 = any size */
    struct store_salvage_texts salvage_texts;
    bool
        is_born_whole; /* it gets its name when it is complete: one that is empty, or without a format, was emptied and is damaged */
    const char *salvage_advice; /* what the log says of one that was salvaged, behind a semicolon */
    int log_pages; /* the write-ahead log is written back at this many, and keeps its place on the disk; 0 = SQLite's 1000, then cut to 1 MiB */
};

/* Opens or makes DIR/NAME and brings it to this program's format, all or nothing; one of an older format is kept beside it first, as NAME.format-N.
 * EPROTO: a newer program wrote it. Logs what was salvaged. */
int store_db_open(struct store_db **ret_db, const char *dir, const struct store_db_format *format, struct err *e);
/* What can be read of DIR/NAME, which is known to be damaged (-EUCLEAN) and is not open, takes its place; the log says so. *damage: how that showed. On failure nothing has changed. */
int store_db_salvage(const char *dir, const struct store_db_format *format, const struct err *damage, struct err *e);
/* Rows are probably missing: a damaged file of this database stands beside it. What only rows tell to be in use must not be thrown away. */
bool store_db_is_salvaged(const struct store_db *db);
/* A damaged one of that name was set aside, as of the last time it was opened. From any thread. */
bool store_db_stands_aside(const char *name);
/* After every statement was finalized. NULL is fine. */
void store_db_close(struct store_db *db);

/* Fills statements[0..count). Finalize them all, NULLs included, whatever the outcome. */
int store_db_prepare(struct store_db *db, const char *const *texts, int count, struct sqlite3_stmt **statements,
                     struct err *e);
void store_db_finalize(struct sqlite3_stmt **statements, int count);

/* What SQLite says went wrong last: -errno. */
int store_db_fail(struct store_db *db, struct err *e, const char *what);

/* A transaction, BEGIN IMMEDIATE. False: it failed, ask store_db_fail(). Rolling back what SQLite has rolled back by itself is fine. */
bool store_db_begin(struct store_db *db);
bool store_db_commit(struct store_db *db);
void store_db_rollback(struct store_db *db);

/* Parameters from 1 on, borrowed until store_db_finish() or store_db_reset(). */
bool store_db_bind_text(struct sqlite3_stmt *s, int index, struct str text);
bool store_db_bind_blob(struct sqlite3_stmt *s, int index, struct str bytes);
bool store_db_bind_number(struct sqlite3_stmt *s, int index, uint64_t value); /* at most INT64_MAX */

/* One step: true when there is a row. False with *ret_failed for anything but the end. */
bool store_db_next(struct sqlite3_stmt *s, bool *ret_failed);
/* Ready for the next use; parameters are let go. */
void store_db_reset(struct sqlite3_stmt *s);
/* For a statement without rows: step, reset. */
bool store_db_finish(struct sqlite3_stmt *s);

/* Columns from 0 on, of the row at hand; valid until the next step. NULL reads as "". */
const char *store_db_text(struct sqlite3_stmt *s, int column);
struct str store_db_bytes(struct sqlite3_stmt *s, int column); /* text or blob with its length */
uint64_t store_db_number(struct sqlite3_stmt *s, int column);

#endif
