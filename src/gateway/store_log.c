/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/store_log_files.h"

#include "base/clock.h"
#include "base/fdio.h"
#include "base/log.h"

#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { BATCH_BYTES = 16 * 1024 /* of one log, before it is written without waiting for the flush */ };

/* ---- files ---- */

const char *store_log_path(char out[STORE_LOG_PATH_MAX], const char *function, const char *file)
{
    size_t n = strlen(function);
    assert(n < SETTINGS_NAME_MAX);
    memcpy(out, function, n);
    out[n] = '/';
    strcpy(out + n + 1, file);
    return out;
}

uint64_t store_log_size_at(const struct store_log *l, const char *path)
{
    struct stat st;
    return fstatat(l->dirfd, path, &st, AT_SYMLINK_NOFOLLOW) == 0 ? (uint64_t)st.st_size : 0;
}

void store_log_remove_file(struct store_log *l, const char *path)
{
    uint64_t size = store_log_size_at(l, path);
    if (unlinkat(l->dirfd, path, 0) == 0)
        l->total -= size < l->total ? size : l->total;
}

/* Cuts away what a crash left of a last line. */
static int repair(int fd, uint64_t *ret_size)
{
    struct stat st;
    char block[4096];
    if (fstat(fd, &st) < 0)
        return -errno;
    off_t end = st.st_size;
    while (end > 0) {
        size_t n = end < (off_t)sizeof(block) ? (size_t)end : sizeof(block);
        ssize_t got = pread(fd, block, n, end - (off_t)n);
        if (got != (ssize_t)n)
            return got < 0 ? -errno : -EIO;
        const char *newline = memrchr(block, '\n', n);
        if (newline) {
            end -= (off_t)n - (newline - block) - 1;
            break;
        }
        end -= (off_t)n;
    }
    if (end != st.st_size && fd_truncate(fd, end) < 0)
        return -errno;
    *ret_size = (uint64_t)end;
    return 0;
}

