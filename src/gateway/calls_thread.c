/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The thread of asynchronous calls. Each round takes the jobs that wait, commits what they write together, then does what they ask, so that nobody reads, or runs, what is not
 * durable yet. A round that fails as a whole is done again job by job: one that cannot be stored takes no other with it.
 *
 * Sleeping without losing a wake-up is as in store_thread.c: the thread says that it rests, looks once more, then sleeps; the loop puts its job in the queue, then asks whether
 * the thread rests.
 */
#include "base/clock.h"
#include "base/fdio.h"
#include "base/id.h"
#include "gateway/calls_record.h"
#include "gateway/calls_store_internal.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

static struct calls_moment read_clocks(const struct calls_store *s)
{
    struct calls_moment m = {.boot_ms = clock_boot_ns() / 1000000, .real_ms = clock_real_ms()};
    memcpy(m.boot_id, s->boot_id, sizeof(m.boot_id));
    m.queue_ms = calls_clock_at(&s->clock, m.boot_ms);
    return m;
}

static bool is_leased(void *context, uint64_t seq)
{
    return calls_leases_have(&((struct calls_store *)context)->leases, seq);
}

/* ---- writing ---- */

static int put(struct calls_store *s, struct calls_job *j, const struct calls_moment *now)
{
    memcpy(j->put.entry.id, j->id, sizeof(j->id));
    int r = calls_db_put(s->db, &j->put.entry, now->queue_ms, &j->answer, &j->error);
    if (r == 0)
        j->totals = *calls_db_totals(s->db); /* the answer to a full queue tells how full */
    return r;
}

/* What a destination gets, as a call of its own in the same transaction: it is told exactly if the end is. */
static int put_told(struct calls_store *s, struct calls_job *j, const struct calls_destination *to,
                    const struct calls_moment *now)
{
    struct buf head, body;
    char text[ID_UUID_MAX], function[SETTINGS_NAME_MAX];
    enum calls_answer answer;
    const struct calls_record record = {.told = &j->settle.told,
                                        .to = to,
                                        .call = j->settle.call,
                                        .result = &j->settle.result,
                                        .id = text,
                                        .real_ms = now->real_ms};
    /* without bounds: one row goes for this one to come */
    struct calls_entry entry = {.function = function, .hops = j->settle.call->row.hops + 1, .real_ms = now->real_ms};
    struct str target = str_from(to->target), rest;
    str_copy(str_cut(target, ':', &rest, NULL), function, sizeof(function));
    memcpy(entry.id, to->id, sizeof(entry.id));
    id_uuid_print(j->settle.call->row.id, text);
    buf_init(&head, 0);
    buf_init(&body, 0);
    int r = calls_record_print(&record, &head, &body);
    entry.head = buf_str(&head);
    entry.body = buf_str(&body);
    r = r < 0 ? err_set(&j->error, -r, "print what '%s' is told", target.p)
              : calls_db_put(s->db, &entry, now->queue_ms, &answer, &j->error);
    buf_fini(&head);
    buf_fini(&body);
    return r;
}

static int settle(struct calls_store *s, struct calls_job *j, const struct calls_moment *now)
{
    int r = calls_db_settle(s->db, &j->settle.result, now, &j->error);
    for (unsigned i = 0; r == 0 && i < j->settle.told.count; i++)
        r = put_told(s, j, &j->settle.told.to[i], now);
    return r;
}

static int write_job(struct calls_store *s, struct calls_job *j, const struct calls_moment *now)
{
    const struct calls_leased leased = {.has = is_leased, .context = s};
    j->error.code = 0;
    switch (j->kind) {
    case CALLS_JOB_PUT:
        return put(s, j, now);
    case CALLS_JOB_SETTLE:
        return settle(s, j, now);
    case CALLS_JOB_CANCEL:
        return calls_db_cancel(s->db, j->id, &leased, now, &j->answer, &j->error);
    case CALLS_JOB_REDRIVE:
        j->out.len = 0;
        return calls_db_redrive(s->db, j->id, now->queue_ms, &j->answer, &j->out, &j->error);
    case CALLS_JOB_REDRIVE_SOME:
        return calls_db_redrive_some(s->db, &j->redrive.some, now->queue_ms, &j->error);
    case CALLS_JOB_SWEEP:
        return calls_db_sweep(s->db, &j->sweep, &j->error);
    default:
        return 0;
    }
}

