/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The database of asynchronous calls from the loop's side, with its real thread and file: what is durable when, what a disk that refuses does. fdatasync(2) and fsync(2) are
 * this file's, so that a flush can be made to fail.
 */
#include "gateway/calls_store.h"

#include "base/clock.h"
#include "base/id.h"
#include "gateway/calls_lease.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

static char root[] = "/tmp/faasd-calls-XXXXXX";
static struct config config;
static struct gateway_boot boot;
static struct gateway gateway;
static struct calls_store *store;
static struct calls_clock queue_clock;
static unsigned opened;
static char lanes[4096];
static uint64_t lane_due; /* of the first lane told at the start */
static _Atomic int flush_error;
static _Atomic unsigned flushes;

int fdatasync(int fd);
int fsync(int fd);

static int flush(long number, int fd)
{
    int error = atomic_load(&flush_error);
    atomic_fetch_add(&flushes, 1);
    if (error) {
        errno = error;
        return -1;
    }
    return (int)syscall(number, fd);
}

int fdatasync(int fd)
{
    return flush(SYS_fdatasync, fd);
}

int fsync(int fd)
{
    return flush(SYS_fsync, fd);
}

static void on_open(void *owner, const struct calls_job *j)
{
    struct str rest = buf_str(&j->out);
    (void)owner;
    opened++;
    queue_clock = j->opened.clock;
    lanes[0] = '\0';
    while (rest.n) {
        memcpy(&lane_due, rest.p, sizeof(lane_due));
        rest = str_skip(rest, sizeof(uint64_t));
        strcat(lanes, rest.p);
        strcat(lanes, " ");
        rest = str_skip(rest, strlen(rest.p) + 1);
    }
}

static void open_store(const char *boot_id)
{
    struct err e = {.text = ""};
    const struct calls_store_options o = {.dir = root, .boot_id = boot_id, .on_open = on_open};
    opened = 0;
    store = calls_store_new(&gateway, &o, &e);
    if (!store)
        fail_msg("%s", e.text);
}

static int set_up(void **state)
{
    (void)state;
    strcpy(root + sizeof(root) - 7, "XXXXXX");
    if (!mkdtemp(root))
        return -1;
    gateway = (struct gateway){.config = &config, .boot = &boot, .loop = ev_loop_new(EVBACKEND_EPOLL)};
    atomic_store(&flush_error, 0);
    open_store("this boot");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    char command[64];
    atomic_store(&flush_error, 0);
    calls_store_close(store);
    ev_loop_destroy(gateway.loop);
    snprintf(command, sizeof(command), "rm -rf %s", root);
    return system(command);
}

static void reopen(void)
{
    calls_store_close(store);
    open_store("this boot");
    calls_store_start(store);
    while (!opened)
        ev_run(gateway.loop, EVRUN_ONCE);
}

/* ---- jobs ---- */

static unsigned done_count;

static void on_done(struct calls_job *j)
{
    *(struct calls_job **)j->owner = j;
    done_count++;
}

static void wait_for(struct calls_job *const *job)
{
    while (!*job)
        ev_run(gateway.loop, EVRUN_ONCE);
}

static struct calls_job *make(enum calls_job_kind kind, struct calls_job **ret_done)
{
    *ret_done = NULL;
    struct calls_job *j = calls_job_new(kind, on_done, ret_done);
    assert_non_null(j);
    return j;
}

static struct calls_job *run(struct calls_job *j, struct calls_job **done)
{
    calls_store_submit(store, j);
    assert_null(*done); /* never from inside the call */
    wait_for(done);
    return *done;
}

static struct calls_job *make_put(const char *function, const char *key, const char *body, struct calls_job **done)
{
    struct calls_job *j = make(CALLS_JOB_PUT, done);
    id_random(j->id, sizeof(j->id));
    strcpy(j->put.function, function);
    strcpy(j->put.key, key);
    j->put.entry = (struct calls_entry){.function = j->put.function,
                                        .key = str_from(j->put.key),
                                        .mark = strlen(body),
                                        .real_ms = clock_real_ms(),
                                        .head = STR_LITERAL("head"),
                                        .body = str_from(body)};
    return j;
}

struct id {
    uint8_t bytes[CALLS_ID_BYTES];
};

static struct id put(const char *function, const char *body)
{
    struct calls_job *done, *j = run(make_put(function, "", body, &done), &done);
    struct id id;
    assert_int_equal(j->error.code, 0);
    assert_int_equal(j->answer, CALLS_DONE);
    memcpy(id.bytes, j->put.entry.id, sizeof(id.bytes));
    calls_job_free(j);
    return id;
}