static int open_current(struct store_log *l, struct open_log *o)
{
    char path[STORE_LOG_PATH_MAX];
    if (mkdirat(l->dirfd, o->function, 0700) < 0 && errno != EEXIST)
        return -errno;
    scoped_fd fd = openat(l->dirfd, store_log_path(path, o->function, STORE_LOG_CURRENT),
                          O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -errno;
    int r = repair(fd, &o->size);
    if (r < 0)
        return r;
    o->fd = fd_take(&fd);
    return 0;
}

/* ---- writing ---- */

static void close_log(struct open_log *o)
{
    fd_close(&o->fd);
    buf_fini(&o->batch);
    o->function[0] = '\0';
    o->batch_lines = 0;
    o->lost = 0;
    o->used = 0;
}

static void lose_batch(struct store_log *l, struct open_log *o, int error)
{
    o->lost += o->batch_lines;
    o->lost_errno = error;
    o->batch.len = 0;
    o->batch_lines = 0;
    if (!l->troubled)
        log_warn("a function's log cannot be written, lines are dropped and counted until it works again fn=%s: %s",
                 o->function, strerrorname_np(error));
    l->troubled = true;
}

static void rotate(struct store_log *l, struct open_log *o)
{
    char from[STORE_LOG_PATH_MAX], to[STORE_LOG_PATH_MAX];
    store_log_path(from, o->function, STORE_LOG_CURRENT);
    store_log_path(to, o->function, STORE_LOG_ROTATED);
    uint64_t dropped = store_log_size_at(l, to);
    if (renameat(l->dirfd, from, l->dirfd, to) == 0)
        l->total -= dropped < l->total ? dropped : l->total;
    else
        store_log_remove_file(l, from); /* the limit holds in any case */
    fd_close(&o->fd);
}

static int write_batch(struct open_log *o)
{
    int r = fd_write_full(o->fd, o->batch.data, o->batch.len);
    /* Half a line is worse than none; when even the cut fails, the repair at the next open does it. */
    if (r < 0 && fd_truncate(o->fd, (off_t)o->size) < 0)
        fd_close(&o->fd);
    return r;
}

/* Before the first lines that get through again. */
static void tell_lost(struct open_log *o)
{
    char text[128];
    struct buf told;
    if (!o->lost)
        return;
    buf_init(&told, 0);
    const char *name = strerrorname_np(o->lost_errno);
    int n = snprintf(text, sizeof(text), "faasd: %lu lines are missing here: the log could not be written (%s)",
                     (unsigned long)o->lost, name ? name : "?");
    struct store_line line = {.time_ms = clock_real_ms(), .text = {text, (size_t)n}};
    if (store_line_print(&line, &told) == 0 && buf_add_str(&told, buf_str(&o->batch)) == 0) {
        struct buf before = o->batch;
        o->batch = told;
        told = before;
        o->batch_lines++;
    }
    buf_fini(&told);
}

static void flush_one(struct store_log *l, struct open_log *o)
{
    if (o->batch.len == 0)
        return;
    unsigned own_lines = o->batch_lines;
    tell_lost(o);
    if (o->fd >= 0 && o->size && o->size + o->batch.len > l->limits.function_bytes / 2)
        rotate(l, o);
    int r = o->fd >= 0 ? 0 : open_current(l, o);
    if (r == 0)
        r = write_batch(o);
    if (r < 0) {
        o->batch_lines = own_lines;
        lose_batch(l, o, -r);
        return;
    }
    o->size += o->batch.len;
    l->total += o->batch.len;
    o->batch.len = 0;
    o->batch_lines = 0;
    if (o->lost)
        log_info("a function's log can be written again fn=%s dropped=%lu", o->function, (unsigned long)o->lost);
    o->lost = 0;
    l->troubled = false;
    store_log_hold_total(l);
}

void store_log_flush(struct store_log *l)
{
    for (struct open_log *o = l->open; o < l->open + STORE_LOG_OPEN_MAX; o++)
        if (o->function[0]) {
            flush_one(l, o);
            buf_fini(&o->batch); /* a flush comes when there is nothing more to do: idle logs hold no memory */
        }
}

/* A log that owes its function a count of lost lines is given up last. */
static bool is_better_victim(const struct open_log *a, const struct open_log *b)
{
    if (!a->lost != !b->lost)
        return !a->lost;
    return a->used < b->used;
}

static struct open_log *find_open(struct store_log *l, const char *function)
{
    struct open_log *victim = &l->open[0];
    for (struct open_log *o = l->open; o < l->open + STORE_LOG_OPEN_MAX; o++) {
        if (strcmp(o->function, function) == 0)
            return o;
        if (is_better_victim(o, victim))
            victim = o;
    }
    if (victim->function[0]) {
        flush_one(l, victim);
        close_log(victim);
    }
    strcpy(victim->function, function);
    victim->size = 0;
    victim->fd = -1;
    return victim;
}

void store_log_append(struct store_log *l, const char *function, const struct store_line *line)
{
    assert(settings_name_is_valid(str_from(function)));
    struct open_log *o = find_open(l, function);
    o->used = ++l->tick;
    if (store_line_print(line, &o->batch) < 0) {
        o->lost++;
        o->lost_errno = ENOMEM;
        return;
    }
    o->batch_lines++;
    if (o->batch.len >= BATCH_BYTES)
        flush_one(l, o);
}

/* ---- life ---- */

int store_log_open(struct store_log **ret_log, const char *dir, const struct store_log_limits *limits, struct err *e)
{
    scoped_fd fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_set(e, errno, "open '%s'", dir);
    struct store_log *l = calloc(1, sizeof(*l));
    if (!l)
        return err_set(e, ENOMEM, "open '%s'", dir);
    l->dirfd = fd_take(&fd);
    l->limits = *limits;
    for (struct open_log *o = l->open; o < l->open + STORE_LOG_OPEN_MAX; o++)
        o->fd = -1;
    *ret_log = l;
    return 0;
}

void store_log_close(struct store_log *l)
{
    if (!l)
        return;
    store_log_flush(l);
    for (struct open_log *o = l->open; o < l->open + STORE_LOG_OPEN_MAX; o++)
        close_log(o);
    fd_close(&l->dirfd);
    free(l);
}

void store_log_limit(struct store_log *l, const struct store_log_limits *limits)
{
    l->limits = *limits;
    store_log_hold_total(l);
}

uint64_t store_log_total(const struct store_log *l)
{
    return l->total;
}

/* ---- removing ---- */

void store_log_remove(struct store_log *l, const char *function)
{
    char path[STORE_LOG_PATH_MAX];
    for (struct open_log *o = l->open; o < l->open + STORE_LOG_OPEN_MAX; o++)
        if (strcmp(o->function, function) == 0)
            close_log(o);
    store_log_remove_file(l, store_log_path(path, function, STORE_LOG_CURRENT));
    store_log_remove_file(l, store_log_path(path, function, STORE_LOG_ROTATED));
    if (unlinkat(l->dirfd, function, AT_REMOVEDIR) < 0 && errno != ENOENT)
        log_warn("the log directory of a removed function stays fn=%s: %s", function, strerrorname_np(errno));
}