/* One transaction. On failure *e says why, for all of them. */
static int write_together(struct calls_store *s, struct calls_job **jobs, unsigned count, struct err *e)
{
    struct calls_moment now = read_clocks(s);
    int r = calls_db_begin(s->db, e);
    if (r < 0)
        return r;
    for (unsigned i = 0; r == 0 && i < count; i++) {
        if (calls_job_writes(jobs[i]))
            r = write_job(s, jobs[i], &now);
        if (r < 0)
            *e = jobs[i]->error;
    }
    if (r == 0)
        return calls_db_commit(s->db, &now, e);
    calls_db_rollback(s->db);
    return r;
}

static void after_commit(struct calls_store *s, struct calls_job *j)
{
    if (j->kind == CALLS_JOB_SETTLE)
        calls_leases_remove(&s->leases, j->settle.result.seq);
}

static void write_round(struct calls_store *s, struct calls_job **jobs, unsigned count)
{
    struct err e = {0};
    unsigned writers = 0;
    for (unsigned i = 0; i < count; i++)
        writers += calls_job_writes(jobs[i]);
    if (writers == 0)
        return;
    bool together = write_together(s, jobs, count, &e) == 0;
    for (unsigned i = 0; i < count; i++) {
        struct calls_job *j = jobs[i];
        if (!calls_job_writes(j))
            continue;
        /* Alone it has had its try. */
        bool failed = !together && (writers == 1 || write_together(s, &j, 1, &e) < 0);
        j->error = failed ? e : (struct err){0};
        if (j->error.code == 0)
            after_commit(s, j);
    }
}

/* ---- reading ---- */

struct fetching {
    struct calls_store *store;
    struct calls_job *job;
    size_t bytes;
    unsigned count;
};

static bool take_row(void *context, const struct calls_row *row)
{
    struct fetching *f = context;
    size_t bytes = sizeof(struct calls_call) + row->head.n + row->body.n;
    if (f->count == f->job->fetch.count || (f->count && f->bytes + bytes > f->job->fetch.bytes))
        return false;
    struct calls_call *c = malloc(bytes);
    if (!c || calls_leases_add(&f->store->leases, row->seq) < 0) {
        free(c);
        return false; /* whoever fetches tries again */
    }
    *c = (struct calls_call){.row = *row, .bytes = bytes};
    if (row->head.n)
        memcpy(c->memory, row->head.p, row->head.n);
    if (row->body.n)
        memcpy(c->memory + row->head.n, row->body.p, row->body.n);
    c->row.head.p = c->memory;
    c->row.body.p = c->memory + row->head.n;
    list_push_back(&f->job->fetch.calls, &c->link);
    f->bytes += bytes;
    f->count++;
    return true;
}

static void fetch(struct calls_store *s, struct calls_job *j)
{
    struct fetching f = {.store = s, .job = j};
    struct calls_fetch query = {.function = j->fetch.function,
                                .now_ms = read_clocks(s).queue_ms,
                                .leased = {.has = is_leased, .context = s},
                                .on_row = take_row,
                                .context = &f};
    calls_db_fetch(s->db, &query, &j->error);
    j->fetch.next_ms = query.next_ms;
}

static void keep_info(void *context, const struct calls_info *info)
{
    struct calls_job *j = context;
    struct buf *out = &j->out;
    struct str function = str_from(info->function), error = str_from(info->error), message = str_from(info->message);
    j->answer = CALLS_DONE;
    if (buf_reserve(out, function.n + error.n + message.n + info->fields.n + info->body.n + 3) < 0) {
        err_set(&j->error, ENOMEM, "read a call");
        return;
    }
    /* The room is there: pointers into it stay. */
    j->found.info = *info;
    j->found.info.function = out->data;
    buf_add(out, function.p, function.n + 1);
    j->found.info.error = out->data + out->len;
    buf_add(out, error.p, error.n + 1);
    j->found.info.message = out->data + out->len;
    buf_add(out, message.p, message.n + 1);
    j->found.info.fields.p = out->data + out->len;
    buf_add_str(out, info->fields);
    j->found.info.body.p = out->data + out->len;
    buf_add_str(out, info->body);
}

