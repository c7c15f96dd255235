/* SPDX-License-Identifier: Apache-2.0 */
/* The loop's side of the store: hands jobs and lines over, brings results back. The other side is store_thread.c. */
#include "gateway/store.h"

#include "base/clock.h"
#include "base/fdio.h"
#include "base/watch.h"
#include "gateway/store_job.h"
#include "gateway/store_lost.h"
#include "gateway/thread.h"

#include <assert.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>

static void ring_bell(int fd)
{
    uint64_t one = 1;
    fd_write_full(fd, &one, sizeof(one)); /* fails only when it has rung 2^64 times already */
}

/* `urgent`: a lingering thread is woken too. */
static void wake_thread(struct store *s, bool urgent)
{
    int rest = atomic_load(&s->rest);
    if (rest == STORE_AWAKE || (rest == STORE_LINGERING && !urgent))
        return;
    /* One bell is enough for all that follows until the thread rests again. */
    if (atomic_exchange(&s->rest, STORE_AWAKE) != STORE_AWAKE)
        ring_bell(s->wake_fd);
}

/* ---- jobs ---- */

static void free_job(struct store *s, struct store_job *j)
{
    buf_fini(&j->out);
    if (j->is_spare) {
        j->next = s->spare;
        s->spare = j;
        return;
    }
    free(j);
}

/* Not even room for a job: a spare one carries the bad news. Without one the process is past telling anybody anything. */
static struct store_job *take_spare(struct store *s)
{
    struct store_job *j = s->spare;
    assert(j);
    s->spare = j->next;
    *j = (struct store_job){.kind = STORE_JOB_REFUSED, .is_spare = true};
    err_say(&j->error, ENOMEM, "out of memory");
    return j;
}

static struct store_job *job_new(struct store *s, enum store_job_kind kind, void *owner, size_t string_bytes)
{
    struct store_job *j = calloc(1, sizeof(*j) + string_bytes);
    if (j)
        j->kind = kind;
    else
        j = take_spare(s);
    j->asked = kind;
    j->owner = owner;
    return j;
}

static void refuse(struct store *s, struct store_job *j)
{
    struct store_job **end = &s->refused;
    while (*end)
        end = &(*end)->next;
    j->kind = STORE_JOB_REFUSED;
    j->next = NULL;
    *end = j;
    ring_bell(s->done_fd);
}

static void submit(struct store *s, struct store_job *j)
{
    if (j->kind == STORE_JOB_REFUSED) {
        refuse(s, j);
        return;
    }
    if (s->under_way == STORE_QUEUE_SLOTS) {
        err_say(&j->error, EAGAIN, "too much waits for the disk");
        refuse(s, j);
        return;
    }
    s->under_way++;
    bool fits = store_queue_put(&s->jobs, j);
    assert(fits);
    wake_thread(s, true);
}

static void call_back(struct store_job *j)
{
    switch (j->asked) {
    case STORE_JOB_PUT:
    case STORE_JOB_DELETE:
    case STORE_JOB_PROGRAM:
        j->callback.on_done(j->owner, &j->error);
        break;
    case STORE_JOB_DIGEST:
        j->callback.on_digest(j->owner, &j->error, &j->tree);
        break;
    case STORE_JOB_ORPHANS:
        j->callback.on_names(j->owner, &j->error, buf_str(&j->out));
        break;
    case STORE_JOB_READ_LOG:
        j->callback.on_log(j->owner, &j->error, buf_str(&j->out), j->log_end);
        break;
    case STORE_JOB_TASK: {
        struct store_task *t = j->owner;
        if (j->kind == STORE_JOB_REFUSED)
            t->error = j->error;
        t->done(t);
        break;
    }
    case STORE_JOB_REFUSED:
        break;
    }
}

static void on_results(struct ev_loop *loop, ev_io *w, int events)
{
    watch_again(loop, w, events);
    struct store *s = w->data;
    uint64_t count;
    ssize_t ignored = read(s->done_fd, &count, sizeof(count));
    (void)ignored;
    struct store_job *j;
    while ((j = store_queue_take(&s->results))) {
        s->under_way--;
        call_back(j);
        free_job(s, j);
    }
    /* Only those refused until now: a callback that tries again at once must not keep the loop here. */
    struct store_job *refused = s->refused;
    s->refused = NULL;
    while ((j = refused)) {
        refused = j->next;
        call_back(j);
        free_job(s, j);
    }
}