/* The bodies of what was fetched, a space behind each; the calls stay leased. */
static struct calls_job *fetch(const char *function, unsigned count, char *ret_bodies)
{
    struct calls_job *done, *j = make(CALLS_JOB_FETCH, &done);
    strcpy(j->fetch.function, function);
    j->fetch.count = count;
    j->fetch.bytes = 1 << 20;
    run(j, &done);
    assert_int_equal(j->error.code, 0);
    ret_bodies[0] = '\0';
    LIST_EACH (&j->fetch.calls, at) {
        struct calls_call *c = LIST_ENTRY(at, struct calls_call, link);
        assert_memory_equal(c->row.head.p, "head", 4);
        strncat(ret_bodies, c->row.body.p, c->row.body.n);
        strcat(ret_bodies, " ");
    }
    return j;
}

static struct calls_call *first_of(struct calls_job *j)
{
    struct list *at = list_first(&j->fetch.calls);
    assert_non_null(at);
    return LIST_ENTRY(at, struct calls_call, link);
}

static int settle(struct calls_call *c, struct calls_result r, const char *target)
{
    struct calls_job *done, *j = make(CALLS_JOB_SETTLE, &done);
    j->settle.result = r;
    j->settle.result.seq = c->row.seq;
    j->settle.call = c;
    j->settle.told.count = *target ? 1 : 0;
    strcpy(j->settle.told.to[0].target, target);
    id_random(j->settle.told.to[0].id, sizeof(j->id));
    run(j, &done);
    int error = j->error.code;
    calls_job_free(j);
    return error;
}

static enum calls_answer ask(enum calls_job_kind kind, struct id id)
{
    struct calls_job *done, *j = make(kind, &done);
    memcpy(j->id, id.bytes, sizeof(id.bytes));
    run(j, &done);
    assert_int_equal(j->error.code, 0);
    enum calls_answer answer = j->answer;
    calls_job_free(j);
    return answer;
}

static struct calls_job *look_up(struct id id)
{
    struct calls_job *done, *j = make(CALLS_JOB_LOOK_UP, &done);
    memcpy(j->id, id.bytes, sizeof(id.bytes));
    run(j, &done);
    assert_int_equal(j->error.code, 0);
    return j;
}

static void expect_status(struct id id, const char *status)
{
    struct calls_job *j = look_up(id);
    const char *is = j->answer == CALLS_UNKNOWN ? "unknown" : calls_status_name(j->found.info.status);
    assert_string_equal(j->answer == CALLS_DONE && j->found.running ? "running" : is, status);
    calls_job_free(j);
}

static struct calls_totals totals(void)
{
    struct calls_job *done, *j = run(make(CALLS_JOB_STATS, &done), &done);
    struct calls_totals t = j->totals;
    calls_job_free(j);
    return t;
}

/* ---- tests ---- */

static void nothing_is_made_before_the_first_job(void **state)
{
    (void)state;
    char path[64];
    calls_store_start(store);
    snprintf(path, sizeof(path), "%s/" CALLS_DB_NAME, root);
    assert_false(calls_store_exists(store));
    assert_int_not_equal(access(path, F_OK), 0);
    put("f", "a");
    assert_true(calls_store_exists(store));
    assert_int_equal(access(path, F_OK), 0);
    assert_int_equal(opened, 1);
}

static void calls_come_out_in_order_once_and_are_there_again_after_a_restart(void **state)
{
    (void)state;
    char bodies[256];
    put("f", "a");
    put("g", "x");
    put("f", "b");
    put("f", "c");
    struct calls_job *j = fetch("f", 2, bodies);
    assert_string_equal(bodies, "a b ");
    assert_int_not_equal(j->fetch.next_ms, 0); /* c */
    calls_job_free(j);
    j = fetch("f", 9, bodies);
    assert_string_equal(bodies, "c ");
    assert_int_equal(j->fetch.next_ms, 0);
    calls_job_free(j);
    /* none of them was settled: cut off, and no attempt */
    reopen();
    assert_string_equal(lanes, "f g ");
    j = fetch("f", 9, bodies);
    assert_string_equal(bodies, "a b c ");
    assert_int_equal(first_of(j)->row.attempts, 0);
    calls_job_free(j);
    assert_int_equal(totals().queued, 4);
}

