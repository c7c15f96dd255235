/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What can still be read of a damaged database. The damaged files are set aside (NAME.damaged, the write-ahead log with them) and never deleted by us; their rows are copied
 * into a new database of today's format, table by table, as far as each can be read.
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

/* Renames PATH, PATH-wal and PATH-shm to PATH.damaged... (".damaged-2" and so on for later ones). */
int store_salvage_set_aside(const char *path, char *ret_aside, uint64_t cap, struct err *e);
/* Copies into `to`, which has its tables and no rows. How many rows, and whether some table broke off. */
int store_salvage_copy(struct sqlite3 *to, const char *aside, uint64_t *ret_rows, struct err *e);
/* Stands a damaged one beside? */
bool store_salvage_is_due(const char *path);

#endif
