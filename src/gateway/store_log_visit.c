/* SPDX-License-Identifier: Apache-2.0 */
/* A log from its first line to its last. */
#include "base/fdio.h"
#include "gateway/store_log_files.h"

#include <assert.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { BLOCK = 65536 };

struct visit {
    bool (*on_line)(const struct store_line *line, void *context);
    void *context;
    bool over;
};

static void take_lines(struct visit *v, struct buf *held)
{
    size_t at = 0;
    while (!v->over) {
        const char *end = memchr(held->data + at, '\n', held->len - at);
        struct store_line line;
        if (!end)
            break;
        struct str text = {held->data + at, (size_t)(end - held->data) - at};
        at += text.n + 1;
        if (store_line_parse(text, &line))
            v->over = !v->on_line(&line, v->context);
    }
    buf_drop_front(held, at);
}

static int read_file(int fd, struct visit *v, struct buf *held)
{
    for (;;) {
        int r = buf_reserve(held, BLOCK);
        ssize_t n = r < 0 ? r : read(fd, held->data + held->len, BLOCK);
        if (r < 0)
            return r;
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : 0;
        held->len += (size_t)n;
        take_lines(v, held);
        if (v->over)
            return 0;
    }
}

static int visit_file(struct store_log *l, const char *function, const char *file, struct visit *v)
{
    char path[STORE_LOG_PATH_MAX];
    struct buf held;
    scoped_fd fd = openat(l->dirfd, store_log_path(path, function, file), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return errno == ENOENT ? 0 : -errno;
    buf_init(&held, 0);
    int r = read_file(fd, v, &held);
    buf_fini(&held);
    return r;
}

int store_log_visit(struct store_log *l, const char *function,
                    bool (*on_line)(const struct store_line *line, void *context), void *context, struct err *e)
{
    struct visit v = {.on_line = on_line, .context = context};
    assert(settings_name_is_valid(str_from(function)));
    store_log_flush(l);
    int r = visit_file(l, function, STORE_LOG_ROTATED, &v);
    if (r == 0 && !v.over)
        r = visit_file(l, function, STORE_LOG_CURRENT, &v);
    return r < 0 ? err_set(e, -r, "read the log of '%s'", function) : 0;
}

uint64_t store_log_size(const struct store_log *l, const char *function)
{
    char path[STORE_LOG_PATH_MAX];
    return store_log_size_at(l, store_log_path(path, function, STORE_LOG_ROTATED)) +
           store_log_size_at(l, store_log_path(path, function, STORE_LOG_CURRENT));
}