static void a_fetch_has_a_limit_in_bytes_but_gives_one_in_any_case(void **state)
{
    (void)state;
    char bodies[256];
    put("f", "a");
    put("f", "b");
    struct calls_job *done, *j = make(CALLS_JOB_FETCH, &done);
    strcpy(j->fetch.function, "f");
    j->fetch.count = 9;
    j->fetch.bytes = 1;
    run(j, &done);
    assert_int_equal(first_of(j)->row.body.p[0], 'a');
    assert_ptr_equal(list_first(&j->fetch.calls), list_last(&j->fetch.calls));
    calls_job_free(j);
    j = fetch("f", 9, bodies);
    assert_string_equal(bodies, "b ");
    calls_job_free(j);
}

/* Its owner keeps a list of those that run: what the end frees is in it no more. */
static void an_end_that_is_under_way_when_the_store_closes_is_on_disk(void **state)
{
    (void)state;
    char bodies[256];
    struct id id = put("f", "a");
    struct calls_job *done, *j = fetch("f", 9, bodies), *end = make(CALLS_JOB_SETTLE, &done);
    end->settle.call = first_of(j);
    end->settle.result = (struct calls_result){
        .seq = end->settle.call->row.seq, .status = CALLS_SUCCEEDED, .attempts = 1, .http_status = 200};
    calls_store_submit(store, end);
    reopen();
    assert_true(list_is_empty(&j->fetch.calls));
    calls_job_free(j);
    expect_status(id, "succeeded");
}

static void a_retry_waits_for_its_time(void **state)
{
    (void)state;
    char bodies[256];
    struct id id = put("f", "a");
    struct calls_job *j = fetch("f", 9, bodies);
    expect_status(id, "running");
    uint64_t due = calls_clock_at(&queue_clock, clock_boot_ns() / 1000000) + 60000;
    struct calls_result again = {.status = CALLS_QUEUED,
                                 .due_ms = due,
                                 .attempts = 1,
                                 .http_status = 500,
                                 .error = STR_LITERAL("FunctionError"),
                                 .message = STR_LITERAL("it raised")};
    assert_int_equal(settle(first_of(j), again, ""), 0);
    calls_job_free(j);
    expect_status(id, "queued");
    j = fetch("f", 9, bodies);
    assert_string_equal(bodies, "");
    assert_int_equal(j->fetch.next_ms, due);
    calls_job_free(j);
    reopen();
    assert_string_equal(lanes, "f ");
    assert_int_equal(lane_due, due);
    j = look_up(id);
    assert_int_equal(j->found.info.attempts, 1);
    assert_string_equal(j->found.info.error, "FunctionError");
    assert_string_equal(j->found.info.message, "it raised");
    calls_job_free(j);
}

static void what_came_of_a_call_is_kept_and_told(void **state)
{
    (void)state;
    char bodies[256];
    struct id id = put("f", "{\"n\":1}");
    struct calls_job *j = fetch("f", 9, bodies);
    struct calls_result good = {.status = CALLS_SUCCEEDED,
                                .attempts = 1,
                                .http_status = 200,
                                .fields = STR_LITERAL("A: b\r\n"),
                                .body = STR_LITERAL("not json")};
    assert_int_equal(settle(first_of(j), good, "told:$LATEST"), 0);
    calls_job_free(j);
    j = look_up(id);
    assert_string_equal(j->found.info.function, "f");
    assert_int_equal(j->found.info.seq, 0);
    assert_true(str_is(j->found.info.fields, "A: b\r\n") && str_is(j->found.info.body, "not json"));
    calls_job_free(j);
    assert_int_equal(ask(CALLS_JOB_REDRIVE, id), CALLS_HAS_SUCCEEDED);
    assert_int_equal(ask(CALLS_JOB_CANCEL, id), CALLS_IS_OVER);
    /* the record is a call of its own */
    struct calls_job *done, *told = make(CALLS_JOB_FETCH, &done);
    strcpy(told->fetch.function, "told");
    told->fetch.count = 9;
    run(told, &done);
    struct calls_row *row = &first_of(told)->row;
    assert_true(str_starts_with(row->head, "POST /function/told:$LATEST HTTP/1.1\r\n"));
    assert_int_equal(row->hops, 1);
    assert_non_null(memmem(row->body.p, row->body.n, "\"requestPayload\":{\"n\":1}", 24));
    assert_non_null(memmem(row->body.p, row->body.n, "\"responsePayload\":\"not json\"", 28));
    assert_non_null(memmem(row->body.p, row->body.n, "\"condition\":\"Success\"", 21));
    calls_job_free(told);
    struct calls_totals t = totals();
    assert_int_equal(t.queued, 1);
    assert_int_equal(t.results, 1);
    assert_int_equal(t.failed, 0);
}

