/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store's own thread: takes jobs and lines, may wait for the disk, and tells the loop.
 *
 * Sleeping without losing a wake-up: the thread says that it rests, then looks at the rings once more, then sleeps; a writer puts its item in the ring, then looks whether the thread rests.
 * All four steps are sequentially consistent, so at least one of the two sees the other.
 */
#include "base/clock.h"
#include "base/fdio.h"
#include "base/fmt.h"
#include "base/log.h"
#include "codec/handler.h"
#include "codec/handler_module.h"
#include "codec/python_tree.h"
#include "gateway/store_job.h"
#include "gateway/store_lost.h"

#include <assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* ---- lines ---- */

static void append_dropped(struct store *s, const char *function, const struct store_record *r)
{
    char text[96];
    int n =
        snprintf(text, sizeof(text), "faasd: %lu lines are missing here: they came faster than they could be written",
                 (unsigned long)r->dropped);
    struct store_line line = {.time_ms = r->time_ms, .instance = r->instance, .text = {text, (size_t)n}};
    store_log_append(s->log, function, &line);
}

static void append_record(struct store *s, const char *bytes, size_t size)
{
    struct store_record r;
    char function[SETTINGS_NAME_MAX] = "";
    memcpy(&r, bytes, sizeof(r));
    const char *name = bytes + sizeof(r);
    const char *request = name + r.name_size;
    const char *text = request + r.request_size;
    if (r.name_size == 0) {
        store_access_append(&s->access, (struct str){request, r.request_size},
                            (struct str){text, (size_t)(bytes + size - text)});
        return;
    }
    memcpy(function, name, r.name_size);
    if (r.dropped)
        append_dropped(s, function, &r);
    struct store_line line = {.time_ms = r.time_ms,
                              .instance = r.instance,
                              .request = {request, r.request_size},
                              .text = {text, (size_t)(bytes + size - text)},
                              .cut = r.cut};
    store_log_append(s->log, function, &line);
}

/* What stood in the ring when it was called, so that a flood of lines can't keep jobs waiting. */
static void take_lines(struct store *s)
{
    size_t left = store_ring_used(&s->lines);
    const char *bytes;
    size_t size;
    while (left && store_ring_peek(&s->lines, &bytes, &size)) {
        append_record(s, bytes, size);
        store_ring_pop(&s->lines);
        left -= left < size ? left : size;
    }
}

static void on_digest_pause(void *context)
{
    take_lines(context);
}

/* ---- jobs ---- */

static void compute_digest(struct store *s, struct store_job *j)
{
    char name[24];
    struct store_digest_options o = {.on_pause = on_digest_pause, .context = s};
    if (s->staging_dirfd < 0) {
        err_say(&j->error, ENOENT, "there is no staging directory");
        return;
    }
    fmt_to(name, sizeof(name), "%lu", (unsigned long)j->staging);
    if (store_digest_compute(s->staging_dirfd, name, &o, j->tree.digest, &j->tree.bytes, &j->error) == 0)
        j->tree.published = faccessat(s->versions_dirfd, j->tree.digest, F_OK, 0) == 0;
}

static void find_executable(int tree, const char *path, struct err *e)
{
    struct stat st;
    if (!handler_is_likely(tree, path))
        err_say(e, ENOENT, "there is no program '%s' in the function's code", path);
    else if (fstatat(tree, path, &st, AT_SYMLINK_NOFOLLOW) < 0 || !(st.st_mode & S_IXOTH))
        err_say(e, ENOENT, "'%s' is not executable: deploy it again with --handler %s", path, path);
}

static void find_module(int tree, const struct store_program *p, struct err *e)
{
    char handler[SETTINGS_PATH_MAX];
    const struct handler_question q = {.tree = tree, .runtime = p->runtime, .said = p->handler};
    const struct python_tree python = {.dir = tree, .minor = p->python_minor, .venv = p->venv};
    if (handler_choose_module(&q, handler, e) == 0 && p->runtime == SETTINGS_RUNTIME_PYTHON)
        python_tree_check_venv(&python, e);
}

