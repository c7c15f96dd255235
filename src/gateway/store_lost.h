/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A database that is not damaged but gone: its file is missing, or has no bytes, and trees of code say that there was one. SQLite would begin a new one without a word, and
 * the collector would throw away the code that no row names.
 */
#ifndef FAASD_GATEWAY_STORE_LOST_H
#define FAASD_GATEWAY_STORE_LOST_H

#include "base/err.h"

#include <stdbool.h>

/* To be asked before DB_DIR/faasd.db is opened. Where it is gone, an empty faasd.db.damaged is made, durably, which has the meaning of any damaged one beside
 * (store_db_is_salvaged), and the log says so. */
int store_lost_check(const char *db_dir, int versions_dirfd, struct err *e);

/* One of state/versions: 64 hex digits. */
bool store_lost_is_tree(const char *name);

#endif
