/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What can still be read of a damaged database. Its rows are copied into a new one of today's format (NAME.salvage), table by table, as far as each can be read; when that is whole
 * and durable, the damaged files are set aside (NAME.damaged, the write-ahead log with them, never deleted by us) and the new one takes their name. Cut off anywhere, it is begun again
 * or finished by the next opening: there is no moment at which an empty one stands under the name.
 */
#ifndef FAASD_GATEWAY_STORE_SALVAGE_H
#define FAASD_GATEWAY_STORE_SALVAGE_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct sqlite3;

enum { STORE_SALVAGE_ASIDE_MAX = 9 }; /* damaged ones kept beside: more is a broken disk, and a person's matter */

/* PRAGMA quick_check. -EUCLEAN with what it says; another -errno when it could not be asked. */
int store_salvage_check(struct sqlite3 *db, struct err *e);

/* Removes what an attempt that was cut off has left. Not before PATH is whole, or known not to be: it may be what belongs there. */
int store_salvage_sweep(const char *path, struct err *e);

/* Where the rows go meanwhile. Files that an earlier attempt left under that name are removed. */
int store_salvage_begin(const char *path, char *ret_fresh, uint64_t cap, struct err *e);

/* Run before and after the rows are copied, in the same transaction; NULL = nothing. */
struct store_salvage_texts {
    const char *before, *after;
};
/* Copies into `to`, which has its tables and no rows, as one transaction. PATH is only read. How many rows. */
int store_salvage_copy(struct sqlite3 *to, const char *path, const struct store_salvage_texts *texts,
                       uint64_t *ret_rows, struct err *e);

/* `to` is closed and durable: PATH, PATH-wal and PATH-shm become PATH.damaged... (".damaged-2" and so on for later ones), PATH.salvage becomes PATH. */
int store_salvage_replace(const char *path, char *ret_aside, uint64_t cap, struct err *e);
/* A replacement was cut off: nothing stands at PATH, and what does belong there stands beside. */
bool store_salvage_is_cut_off(const char *path);
/* Before PATH is opened: finishes such a one. */
int store_salvage_resume(const char *path, struct err *e);

/* Stands a damaged one beside? */
bool store_salvage_is_due(const char *path);

#endif