static const char *keep_text(char **at, struct str text)
{
    char *copy = *at;
    if (text.n)
        memcpy(copy, text.p, text.n);
    copy[text.n] = '\0';
    *at += text.n + 1;
    return copy;
}

void store_put_revision(struct store *s, const struct store_revision *r, store_on_done *on_done, void *owner)
{
    size_t bytes = strlen(r->function) + strlen(r->revision) + strlen(r->code) + strlen(r->handler) + r->settings.n +
                   r->attributes.n + strlen(r->opt ? r->opt : "") + strlen(r->role ? r->role : "") + 8;
    struct store_job *j = job_new(s, STORE_JOB_PUT, owner, bytes);
    j->callback.on_done = on_done;
    if (j->kind == STORE_JOB_PUT) {
        char *at = j->strings;
        j->revision = *r;
        j->revision.function = keep_text(&at, str_from(r->function));
        j->revision.revision = keep_text(&at, str_from(r->revision));
        j->revision.code = keep_text(&at, str_from(r->code));
        j->revision.handler = keep_text(&at, str_from(r->handler));
        j->revision.settings.p = keep_text(&at, r->settings);
        j->revision.attributes.p = keep_text(&at, r->attributes);
        j->revision.opt = keep_text(&at, str_from(r->opt ? r->opt : ""));
        j->revision.role = keep_text(&at, str_from(r->role ? r->role : ""));
    }
    submit(s, j);
}

void store_delete_function(struct store *s, const char *function, store_on_done *on_done, void *owner)
{
    struct store_job *j = job_new(s, STORE_JOB_DELETE, owner, strlen(function) + 1);
    j->callback.on_done = on_done;
    if (j->kind == STORE_JOB_DELETE) {
        char *at = j->strings;
        j->revision.function = keep_text(&at, str_from(function));
    }
    submit(s, j);
}

void store_digest_tree(struct store *s, uint64_t staging, store_on_digest *on_done, void *owner)
{
    struct store_job *j = job_new(s, STORE_JOB_DIGEST, owner, 0);
    j->callback.on_digest = on_done;
    j->staging = staging;
    submit(s, j);
}

void store_find_program(struct store *s, const struct store_program *p, store_on_done *on_done, void *owner)
{
    size_t bytes = strlen(p->code) + strlen(p->handler) + strlen(p->venv) + 3;
    struct store_job *j = job_new(s, STORE_JOB_PROGRAM, owner, bytes);
    j->callback.on_done = on_done;
    if (j->kind == STORE_JOB_PROGRAM) {
        char *at = j->strings;
        j->program = *p;
        j->program.code = keep_text(&at, str_from(p->code));
        j->program.handler = keep_text(&at, str_from(p->handler));
        j->program.venv = keep_text(&at, str_from(p->venv));
    }
    submit(s, j);
}

void store_list_orphans(struct store *s, store_on_names *on_done, void *owner)
{
    struct store_job *j = job_new(s, STORE_JOB_ORPHANS, owner, 0);
    j->callback.on_names = on_done;
    buf_init(&j->out, STORE_NAMES_MAX);
    submit(s, j);
}

void store_read_log(struct store *s, const struct store_log_query *q, store_on_log *on_done, void *owner)
{
    struct store_job *j = job_new(s, STORE_JOB_READ_LOG, owner, 0);
    j->callback.on_log = on_done;
    j->query = *q;
    buf_init(&j->out, STORE_LOG_READ_MAX);
    submit(s, j);
}

void store_submit(struct store *s, struct store_task *t)
{
    t->error = (struct err){0};
    submit(s, job_new(s, STORE_JOB_TASK, t, 0));
}

struct store_db *store_database(struct store *s)
{
    assert(!s->started);
    return store_sql_db(s->sql);
}

/* ---- lines ---- */

