/* SPDX-License-Identifier: Apache-2.0 */
/* What only reads the calls' tables. */
#include "gateway/calls_db_read.h"

#include "codec/settings.h"
#include "gateway/calls_db_internal.h"

#include <errno.h>
#include <string.h>

static struct calls_row read_row(struct sqlite3_stmt *s)
{
    struct calls_row row = {
        .seq = store_db_number(s, 0),
        .accepted_ms = store_db_number(s, 3),
        .real_ms = store_db_number(s, 4),
        .attempts = (uint32_t)store_db_number(s, 5),
        .delays = (uint32_t)store_db_number(s, 6),
        .hops = (uint32_t)store_db_number(s, 7),
        .head = store_db_bytes(s, 8),
        .body = store_db_bytes(s, 9),
    };
    struct str id = store_db_bytes(s, 2);
    memcpy(row.id, id.p, id.n < CALLS_ID_BYTES ? id.n : CALLS_ID_BYTES);
    uint64_t sum = store_db_number(s, 10);
    row.damaged = id.n != CALLS_ID_BYTES || (sum != CALLS_DB_NO_SUM && sum != calls_db_sum(row.id, row.head, row.body));
    return row;
}

int calls_db_fetch(struct calls_db *d, struct calls_fetch *f, struct err *e)
{
    struct sqlite3_stmt *s = d->statements[CALLS_SQL_FETCH];
    bool failed = !store_db_bind_text(s, 1, str_from(f->function));
    f->next_ms = 0;
    while (!failed && store_db_next(s, &failed)) {
        uint64_t due = store_db_number(s, 1);
        if (f->leased.has(f->leased.context, store_db_number(s, 0)))
            continue;
        struct calls_row row = {0};
        if (due <= f->now_ms)
            row = read_row(s);
        if (due <= f->now_ms && f->on_row(f->context, &row))
            continue;
        f->next_ms = due ? due : 1;
        break;
    }
    int r = failed ? store_db_fail(d->db, e, "read waiting calls") : 0;
    store_db_reset(s);
    return r;
}

static bool find_first_due(struct calls_db *d, const char *function, uint64_t *ret_due)
{
    struct sqlite3_stmt *s = d->statements[CALLS_SQL_FIRST_DUE];
    bool failed = true;
    bool found = store_db_bind_text(s, 1, str_from(function)) && store_db_next(s, &failed);
    *ret_due = found ? store_db_number(s, 0) : 0;
    store_db_reset(s);
    return found;
}

/* One look into the index for each function, however many calls it has. */
int calls_db_each_lane(struct calls_db *d, int (*on_lane)(void *context, const char *function, uint64_t due_ms),
                       void *context, struct err *e)
{
    struct sqlite3_stmt *s = d->statements[CALLS_SQL_NEXT_FUNCTION];
    char function[SETTINGS_NAME_MAX] = "";
    for (;;) {
        bool failed = true;
        uint64_t due;
        bool found = store_db_bind_text(s, 1, str_from(function)) && store_db_next(s, &failed) &&
                     str_copy(str_from(store_db_text(s, 0)), function, sizeof(function)) && function[0];
        store_db_reset(s);
        if (!found && failed)
            return store_db_fail(d->db, e, "read which functions have calls waiting");
        if (!found)
            return 0;
        if (!find_first_due(d, function, &due))
            return store_db_fail(d->db, e, "read when calls are due");
        int r = on_lane(context, function, due ? due : 1);
        if (r < 0)
            return err_set(e, -r, "keep which functions have calls waiting");
    }
}

uint64_t calls_db_oldest_ms(struct calls_db *d)
{
    struct sqlite3_stmt *s = d->statements[CALLS_SQL_OLDEST];
    bool failed;
    uint64_t oldest = store_db_next(s, &failed) ? store_db_number(s, 0) : 0;
    store_db_reset(s);
    return oldest;
}

static bool look_in(struct calls_db *d, enum calls_statement which, struct calls_info *info,
                    void (*on_info)(void *context, const struct calls_info *info), void *context, bool *ret_failed)
{
    struct sqlite3_stmt *s = d->statements[which];
    struct str id = {.p = (const char *)info->id, .n = CALLS_ID_BYTES};
    *ret_failed = !store_db_bind_blob(s, 1, id);
    bool found = !*ret_failed && store_db_next(s, ret_failed);
    if (found) {
        uint64_t status = store_db_number(s, 1);
        info->function = store_db_text(s, 0);
        info->status = status < CALLS_STATUSES ? (enum calls_status)status : CALLS_FAILED;
        info->attempts = (uint32_t)store_db_number(s, 2);
        info->due_ms = store_db_number(s, 3);
        info->accepted_real_ms = store_db_number(s, 4);
        info->ended_real_ms = store_db_number(s, 5);
        info->http_status = (int)store_db_number(s, 6);
        info->error = store_db_text(s, 7);
        info->message = store_db_text(s, 8);
        info->fields = store_db_bytes(s, 9);
        info->body = store_db_bytes(s, 10);
        info->cut = store_db_number(s, 11) != 0;
        info->seq = store_db_number(s, 12);
        on_info(context, info);
    }
    store_db_reset(s);
    return found;
}

bool calls_db_look_up(struct calls_db *d, const uint8_t id[CALLS_ID_BYTES],
                      void (*on_info)(void *context, const struct calls_info *info), void *context, struct err *e)
{
    struct calls_info info = {0};
    bool failed;
    memcpy(info.id, id, CALLS_ID_BYTES);
    e->code = 0;
    if (look_in(d, CALLS_SQL_LOOK_UP, &info, on_info, context, &failed))
        return true;
    if (!failed && look_in(d, CALLS_SQL_LOOK_UP_ENDED, &info, on_info, context, &failed))
        return true;
    if (failed)
        store_db_fail(d->db, e, "look for a call");
    return false;
}
