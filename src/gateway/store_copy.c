/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/store_copy.h"

#include "gateway/store_salvage.h"

#include <errno.h>
#include <sqlite3.h>
#include <stddef.h>

enum { BUSY_MS = 10000 };

static int open_database(const char *path, sqlite3 **ret_db, struct err *e)
{
    /* Writable, because reading what stands in a write-ahead log needs the index beside it, which may have to be made. */
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW;
    if (sqlite3_open_v2(path, ret_db, flags, NULL) == SQLITE_OK) {
        sqlite3_busy_timeout(*ret_db, BUSY_MS);
        return 0;
    }
    return err_say(e, EIO, "open '%s': SQLite: %s", path, *ret_db ? sqlite3_errmsg(*ret_db) : "no memory");
}

int store_copy_database(const char *from, const char *to, struct err *e)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *s = NULL;
    int r = open_database(from, &db, e);
    if (r == 0 && (sqlite3_prepare_v2(db, "VACUUM INTO ?1", -1, &s, NULL) != SQLITE_OK ||
                   sqlite3_bind_text(s, 1, to, -1, SQLITE_STATIC) != SQLITE_OK || sqlite3_step(s) != SQLITE_DONE))
        r = err_say(e, sqlite3_errcode(db) == SQLITE_FULL ? ENOSPC : EIO, "copy '%s': SQLite: %s", from,
                    sqlite3_errmsg(db));
    sqlite3_finalize(s);
    sqlite3_close(db);
    return r;
}

int store_check_database(const char *path, struct err *e)
{
    sqlite3 *db = NULL;
    int r = open_database(path, &db, e);
    if (r == 0)
        r = store_salvage_check(db, e);
    sqlite3_close(db);
    return r < 0 ? err_wrap(e, "'%s'", path) : 0;
}