static struct store_dropped *find_dropped(struct store *s, const char *function)
{
    for (unsigned i = 0; i < s->dropped_count; i++)
        if (strcmp(s->dropped[i].function, function) == 0)
            return &s->dropped[i];
    return NULL;
}

/* A function that finds all slots taken is not counted: sixteen others that flood the log tell the story. */
static void count_dropped(struct store *s, const char *function)
{
    struct store_dropped *d = find_dropped(s, function);
    if (!d && s->dropped_count < STORE_DROPPED_MAX) {
        d = &s->dropped[s->dropped_count++];
        d->count = 0;
        str_copy(str_from(function), d->function, sizeof(d->function));
    }
    if (d)
        d->count++;
}

static void tell_followers(struct store *s, const char *function, const struct store_line *line, uint64_t at)
{
    bool printed = false;
    for (struct store_follower *f = s->followers; f; f = s->follower_next) {
        s->follower_next = f->next;
        if (strcmp(f->function, function) != 0)
            continue;
        if (!printed) {
            s->follower_line.len = 0;
            if (store_line_print_json(line, &s->follower_line) < 0)
                return;
            printed = true;
        }
        f->on_line(f, buf_str(&s->follower_line), at);
    }
}

void store_log_line(struct store *s, const char *function, uint64_t instance, const char *request_id, struct str text)
{
    size_t limit = s->gateway->config->log_line_bytes;
    struct str kept = store_line_cut(text, limit < STORE_LINE_MAX ? limit : STORE_LINE_MAX);
    struct store_dropped *dropped = s->dropped_count ? find_dropped(s, function) : NULL;
    struct store_record r = {
        .instance = instance,
        .time_ms = clock_real_ms(),
        .cut = text.n - kept.n,
        .dropped = dropped ? dropped->count : 0,
        .name_size = (uint32_t)strlen(function),
        .request_size = (uint32_t)strlen(request_id),
    };
    assert(r.name_size < SETTINGS_NAME_MAX);
    struct iovec parts[] = {{&r, sizeof(r)},
                            {(void *)function, r.name_size},
                            {(void *)request_id, r.request_size},
                            {(void *)kept.p, kept.n}};
    bool fits = store_ring_put(&s->lines, parts, 4);
    if (!fits) {
        count_dropped(s, function);
    } else if (dropped) {
        *dropped = s->dropped[--s->dropped_count];
    }
    wake_thread(s, store_ring_used(&s->lines) > STORE_RING_BYTES / 4);
    if (s->followers) {
        struct store_line line = {.time_ms = r.time_ms,
                                  .instance = instance,
                                  .request = {request_id, r.request_size},
                                  .text = kept,
                                  .cut = r.cut};
        tell_followers(s, function, &line, fits ? store_ring_written(&s->lines) : UINT64_MAX);
    }
}

bool store_access_line(struct store *s, const char *file, struct str line)
{
    struct store_record r = {.request_size = (uint32_t)strlen(file)}; /* without a function's name */
    struct iovec parts[] = {{&r, sizeof(r)}, {(void *)file, r.request_size}, {(void *)line.p, line.n}};
    bool fits = store_ring_put(&s->lines, parts, 3);
    wake_thread(s, store_ring_used(&s->lines) > STORE_RING_BYTES / 4);
    return fits;
}

void store_follow(struct store *s, struct store_follower *f)
{
    f->next = s->followers;
    s->followers = f;
}

void store_unfollow(struct store *s, struct store_follower *f)
{
    struct store_follower **at = &s->followers;
    while (*at && *at != f)
        at = &(*at)->next;
    if (*at)
        *at = f->next;
    if (s->follower_next == f)
        s->follower_next = f->next;
}

/* ---- life ---- */

void store_configure(struct store *s)
{
    const struct config *c = s->gateway->config;
    atomic_store(&s->function_bytes, c->log_function_bytes);
    atomic_store(&s->total_bytes, c->log_total_bytes);
    if (s->started)
        wake_thread(s, true);
}

static int make_spares(struct store *s)
{
    for (int i = 0; i < STORE_SPARE_JOBS; i++) {
        struct store_job *j = calloc(1, sizeof(*j));
        if (!j)
            return -ENOMEM;
        j->is_spare = true;
        free_job(s, j);
    }
    return 0;
}

