/* SPDX-License-Identifier: Apache-2.0 */
/* Which versions go: one task of store_versions.h, on the store's thread. */
#include "gateway/store_work.h"

#include <stdlib.h>

enum { COLLECT_NOTE, COLLECT_FIND, COLLECT_DROP, COLLECT_STATEMENTS };
static const char *const COLLECT_TEXT[COLLECT_STATEMENTS] = {
    [COLLECT_NOTE] = "UPDATE revisions SET used_ms = ?3 WHERE function = ?1 AND number = ?2 AND used_ms < ?3",
    [COLLECT_FIND] = "SELECT number FROM revisions WHERE function = ?1 AND current = 0"
                     " AND publication = 0"
                     " AND number NOT IN (SELECT number FROM revisions WHERE function = ?1 ORDER BY number DESC"
                     " LIMIT ?2)"
                     " AND number NOT IN (SELECT number FROM aliases WHERE function = ?1 UNION ALL"
                     " SELECT second FROM aliases WHERE function = ?1)"
                     " AND (used_ms <= ?3 OR number NOT IN (SELECT number FROM revisions WHERE function = ?1"
                     " ORDER BY number DESC LIMIT ?4))",
    [COLLECT_DROP] = "DELETE FROM revisions WHERE function = ?1 AND number = ?2",
};

static bool note_uses(struct store_work *w, const struct store_version_collect *q)
{
    struct sqlite3_stmt *s = w->s[COLLECT_NOTE];
    for (size_t i = 0; i < q->uses.count; i++) {
        const struct store_version_use *u = &q->uses.all[i];
        if (u->used_ms && !(store_work_bind_version(s, q->function, u->number) &&
                            store_db_bind_number(s, 3, u->used_ms) && store_db_finish(s)))
            return false;
    }
    return true;
}

/* Collected first: rows must not go from under the statement that finds them. */
static bool find_unneeded(struct store_work *w, struct store_version_collect *q)
{
    struct sqlite3_stmt *s = w->s[COLLECT_FIND];
    bool failed = false;
    if (!store_work_bind_version(s, q->function, 0) || !store_db_bind_number(s, 2, q->keep) ||
        !store_db_bind_number(s, 3, q->since_ms) || !store_db_bind_number(s, 4, q->most))
        return false;
    while (store_db_next(s, &failed)) {
        uint64_t number = store_db_number(s, 0);
        if (store_work_find_use(&q->uses, number).in_use)
            continue;
        uint64_t *larger = reallocarray(q->dropped, q->dropped_count + 1, sizeof(*larger));
        if (!larger)
            break; /* the rest another time */
        q->dropped = larger;
        q->dropped[q->dropped_count++] = number;
    }
    store_db_reset(s);
    return !failed;
}

static bool collect(struct store_work *w, struct store_version_collect *q)
{
    if (!note_uses(w, q) || !find_unneeded(w, q))
        return false;
    for (size_t i = 0; i < q->dropped_count; i++)
        if (!store_work_bind_version(w->s[COLLECT_DROP], q->function, q->dropped[i]) ||
            !store_db_finish(w->s[COLLECT_DROP]))
            return false;
    return true;
}

static void run_collect(struct store_task *t, struct store_db *db)
{
    struct store_version_collect *q = (struct store_version_collect *)(void *)t;
    struct store_work w;
    if (store_work_begin(&w, t, db, COLLECT_TEXT, COLLECT_STATEMENTS)) {
        bool begun = store_db_begin(db);
        store_work_conclude(&w, begun && collect(&w, q), "forget old versions");
    }
    store_work_end(&w);
    if (t->error.code)
        q->dropped_count = 0;
}

int store_version_collect_init(struct store_version_collect *q, const char *function, const struct versions *v)
{
    *q = (struct store_version_collect){.task.run = run_collect};
    store_work_name(q->function, function);
    return store_work_copy_uses(&q->uses, v);
}

void store_version_collect_fini(struct store_version_collect *q)
{
    free(q->uses.all);
    free(q->dropped);
}
