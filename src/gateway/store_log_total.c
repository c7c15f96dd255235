/* SPDX-License-Identifier: Apache-2.0 */
/* The cap over the logs of all functions, and the sweep at start. */
#include "base/fdio.h"
#include "gateway/store_log_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

enum { TOTAL_KEPT_EIGHTHS = 7 /* of total_bytes, once it was exceeded: so that the search for old files is rare */ };

struct old_file {
    struct timespec written;
    char path[STORE_LOG_PATH_MAX];
};

struct old_files {
    struct old_file *files;
    size_t count, cap;
};

static int compare_age(const void *a, const void *b)
{
    const struct timespec *x = &((const struct old_file *)a)->written;
    const struct timespec *y = &((const struct old_file *)b)->written;
    if (x->tv_sec != y->tv_sec)
        return x->tv_sec < y->tv_sec ? -1 : 1;
    return x->tv_nsec < y->tv_nsec ? -1 : x->tv_nsec > y->tv_nsec;
}

static void each_log(const struct store_log *l, void (*on_function)(const char *function, void *context), void *context)
{
    int copy = openat(l->dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = copy >= 0 ? fdopendir(copy) : NULL;
    if (!d) {
        fd_close(&copy);
        return;
    }
    for (const struct dirent *entry; (entry = readdir(d));)
        if (settings_name_is_valid(str_from(entry->d_name)))
            on_function(entry->d_name, context);
    closedir(d);
}

struct gather {
    const struct store_log *log;
    const char *file;
    struct old_files *old;
};

static void gather_file(const char *function, void *context)
{
    struct gather *g = context;
    struct old_files *old = g->old;
    char path[STORE_LOG_PATH_MAX];
    struct stat st;
    if (fstatat(g->log->dirfd, store_log_path(path, function, g->file), &st, AT_SYMLINK_NOFOLLOW) < 0 ||
        st.st_size == 0)
        return;
    if (old->count == old->cap) {
        size_t cap = old->cap ? 2 * old->cap : 64;
        struct old_file *files = realloc(old->files, cap * sizeof(*files));
        if (!files)
            return; /* fewer candidates this time */
        old->files = files;
        old->cap = cap;
    }
    struct old_file *f = &old->files[old->count++];
    f->written = st.st_mtim;
    memcpy(f->path, path, sizeof(path));
}

/* The current file of this path was removed: what is written next makes a new one. */
static void forget_path(struct store_log *l, const char *path)
{
    for (struct open_log *o = l->open; o < l->open + STORE_LOG_OPEN_MAX; o++) {
        size_t n = strlen(o->function);
        if (n && strncmp(path, o->function, n) == 0 && strcmp(path + n + 1, STORE_LOG_CURRENT) == 0) {
            fd_close(&o->fd);
            o->size = 0;
        }
    }
}

static void remove_oldest(struct store_log *l, const char *file, uint64_t target)
{
    struct old_files old = {0};
    struct gather g = {.log = l, .file = file, .old = &old};
    each_log(l, gather_file, &g);
    if (old.count)
        qsort(old.files, old.count, sizeof(*old.files), compare_age);
    for (size_t i = 0; i < old.count && l->total > target; i++) {
        store_log_remove_file(l, old.files[i].path);
        forget_path(l, old.files[i].path);
    }
    free(old.files);
}

void store_log_hold_total(struct store_log *l)
{
    if (l->total <= l->limits.total_bytes)
        return;
    uint64_t target = l->limits.total_bytes / 8 * TOTAL_KEPT_EIGHTHS;
    remove_oldest(l, STORE_LOG_ROTATED, target);
    remove_oldest(l, STORE_LOG_CURRENT, target);
}

struct sweep {
    struct store_log *log;
    bool (*wanted)(const char *function, void *context);
    void *context;
};

static void sweep_one(const char *function, void *context)
{
    struct sweep *s = context;
    char path[STORE_LOG_PATH_MAX];
    /* Counted in any case: removing takes off what was counted. */
    s->log->total += store_log_size_at(s->log, store_log_path(path, function, STORE_LOG_CURRENT));
    s->log->total += store_log_size_at(s->log, store_log_path(path, function, STORE_LOG_ROTATED));
    if (!s->wanted(function, s->context))
        store_log_remove(s->log, function);
}

void store_log_sweep(struct store_log *l, bool (*wanted)(const char *function, void *context), void *context)
{
    struct sweep s = {.log = l, .wanted = wanted, .context = context};
    store_log_flush(l);
    l->total = 0;
    each_log(l, sweep_one, &s);
    store_log_hold_total(l);
}