static void a_dead_letter_can_be_driven_again(void **state)
{
    (void)state;
    char bodies[256];
    struct id id = put("f", "a");
    assert_int_equal(ask(CALLS_JOB_REDRIVE, id), CALLS_IS_QUEUED);
    struct calls_job *j = fetch("f", 9, bodies);
    assert_int_equal(ask(CALLS_JOB_CANCEL, id), CALLS_IS_RUNNING);
    struct calls_result bad = {.status = CALLS_FAILED, .attempts = 3, .http_status = 500};
    assert_int_equal(settle(first_of(j), bad, ""), 0);
    calls_job_free(j);
    expect_status(id, "failed");
    assert_int_equal(totals().failed, 1);
    assert_int_equal(ask(CALLS_JOB_REDRIVE, id), CALLS_DONE);
    assert_int_equal(totals().failed, 0);
    assert_int_equal(totals().failed_bytes, 0);
    expect_status(id, "queued");
    j = fetch("f", 9, bodies);
    assert_string_equal(bodies, "a ");
    assert_int_equal(first_of(j)->row.attempts, 0);
    calls_job_free(j);
}

static void a_cancelled_call_is_run_no_more(void **state)
{
    (void)state;
    char bodies[256];
    struct id id = put("f", "a"), nobody = {{1}};
    assert_int_equal(ask(CALLS_JOB_CANCEL, id), CALLS_DONE);
    assert_int_equal(ask(CALLS_JOB_CANCEL, id), CALLS_IS_OVER);
    assert_int_equal(ask(CALLS_JOB_CANCEL, nobody), CALLS_UNKNOWN);
    assert_int_equal(ask(CALLS_JOB_REDRIVE, nobody), CALLS_UNKNOWN);
    calls_job_free(fetch("f", 9, bodies));
    assert_string_equal(bodies, "");
    expect_status(id, "cancelled");
}

static struct calls_job *put_key(const char *function, const char *key, const char *body)
{
    struct calls_job *done;
    return run(make_put(function, key, body, &done), &done);
}

static void a_key_stands_for_one_call_of_a_function(void **state)
{
    (void)state;
    struct calls_job *first = put_key("f", "k", "body"), *again = put_key("f", "k", "body");
    assert_int_equal(again->answer, CALLS_REPEATED);
    assert_memory_equal(again->put.entry.id, first->id, CALLS_ID_BYTES);
    calls_job_free(again);
    again = put_key("f", "k", "another body");
    assert_int_equal(again->answer, CALLS_MISMATCH);
    calls_job_free(again);
    again = put_key("g", "k", "body");
    assert_int_equal(again->answer, CALLS_DONE);
    calls_job_free(again);
    calls_job_free(first);
    assert_int_equal(totals().queued, 2);
    assert_int_equal(totals().keys, 2);
}

/* Both go in one transaction: the second one sees the first. */
static void a_key_that_comes_twice_at_once_is_one_call(void **state)
{
    (void)state;
    struct calls_job *one, *two, *a = make_put("f", "k", "x", &one), *b = make_put("f", "k", "x", &two);
    put("f", "open");
    calls_store_submit(store, a);
    calls_store_submit(store, b);
    wait_for(&one);
    wait_for(&two);
    assert_int_equal(a->answer, CALLS_DONE);
    assert_int_equal(b->answer, CALLS_REPEATED);
    assert_memory_equal(b->put.entry.id, a->put.entry.id, CALLS_ID_BYTES);
    calls_job_free(a);
    calls_job_free(b);
    assert_int_equal(totals().queued, 2);
}

static void bounds_are_answers(void **state)
{
    (void)state;
    struct calls_job *done, *j = make_put("f", "", "a", &done);
    put("f", "a");
    j->put.entry.bounds = (struct calls_bounds){.calls = 1};
    run(j, &done);
    assert_int_equal(j->answer, CALLS_FULL);
    assert_int_equal(j->totals.queued, 1);
    calls_job_free(j);
    j = make_put("f", "", "a", &done);
    j->put.entry.bounds = (struct calls_bounds){.bytes = 2 * (CALLS_ROW_BYTES + 5) - 1};
    run(j, &done);
    assert_int_equal(j->answer, CALLS_FULL_BYTES);
    calls_job_free(j);
    assert_int_equal(totals().queued_bytes, CALLS_ROW_BYTES + 5);
}