static void look_up(struct calls_store *s, struct calls_job *j)
{
    j->answer = CALLS_UNKNOWN;
    calls_db_look_up(s->db, j->id, keep_info, j, &j->error);
    j->found.running = j->answer == CALLS_DONE && is_leased(s, j->found.info.seq);
}

struct listing {
    struct calls_store *store;
    struct calls_job *job;
    unsigned count;
};

static bool keep_listed(void *context, const struct calls_info *info)
{
    struct listing *l = context;
    struct calls_job *j = l->job;
    bool running = info->seq && is_leased(l->store, info->seq);
    if (info->seq && !(j->list.statuses & CALLS_SET(running ? CALLS_RUNNING : CALLS_QUEUED)))
        return true;
    struct calls_listed row;
    calls_listed_fill(&row, info, running);
    if (buf_add(&j->out, &row, sizeof(row)) < 0) {
        err_set(&j->error, ENOMEM, "list calls");
        return false;
    }
    return ++l->count < j->list.count;
}

static void list_calls(struct calls_store *s, struct calls_job *j)
{
    struct listing context = {.store = s, .job = j};
    struct calls_list l = {.function = j->list.function,
                           .statuses = j->list.statuses,
                           .steps = CALLS_LIST_STEPS,
                           .cursor = j->list.cursor,
                           .on_info = keep_listed,
                           .context = &context};
    j->out.len = 0;
    if (calls_db_list(s->db, &l, &j->error) < 0)
        return;
    j->list.cursor = l.cursor;
    j->list.more = l.more;
}

static void keep_event(void *context, const char *function, struct str head, struct str body)
{
    struct calls_job *j = context;
    j->answer = CALLS_DONE;
    j->out.len = 0;
    j->event.head_n = head.n;
    str_copy(str_from(function), j->event.function, sizeof(j->event.function));
    if (buf_add_str(&j->out, head) < 0 || buf_add_str(&j->out, body) < 0)
        err_set(&j->error, ENOMEM, "read a call's event");
}

static void read_event(struct calls_store *s, struct calls_job *j)
{
    struct err e;
    j->answer = CALLS_UNKNOWN;
    if (!calls_db_read_event(s->db, j->id, keep_event, j, &e) && e.code)
        j->error = e;
}

static int keep_lane(void *context, const char *function, uint64_t due_ms)
{
    struct buf *out = context;
    int r = buf_add(out, &due_ms, sizeof(due_ms));
    return r < 0 ? r : buf_add(out, function, strlen(function) + 1);
}

static void open_db(struct calls_store *s, struct calls_job *j)
{
    struct calls_moment last, now = read_clocks(s);
    if (s->db || calls_db_open(&s->db, s->dir, &last, &j->error) < 0)
        return;
    calls_clock_resume(&s->clock, &last, &now);
    j->opened.clock = s->clock;
    int r = calls_db_each_lane(s->db, keep_lane, &j->out, &j->error);
    if (r == -EUCLEAN) {
        calls_db_close(s->db);
        s->db = NULL;
        j->out.len = 0;
        r = calls_db_salvage(&s->db, s->dir, &last, &j->error);
        if (r == 0) {
            j->error = (struct err){0};
            r = calls_db_each_lane(s->db, keep_lane, &j->out, &j->error);
        }
    }
    if (r < 0) {
        calls_db_close(s->db);
        s->db = NULL;
    }
}

static void read_job(struct calls_store *s, struct calls_job *j)
{
    switch (j->kind) {
    case CALLS_JOB_FETCH:
        fetch(s, j);
        break;
    case CALLS_JOB_LOOK_UP:
        look_up(s, j);
        break;
    case CALLS_JOB_LIST:
        list_calls(s, j);
        break;
    case CALLS_JOB_EVENT:
        read_event(s, j);
        break;
    case CALLS_JOB_STATS:
        j->oldest_ms = calls_db_oldest_ms(s->db);
        break;
    case CALLS_JOB_OPEN:
        open_db(s, j);
        break;
    default:
        break;
    }
}

/* ---- damage ---- */

