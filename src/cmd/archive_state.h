/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a backup holds, for the two commands that write and read one. A tar archive:
 *   BACKUP             "faasd-backup 1\n", then one line a fact: "created 2026-11-21T09:00:00Z", "keys yes" or "keys no"
 *   FORMAT             the state directory's
 *   db/NAME.db         every database, each as of one moment
 *   versions/DIGEST/   the trees that a row of db/faasd.db names
 *   keys/              with --with-key alone
 */
#ifndef FAASD_CMD_ARCHIVE_STATE_H
#define FAASD_CMD_ARCHIVE_STATE_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>

#define ARCHIVE_STATE_MARK "faasd-backup 1\n"

/* Runs tar(1) and waits for it: 0, or -EIO with what it said last. argv is NULL-terminated and begins with "tar". */
int archive_state_run_tar(const char *const *argv, struct err *e);

/* Every code that a row of DIR/faasd.db names, once, each followed by a NUL, and how many functions there are. */
int archive_state_list_codes(const char *db_dir, struct buf *ret_codes, unsigned *ret_functions, struct err *e);

/* Calls back for each entry of the directory but "." and "..", in no order; stops at the first negative return. */
int archive_state_each(const char *dir, int (*on_name)(const char *name, void *context, struct err *e), void *context,
                       struct err *e);
bool archive_state_is_database(const char *name); /* "faasd.db", not "faasd.db-wal", "faasd.db.damaged" */

int archive_state_remove(const char *dir, struct err *e); /* a tree that we made */

#endif