static void many_at_once_share_a_flush(void **state)
{
    (void)state;
    enum { MANY = 600 }; /* more than the queue has places */
    static struct calls_job *done[MANY];
    put("f", "open");
    unsigned before = atomic_load(&flushes);
    for (unsigned i = 0; i < MANY; i++)
        calls_store_submit(store, make_put("f", "", "x", &done[i]));
    for (unsigned i = 0; i < MANY; i++) {
        wait_for(&done[i]);
        assert_int_equal(done[i]->error.code, 0);
        calls_job_free(done[i]);
    }
    assert_int_equal(totals().queued, MANY + 1);
    assert_in_range(atomic_load(&flushes) - before, 1, MANY / 10);
}

static void a_flush_that_fails_accepts_nothing_and_loses_nothing(void **state)
{
    (void)state;
    char bodies[256];
    struct calls_job *done, *j;
    put("f", "a");
    atomic_store(&flush_error, EIO);
    j = run(make_put("f", "", "b", &done), &done);
    assert_int_equal(j->error.code, EIO);
    calls_job_free(j);
    /* what came of a call is told as not stored, and can be stored later */
    j = fetch("f", 9, bodies);
    assert_string_equal(bodies, "a ");
    struct calls_result good = {.status = CALLS_SUCCEEDED, .attempts = 1, .http_status = 200};
    assert_int_equal(settle(first_of(j), good, "told"), EIO);
    atomic_store(&flush_error, 0);
    assert_int_equal(settle(first_of(j), good, "told"), 0);
    calls_job_free(j);
    put("f", "c");
    reopen();
    assert_string_equal(lanes, "f told ");
    calls_job_free(fetch("f", 9, bodies));
    assert_string_equal(bodies, "c ");
    assert_int_equal(totals().queued, 2);
    assert_int_equal(totals().results, 1);
}

static void old_ones_go_in_steps_and_size_counts(void **state)
{
    (void)state;
    char bodies[256];
    struct id ids[6];
    for (unsigned i = 0; i < 6; i++) {
        ids[i] = put("f", "a");
        struct calls_job *j = fetch("f", 1, bodies);
        struct calls_result r = {.status = i % 2 ? CALLS_FAILED : CALLS_SUCCEEDED, .attempts = 1, .http_status = 200};
        assert_int_equal(settle(first_of(j), r, ""), 0);
        calls_job_free(j);
    }
    calls_job_free(put_key("f", "k", "x"));
    struct calls_job *done, *j = make(CALLS_JOB_SWEEP, &done);
    /* room for two that succeeded; nothing is old */
    j->sweep =
        (struct calls_sweep){.results_bytes = 2 * CALLS_ROW_BYTES, .failed_bytes = 1 << 20, .keys = 1, .steps = 100};
    run(j, &done);
    assert_false(j->sweep.more);
    assert_int_equal(j->sweep.dropped_failed, 0);
    calls_job_free(j);
    expect_status(ids[0], "unknown");
    expect_status(ids[1], "failed");
    expect_status(ids[2], "succeeded");
    j = make(CALLS_JOB_SWEEP, &done);
    j->sweep = (struct calls_sweep){.results_bytes = 1 << 20, .failed_bytes = 0, .keys = 1, .steps = 2};
    run(j, &done);
    assert_true(j->sweep.more);
    assert_int_equal(j->sweep.dropped_failed, 2);
    calls_job_free(j);
    j = make(CALLS_JOB_SWEEP, &done);
    j->sweep = (struct calls_sweep){.ended_before_ms = INT64_MAX, .keys_before_ms = INT64_MAX, .steps = 100};
    run(j, &done);
    assert_false(j->sweep.more);
    calls_job_free(j);
    struct calls_totals t = totals();
    assert_int_equal(t.results + t.failed + t.keys + t.results_bytes + t.failed_bytes, 0);
    assert_int_equal(t.queued, 1); /* the key's call waits still */
}

static void break_database(void)
{
    char path[64];
    snprintf(path, sizeof(path), "%s/" CALLS_DB_NAME, root);
    FILE *f = fopen(path, "r+");
    assert_non_null(f);
    fputs("this is no database at all", f);
    fclose(f);
}

static void a_damaged_database_is_set_aside_and_calls_go_on(void **state)
{
    (void)state;
    char aside[64];
    put("f", "a");
    calls_store_close(store);
    snprintf(aside, sizeof(aside), "%s/" CALLS_DB_NAME ".damaged", root);
    break_database();
    open_store("this boot");
    put("f", "b");
    assert_int_equal(access(aside, F_OK), 0);
    assert_int_equal(totals().queued, 1);
}

