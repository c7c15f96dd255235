/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fdio.h"
#include "gateway/store_log_files.h"
#include "gateway/store_log_tail.h"

#include <assert.h>
#include <fcntl.h>
#include <string.h>

/* Lines come newest first and are wanted oldest first, so they are laid down from the end of a block of memory towards its beginning. */
struct answer {
    const struct store_log_query *query;
    char *bytes;
    size_t begin, cap;
    uint32_t lines;
    bool full;
    struct buf line; /* the one at hand */
};

static bool matches(const struct store_log_query *q, const struct store_line *line)
{
    if (q->since_ms && line->time_ms < q->since_ms)
        return false;
    if (q->until_ms && line->time_ms >= q->until_ms)
        return false;
    return !q->request_id[0] || str_is(line->request, q->request_id);
}

static int lay_down(struct answer *a, const struct store_line *line)
{
    a->line.len = 0;
    int r = store_line_print_json(line, &a->line);
    if (r < 0)
        return r;
    if (a->line.len > a->begin) {
        a->full = true;
        return 0;
    }
    a->begin -= a->line.len;
    memcpy(a->bytes + a->begin, a->line.data, a->line.len);
    a->lines++;
    a->full = a->query->lines && a->lines == a->query->lines;
    return 0;
}

static int read_one(struct store_log *l, const char *file, struct answer *a)
{
    char path[STORE_LOG_PATH_MAX];
    struct store_log_tail tail;
    struct str text;
    scoped_fd fd = openat(l->dirfd, store_log_path(path, a->query->function, file), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return errno == ENOENT ? 0 : -errno;
    int r = store_log_tail_open(&tail, fd);
    if (r < 0)
        return r;
    while (!a->full && (r = store_log_tail_next(&tail, &text)) > 0) {
        struct store_line line;
        if (!store_line_parse(text, &line) || !matches(a->query, &line))
            continue;
        r = lay_down(a, &line);
        if (r < 0)
            break;
    }
    store_log_tail_close(&tail);
    return r < 0 ? r : 0;
}

int store_log_read(struct store_log *l, const struct store_log_query *q, struct buf *out, struct err *e)
{
    assert(settings_name_is_valid(str_from(q->function)));
    struct answer a = {.query = q, .cap = out->limit - out->len};
    a.bytes = malloc(a.cap);
    a.begin = a.cap;
    buf_init(&a.line, 0);
    store_log_flush(l);
    int r = a.bytes ? read_one(l, STORE_LOG_CURRENT, &a) : -ENOMEM;
    if (r == 0 && !a.full)
        r = read_one(l, STORE_LOG_ROTATED, &a);
    if (r == 0)
        r = buf_add(out, a.bytes + a.begin, a.cap - a.begin);
    buf_fini(&a.line);
    free(a.bytes);
    return r < 0 ? err_set(e, -r, "read the log of '%s'", q->function) : 0;
}
