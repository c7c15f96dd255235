/* SPDX-License-Identifier: Apache-2.0 */
/* What the tasks about versions share: prepare their statements, run them, let them go. On the store's thread, but for what *_init calls. */
#ifndef FAASD_GATEWAY_STORE_WORK_H
#define FAASD_GATEWAY_STORE_WORK_H

#include "gateway/store_db.h"
#include "gateway/store_versions.h"

enum { STORE_WORK_STATEMENTS_MAX = 8 };

/* The statements of one task. */
struct store_work {
    struct store_db *db;
    struct err *error; /* the task's */
    struct sqlite3_stmt *s[STORE_WORK_STATEMENTS_MAX];
    int count;
};

/* False: the task's error says why. store_work_end() in any case. */
bool store_work_begin(struct store_work *w, struct store_task *t, struct store_db *db, const char *const *texts,
                      int count);
void store_work_end(struct store_work *w);

/* Ends the transaction: committed when all went well, else rolled back, with an error that says `what` failed unless there is one already. */
void store_work_conclude(struct store_work *w, bool fine, const char *what);

void store_work_name(char out[SETTINGS_NAME_MAX], const char *function);

/* Binds ?1 = function and, where it isn't 0, ?2 = number. */
bool store_work_bind_version(struct sqlite3_stmt *s, const char *function, uint64_t number);

/* The first column of the first row; *ret_found false when there is none. False: SQLite failed. */
bool store_work_ask_number(struct sqlite3_stmt *s, uint64_t *ret_number, bool *ret_found);

int store_work_copy_uses(struct store_version_uses *u, const struct versions *v); /* -ENOMEM */
struct store_version_use store_work_find_use(const struct store_version_uses *u, uint64_t number);

#endif