/* Behind the store's back, the second half of its file. */
static void break_pages(void)
{
    char path[64], garbage[4096];
    struct stat st;
    snprintf(path, sizeof(path), "%s/" CALLS_DB_NAME, root);
    assert_int_equal(stat(path, &st), 0);
    memset(garbage, 0xee, sizeof(garbage));
    FILE *f = fopen(path, "r+");
    assert_non_null(f);
    off_t at = st.st_size / 2 / 4096 * 4096;
    for (fseek(f, at, SEEK_SET); at < st.st_size; at += 4096)
        fwrite(garbage, 1, sizeof(garbage), f);
    fclose(f);
}

static void damage_that_shows_while_it_is_open_is_mended(void **state)
{
    (void)state;
    static char body[60000]; /* all of them are more than the cache holds */
    char aside[64], bodies[256];
    struct id first = put("f", "a");
    memset(body, 'x', sizeof(body) - 1);
    body[sizeof(body) - 1] = '\0';
    for (int i = 0; i < 100; i++)
        put("g", body);
    struct calls_job *leased = fetch("f", 1, bodies);
    calls_store_close(store); /* all is in the file now */
    open_store("this boot");
    calls_store_start(store);
    while (!opened)
        ev_run(gateway.loop, EVRUN_ONCE);
    calls_job_free(leased);
    leased = fetch("f", 1, bodies);
    assert_string_equal(bodies, "a ");
    break_pages();
    /* until some of it is read: rows that are not in the cache any more */
    snprintf(aside, sizeof(aside), "%s/" CALLS_DB_NAME ".damaged", root);
    struct calls_job *done, *j = make(CALLS_JOB_FETCH, &done);
    strcpy(j->fetch.function, "g");
    j->fetch.count = 1000;
    j->fetch.bytes = 64 << 20;
    run(j, &done);
    assert_int_equal(j->error.code, EUCLEAN);
    calls_job_free(j);
    assert_int_equal(access(aside, F_OK), 0);
    /* it goes on: what is accepted is stored, and what ran is settled under its number */
    put("f", "b");
    const struct calls_result good = {.status = CALLS_SUCCEEDED, .attempts = 1, .http_status = 200};
    assert_int_equal(settle(first_of(leased), good, ""), 0);
    calls_job_free(leased);
    expect_status(first, "succeeded");
    struct calls_totals t = totals();
    assert_int_equal(t.results, 1);
    assert_true(t.queued > 1 && t.queued < 101);
}

static void leases_are_a_set(void **state)
{
    (void)state;
    struct calls_leases l = {0};
    assert_false(calls_leases_have(&l, 1));
    calls_leases_remove(&l, 1);
    for (uint64_t i = 1; i <= 5000; i++)
        assert_int_equal(calls_leases_add(&l, i * 64), 0);
    for (uint64_t i = 1; i <= 5000; i += 2)
        calls_leases_remove(&l, i * 64);
    assert_int_equal(l.count, 2500);
    for (uint64_t i = 1; i <= 5000; i++)
        assert_int_equal(calls_leases_have(&l, i * 64), i % 2 == 0);
    assert_false(calls_leases_have(&l, 0)); /* of a call that is over */
    calls_leases_fini(&l);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nothing_is_made_before_the_first_job),
        TEST(calls_come_out_in_order_once_and_are_there_again_after_a_restart),
        TEST(a_fetch_has_a_limit_in_bytes_but_gives_one_in_any_case),
        TEST(an_end_that_is_under_way_when_the_store_closes_is_on_disk),
        TEST(a_retry_waits_for_its_time),
        TEST(what_came_of_a_call_is_kept_and_told),
        TEST(a_dead_letter_can_be_driven_again),
        TEST(a_cancelled_call_is_run_no_more),
        TEST(a_key_stands_for_one_call_of_a_function),
        TEST(a_key_that_comes_twice_at_once_is_one_call),
        TEST(bounds_are_answers),
        TEST(many_at_once_share_a_flush),
        TEST(a_flush_that_fails_accepts_nothing_and_loses_nothing),
        TEST(old_ones_go_in_steps_and_size_counts),
        TEST(a_damaged_database_is_set_aside_and_calls_go_on),
        TEST(damage_that_shows_while_it_is_open_is_mended),
        cmocka_unit_test(leases_are_a_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