/* What can be read of it goes on; leases stay right, since rows keep their numbers. The clock goes on too: it is this process's. */
static void mend(struct calls_store *s, const struct err *damage)
{
    struct calls_moment ignored;
    struct err e = *damage;
    calls_db_close(s->db);
    s->db = NULL;
    if (calls_db_salvage(&s->db, s->dir, &ignored, &e) < 0)
        s->lost = e;
    s->lost_at_ms = clock_boot_ns() / 1000000;
}

/* It could not be mended, for want of room as a rule: tried again now and then, and jobs are refused with the reason meanwhile. */
static void open_again(struct calls_store *s)
{
    struct calls_moment ignored;
    uint64_t now = clock_boot_ns() / 1000000;
    if (!s->lost.code || now - s->lost_at_ms < CALLS_MEND_AGAIN_MS)
        return;
    s->lost_at_ms = now;
    if (calls_db_open(&s->db, s->dir, &ignored, &s->lost) == 0)
        s->lost = (struct err){0};
}

/* Once more what met the damage. Not a FETCH: it may have taken some, and whoever asked asks again. */
static void run_again(struct calls_store *s, struct calls_job **jobs, unsigned count)
{
    struct calls_job *again[STORE_QUEUE_SLOTS];
    unsigned writers = 0;
    for (unsigned i = 0; i < count; i++) {
        struct calls_job *j = jobs[i];
        if (j->error.code != EUCLEAN || j->kind == CALLS_JOB_FETCH || j->kind == CALLS_JOB_OPEN)
            continue;
        if (calls_job_writes(j)) {
            again[writers++] = j;
            continue;
        }
        j->error = (struct err){0};
        read_job(s, j);
    }
    write_round(s, again, writers);
}

static void mend_if_damaged(struct calls_store *s, struct calls_job **jobs, unsigned count)
{
    for (unsigned i = 0; s->db && i < count; i++) {
        if (jobs[i]->error.code != EUCLEAN || jobs[i]->kind == CALLS_JOB_OPEN)
            continue;
        struct err damage = jobs[i]->error;
        mend(s, &damage);
        if (s->db)
            run_again(s, jobs, count);
        return;
    }
}

/* ---- rounds ---- */

static void do_jobs(struct calls_store *s, struct calls_job **jobs, unsigned count)
{
    open_again(s);
    if (s->db)
        write_round(s, jobs, count);
    for (unsigned i = 0; i < count; i++) {
        if (s->lost.code)
            jobs[i]->error = s->lost;
        else if (!calls_job_writes(jobs[i]))
            read_job(s, jobs[i]);
    }
    mend_if_damaged(s, jobs, count);
}

static unsigned run_round(struct calls_store *s)
{
    struct calls_job *jobs[STORE_QUEUE_SLOTS];
    unsigned count = 0;
    while (count < STORE_QUEUE_SLOTS && (jobs[count] = store_queue_take(&s->jobs)))
        count++;
    do_jobs(s, jobs, count);
    for (unsigned i = 0; i < count; i++) {
        struct calls_job *j = jobs[i];
        if (s->db && j->kind != CALLS_JOB_PUT)
            j->totals = *calls_db_totals(s->db);
        bool fits = store_queue_put(&s->results, j);
        assert(fits);
    }
    if (count) {
        uint64_t one = 1;
        fd_write_full(s->done_fd, &one, sizeof(one));
    }
    return count;
}

static void rest(struct calls_store *s)
{
    atomic_store(&s->resting, true);
    if (store_queue_is_empty(&s->jobs) && !atomic_load(&s->stop)) {
        struct pollfd p = {.fd = s->wake_fd, .events = POLLIN};
        poll(&p, 1, -1);
    }
    atomic_store(&s->resting, false);
    uint64_t count;
    ssize_t ignored = read(s->wake_fd, &count, sizeof(count)); /* non-blocking: it may not have been rung at all */
    (void)ignored;
}

void *calls_thread_main(void *store)
{
    struct calls_store *s = store;
    pthread_setname_np(pthread_self(), "faasd-calls");
    for (;;) {
        bool stopping = atomic_load(&s->stop);
        if (run_round(s))
            continue;
        if (stopping)
            return NULL;
        rest(s);
    }
}