static void find_program(struct store *s, struct store_job *j)
{
    const struct store_program *p = &j->program;
    scoped_fd tree = openat(s->versions_dirfd, p->code, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (tree < 0)
        err_set(&j->error, errno, "open the function's code");
    else if (p->runtime == SETTINGS_RUNTIME_PYTHON || p->runtime == SETTINGS_RUNTIME_NODE)
        find_module(tree, p, &j->error);
    else
        find_executable(tree, p->runtime == SETTINGS_RUNTIME_PROVIDED ? "bootstrap" : p->handler, &j->error);
    if (j->error.code == EINVAL)
        j->error.code = ENOENT; /* it is not what it would have to be */
}

static void list_orphans(struct store *s, struct store_job *j)
{
    if (store_db_is_salvaged(store_sql_db(s->sql)))
        return; /* a tree whose row is lost is all that is left of its function */
    int copy = s->versions_dirfd < 0 ? -1 : openat(s->versions_dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = copy >= 0 ? fdopendir(copy) : NULL;
    if (!d) {
        fd_close(&copy);
        err_set(&j->error, errno ? errno : ENOENT, "list the versions' trees");
        return;
    }
    for (const struct dirent *entry; (entry = readdir(d));) {
        if (!store_lost_is_tree(entry->d_name) || store_sql_has_code(s->sql, entry->d_name))
            continue;
        if (buf_add(&j->out, entry->d_name, MESSAGE_DIGEST_MAX) < 0)
            break; /* the rest another time */
    }
    closedir(d);
}

static void run_job(struct store *s, struct store_job *j)
{
    switch (j->kind) {
    case STORE_JOB_PUT:
        store_sql_put(s->sql, &j->revision, &j->error);
        break;
    case STORE_JOB_DELETE:
        if (store_sql_delete(s->sql, j->revision.function, &j->error) == 0)
            store_log_remove(s->log, j->revision.function);
        break;
    case STORE_JOB_DIGEST:
        compute_digest(s, j);
        break;
    case STORE_JOB_PROGRAM:
        find_program(s, j);
        break;
    case STORE_JOB_ORPHANS:
        list_orphans(s, j);
        break;
    case STORE_JOB_READ_LOG:
        j->log_end = store_ring_read(&s->lines);
        store_log_read(s->log, &j->query, &j->out, &j->error);
        break;
    case STORE_JOB_TASK: {
        struct store_task *t = j->owner;
        if (t->run_log)
            t->run_log(t, s->log);
        else
            t->run(t, store_sql_db(s->sql));
        break;
    }
    case STORE_JOB_REFUSED:
        break;
    }
}

static bool run_jobs(struct store *s)
{
    struct store_job *j;
    bool any = false;
    while ((j = store_queue_take(&s->jobs))) {
        /* Lines that were handed over before a job are on disk before it: whoever asks for a log sees all that was said until then. */
        take_lines(s);
        run_job(s, j);
        bool fits = store_queue_put(&s->results, j);
        assert(fits);
        uint64_t one = 1;
        fd_write_full(s->done_fd, &one, sizeof(one));
        any = true;
    }
    return any;
}

/* ---- resting ---- */

static bool has_work(struct store *s, enum store_rest how)
{
    if (atomic_load(&s->stop) || !store_queue_is_empty(&s->jobs))
        return true;
    size_t lines = store_ring_used(&s->lines);
    return how == STORE_LINGERING ? lines > STORE_RING_BYTES / 4 : lines > 0;
}

static void rest(struct store *s, enum store_rest how, int timeout_ms)
{
    atomic_store(&s->rest, how);
    if (!has_work(s, how)) {
        struct pollfd p = {.fd = s->wake_fd, .events = POLLIN};
        poll(&p, 1, timeout_ms);
    }
    atomic_store(&s->rest, STORE_AWAKE);
    uint64_t count;
    ssize_t ignored = read(s->wake_fd, &count, sizeof(count)); /* non-blocking: it may not have been rung at all */
    (void)ignored;
}

static void apply_limits(struct store *s, struct store_log_limits *known)
{
    struct store_log_limits now = {.function_bytes = atomic_load(&s->function_bytes),
                                   .total_bytes = atomic_load(&s->total_bytes)};
    if (now.function_bytes == known->function_bytes && now.total_bytes == known->total_bytes)
        return;
    *known = now;
    s->access.size_max = now.function_bytes;
    store_log_limit(s->log, known);
}

static bool wants_function(const char *function, void *context)
{
    struct store *s = context;
    /* Where rows are lost, what their functions said last is not thrown away either. */
    return store_db_is_salvaged(store_sql_db(s->sql)) || store_sql_has_function(s->sql, function);
}

void *store_thread_main(void *store)
{
    struct store *s = store;
    struct store_log_limits limits = {0};
    pthread_setname_np(pthread_self(), "faasd-store");
    apply_limits(s, &limits);
    store_log_sweep(s->log, wants_function, s);
    for (;;) {
        bool stopping = atomic_load(&s->stop);
        apply_limits(s, &limits);
        run_jobs(s);
        take_lines(s);
        if (!store_queue_is_empty(&s->jobs) || store_ring_used(&s->lines))
            continue;
        store_log_flush(s->log);
        store_access_flush(&s->access);
        if (stopping)
            return NULL;
        rest(s, STORE_ASLEEP, -1);
        if (!has_work(s, STORE_LINGERING))
            rest(s, STORE_LINGERING, STORE_LINGER_MS);
    }
}
