/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/log_tail.h"

#include "gateway/line_reader.h"

#include <stdlib.h>
#include <string.h>

struct log_tail *log_tail_new(void)
{
    struct log_tail *t = malloc(sizeof(*t));
    if (t) {
        t->reader = NULL;
        t->total = 0;
    }
    return t;
}

void log_tail_free(struct log_tail *t)
{
    if (t && t->reader)
        t->reader->also = NULL;
    free(t);
}

static void add(struct log_tail *t, struct str data)
{
    t->total += data.n;
    if (data.n > LOG_TAIL_MAX)
        data = str_skip(data, data.n - LOG_TAIL_MAX);
    size_t at = (t->total - data.n) % LOG_TAIL_MAX;
    size_t first = data.n < LOG_TAIL_MAX - at ? data.n : LOG_TAIL_MAX - at;
    if (first)
        memcpy(t->bytes + at, data.p, first);
    if (data.n > first)
        memcpy(t->bytes, data.p + first, data.n - first);
}

void log_tail_add(struct log_tail *t, struct str line)
{
    add(t, line);
    add(t, STR_LITERAL("\n"));
}

void log_tail_close(struct log_tail *t)
{
    struct line_reader *r = t->reader;
    if (!r)
        return;
    line_reader_drain(r);
    line_reader_flush(r);
    r->also = NULL;
    t->reader = NULL;
}

struct str log_tail_read(const struct log_tail *t, char out[LOG_TAIL_MAX])
{
    size_t n = t->total < LOG_TAIL_MAX ? t->total : LOG_TAIL_MAX;
    size_t from = (t->total - n) % LOG_TAIL_MAX;
    size_t first = n < LOG_TAIL_MAX - from ? n : LOG_TAIL_MAX - from;
    memcpy(out, t->bytes + from, first);
    memcpy(out + first, t->bytes, n - first);
    return (struct str){out, n};
}
