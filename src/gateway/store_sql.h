/* SPDX-License-Identifier: Apache-2.0 */
/* The table of revisions, and the format of the database that it shares with other modules' tables (gateway/store_db.h). One thread at a time. */
#ifndef FAASD_GATEWAY_STORE_SQL_H
#define FAASD_GATEWAY_STORE_SQL_H

#include "gateway/store.h"
#include "gateway/store_db.h"

#define STORE_SQL_FILE "faasd.db"

struct store_sql;

/* Opens or makes DIR/faasd.db and brings it to this program's format. */
int store_sql_open(struct store_sql **ret_sql, const char *dir, struct err *e);
void store_sql_close(struct store_sql *q);
struct store_db *
store_sql_db(struct store_sql *q); /* borrowed: for the other modules' statements, on the same thread */

int store_sql_load(struct store_sql *q, int (*on_revision)(const struct store_revision *r, void *context),
                   void *context, struct err *e);
int store_sql_put(struct store_sql *q, const struct store_revision *r, struct err *e);
int store_sql_delete(struct store_sql *q, const char *function, struct err *e);

/* Errors count as "yes": what may be needed is not thrown away. */
bool store_sql_has_code(struct store_sql *q, const char *code);
bool store_sql_has_function(struct store_sql *q, const char *function);

#endif
