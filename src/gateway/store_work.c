/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/store_work.h"

#include <errno.h>
#include <stdlib.h>

bool store_work_begin(struct store_work *w, struct store_task *t, struct store_db *db, const char *const *texts,
                      int count)
{
    *w = (struct store_work){.db = db, .error = &t->error, .count = count};
    return store_db_prepare(db, texts, count, w->s, &t->error) == 0;
}

void store_work_end(struct store_work *w)
{
    store_db_finalize(w->s, w->count);
}

void store_work_name(char out[SETTINGS_NAME_MAX], const char *function)
{
    str_copy(str_from(function), out, SETTINGS_NAME_MAX);
}

bool store_work_bind_version(struct sqlite3_stmt *s, const char *function, uint64_t number)
{
    return store_db_bind_text(s, 1, str_from(function)) && (number == 0 || store_db_bind_number(s, 2, number));
}

bool store_work_ask_number(struct sqlite3_stmt *s, uint64_t *ret_number, bool *ret_found)
{
    bool failed = false;
    *ret_found = store_db_next(s, &failed);
    if (*ret_found)
        *ret_number = store_db_number(s, 0);
    store_db_reset(s);
    return !failed;
}

int store_work_copy_uses(struct store_version_uses *u, const struct versions *v)
{
    u->all = calloc(v->count ? v->count : 1, sizeof(*u->all));
    if (!u->all)
        return -ENOMEM;
    u->count = v->count;
    for (size_t i = 0; i < v->count; i++)
        u->all[i] = (struct store_version_use){.number = v->known[i].number,
                                               .used_ms = v->known[i].used_ms,
                                               .in_use = v->known[i].pool || versions_warm(v, v->known[i].number)};
    return 0;
}

struct store_version_use store_work_find_use(const struct store_version_uses *u, uint64_t number)
{
    for (size_t i = 0; i < u->count; i++)
        if (u->all[i].number == number)
            return u->all[i];
    return (struct store_version_use){.number = number};
}

void store_work_conclude(struct store_work *w, bool fine, const char *what)
{
    if (fine && w->error->code == 0)
        fine = store_db_commit(w->db);
    if (!fine)
        store_db_fail(w->db, w->error, what);
    if (w->error->code)
        store_db_rollback(w->db);
}