static int make_channels(struct store *s, struct err *e)
{
    s->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    s->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (s->wake_fd < 0 || s->done_fd < 0)
        return err_set(e, errno, "make an eventfd");
    int r = store_ring_init(&s->lines, STORE_RING_BYTES);
    if (r == 0)
        r = make_spares(s);
    return r < 0 ? err_set(e, -r, "make the store's rings") : 0;
}

static int open_parts(struct store *s, const char *db_dir, const char *log_dir, struct err *e)
{
    const struct config *c = s->gateway->config;
    const struct gateway_boot *boot = s->gateway->boot;
    struct store_log_limits limits = {.function_bytes = c->log_function_bytes, .total_bytes = c->log_total_bytes};
    int r = make_channels(s, e);
    if (r < 0)
        return r;
    s->staging_dirfd = open(boot->staging_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    s->versions_dirfd = open(boot->versions_dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (s->staging_dirfd < 0 || s->versions_dirfd < 0)
        return err_set(e, errno, "open '%s' and '%s'", boot->staging_dir, boot->versions_dir);
    r = store_lost_check(db_dir, s->versions_dirfd, e);
    if (r == 0)
        r = store_sql_open(&s->sql, db_dir, e);
    if (r == 0)
        r = store_log_open(&s->log, log_dir, &limits, e);
    if (r < 0)
        return r;
    s->access_dirfd = open(log_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->access_dirfd < 0)
        return err_set(e, errno, "open '%s'", log_dir);
    store_access_init(&s->access, s->access_dirfd);
    return 0;
}

struct store *store_open(struct gateway *g, const char *db_dir, const char *log_dir, struct err *e)
{
    struct store *s = calloc(1, sizeof(*s));
    if (!s) {
        err_set(e, ENOMEM, "open the store");
        return NULL;
    }
    s->gateway = g;
    store_access_init(&s->access, -1);
    s->wake_fd = s->done_fd = s->access_dirfd = s->staging_dirfd = s->versions_dirfd = -1;
    buf_init(&s->follower_line, 0);
    ev_io_init(&s->done_watcher, on_results, -1, EV_READ);
    if (open_parts(s, db_dir, log_dir, e) < 0) {
        store_close(s);
        return NULL;
    }
    store_configure(s);
    ev_io_set(&s->done_watcher, s->done_fd, EV_READ);
    s->done_watcher.data = s;
    ev_io_start(g->loop, &s->done_watcher);
    return s;
}

int store_load(struct store *s, int (*on_revision)(const struct store_revision *r, void *context), void *context,
               struct err *e)
{
    assert(!s->started);
    return store_sql_load(s->sql, on_revision, context, e);
}

int store_start(struct store *s, struct err *e)
{
    int r = thread_start(&s->thread, store_thread_main, s, e);
    s->started = r == 0;
    return r < 0 ? err_wrap(e, "the store") : 0;
}

static void free_jobs(struct store *s)
{
    struct store_job *j;
    while ((j = store_queue_take(&s->jobs)) || (j = store_queue_take(&s->results)))
        free_job(s, j);
    while ((j = s->refused)) {
        s->refused = j->next;
        free_job(s, j);
    }
    while ((j = s->spare)) {
        s->spare = j->next;
        free(j);
    }
}

void store_close(struct store *s)
{
    if (!s)
        return;
    if (s->started) {
        atomic_store(&s->stop, true);
        wake_thread(s, true);
        pthread_join(s->thread, NULL);
    }
    ev_io_stop(s->gateway->loop, &s->done_watcher);
    free_jobs(s);
    store_access_fini(&s->access);
    store_log_close(s->log);
    store_sql_close(s->sql);
    store_ring_fini(&s->lines);
    buf_fini(&s->follower_line);
    fd_close(&s->wake_fd);
    fd_close(&s->done_fd);
    fd_close(&s->access_dirfd);
    fd_close(&s->staging_dirfd);
    fd_close(&s->versions_dirfd);
    free(s);
}
