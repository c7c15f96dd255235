/* SPDX-License-Identifier: Apache-2.0 */
/* Many of the calls at a time: told page by page, driven again. Each step reads one row. */
#include "gateway/calls_db_internal.h"
#include "gateway/calls_db_read.h"

#include <string.h>

static void read_info(struct sqlite3_stmt *s, struct calls_info *ret_info)
{
    uint64_t status = store_db_number(s, 1);
    struct str id = store_db_bytes(s, 14);
    *ret_info = (struct calls_info){
        .function = store_db_text(s, 0),
        .status = status < CALLS_STATUSES ? (enum calls_status)status : CALLS_FAILED,
        .attempts = (uint32_t)store_db_number(s, 2),
        .due_ms = store_db_number(s, 3),
        .accepted_real_ms = store_db_number(s, 4),
        .ended_real_ms = store_db_number(s, 5),
        .http_status = (int)store_db_number(s, 6),
        .error = store_db_text(s, 7),
        .message = store_db_text(s, 8),
        .seq = store_db_number(s, 12),
    };
    memcpy(ret_info->id, id.p, id.n < CALLS_ID_BYTES ? id.n : CALLS_ID_BYTES);
}

static bool is_wanted(const struct calls_list *l, const struct calls_info *info)
{
    unsigned as = info->seq ? CALLS_SET_WAITING : CALLS_SET(info->status);
    return (l->statuses & as) && (!l->function[0] || strcmp(l->function, info->function) == 0);
}

/* One table from the cursor on. 1: its end was reached, 0: it was not, -1: an error. */
static int list_table(struct calls_db *d, struct calls_list *l, enum calls_statement which, unsigned *steps)
{
    struct sqlite3_stmt *s = d->statements[which];
    bool failed = true, go_on = true;
    unsigned most = *steps;
    if (!store_db_bind_number(s, 1, l->cursor.seq) || !store_db_bind_number(s, 2, most))
        most = 0;
    while (go_on && most && store_db_next(s, &failed)) {
        struct calls_info info;
        read_info(s, &info);
        l->cursor.seq = store_db_number(s, 13);
        (*steps)--;
        if (is_wanted(l, &info))
            go_on = l->on_info(l->context, &info);
    }
    store_db_reset(s);
    if (go_on && failed)
        return -1;
    return go_on && *steps > 0;
}

int calls_db_list(struct calls_db *d, struct calls_list *l, struct err *e)
{
    unsigned steps = l->steps;
    int end = 1;
    l->more = true;
    if (!l->cursor.ended) {
        if (l->statuses & CALLS_SET_WAITING)
            end = list_table(d, l, CALLS_SQL_LIST, &steps);
        if (end == 1)
            l->cursor = (struct calls_cursor){.ended = true, .seq = INT64_MAX};
    }
    if (end == 1 && l->statuses & (CALLS_SET_ALL & ~CALLS_SET_WAITING)) {
        bool dead_only = !(l->statuses & CALLS_SET(CALLS_SUCCEEDED));
        end = list_table(d, l, dead_only ? CALLS_SQL_LIST_DEAD : CALLS_SQL_LIST_ENDED, &steps);
    }
    l->more = end != 1;
    return end < 0 ? store_db_fail(d->db, e, "list calls") : 0;
}

/* ---- events ---- */

bool calls_db_read_event(struct calls_db *d, const uint8_t id[CALLS_ID_BYTES],
                         void (*on_event)(void *context, const char *function, struct str head, struct str body),
                         void *context, struct err *e)
{
    static const enum calls_statement tables[] = {CALLS_SQL_EVENT, CALLS_SQL_EVENT_ENDED};
    bool found = false, failed = false;
    e->code = 0;
    for (unsigned i = 0; i < 2 && !found && !failed; i++) {
        struct sqlite3_stmt *s = d->statements[tables[i]];
        failed = !store_db_bind_blob(s, 1, (struct str){.p = (const char *)id, .n = CALLS_ID_BYTES});
        found = !failed && store_db_next(s, &failed);
        if (found)
            on_event(context, store_db_text(s, 0), store_db_bytes(s, 1), store_db_bytes(s, 2));
        store_db_reset(s);
    }
    if (failed)
        store_db_fail(d->db, e, "read a call's event");
    return found;
}

/* ---- again ---- */

/* 1: *ret_place, and whether it is wanted; 0: there are no more; -1: an error. */
static int next_dead(struct calls_db *d, struct calls_redrive *r, struct calls_ended_place *ret_place, bool *ret_wanted)
{
    struct sqlite3_stmt *s = d->statements[CALLS_SQL_NEXT_DEAD];
    bool failed = true;
    bool found = store_db_bind_number(s, 1, r->after_seq) && store_db_bind_number(s, 2, r->up_to_seq) &&
                 store_db_next(s, &failed);
    if (found) {
        uint64_t status = store_db_number(s, 2);
        *ret_place = (struct calls_ended_place){.seq = store_db_number(s, 0),
                                                .bytes = store_db_number(s, 3),
                                                .event_bytes = store_db_number(s, 4),
                                                .dead = true};
        *ret_wanted =
            status < CALLS_STATUSES && r->statuses & CALLS_SET(status) && strcmp(store_db_text(s, 1), r->function) == 0;
    }
    store_db_reset(s);
    return found ? 1 : failed ? -1 : 0;
}

static bool is_full(const struct calls_db *d, const struct calls_redrive *r, const struct calls_ended_place *place)
{
    return (r->bounds.calls && d->totals.queued >= r->bounds.calls) ||
           (r->bounds.bytes && d->totals.queued_bytes + CALLS_ROW_BYTES + place->event_bytes > r->bounds.bytes);
}

static bool find_newest(struct calls_db *d, uint64_t *ret_seq)
{
    struct sqlite3_stmt *s = d->statements[CALLS_SQL_NEWEST_ENDED];
    bool failed;
    bool found = store_db_next(s, &failed);
    *ret_seq = found ? store_db_number(s, 0) : 0;
    store_db_reset(s);
    return found;
}

int calls_db_redrive_some(struct calls_db *d, struct calls_redrive *r, uint64_t now_ms, struct err *e)
{
    int found = 1;
    r->redriven = 0;
    r->full = false;
    if (!r->up_to_seq && !find_newest(d, &r->up_to_seq))
        return store_db_fail(d->db, e, "look for dead letters");
    for (unsigned i = 0; i < r->steps && !r->full; i++) {
        struct calls_ended_place place;
        bool wanted = false;
        found = next_dead(d, r, &place, &wanted);
        if (found <= 0)
            break;
        r->full = wanted && is_full(d, r, &place);
        if (r->full)
            break;
        r->after_seq = place.seq;
        if (!wanted)
            continue;
        if (!calls_db_requeue(d, &place, now_ms)) {
            found = -1;
            break;
        }
        r->redriven++;
    }
    r->more = found > 0;
    return found < 0 ? store_db_fail(d->db, e, "queue calls again") : 0;
}
