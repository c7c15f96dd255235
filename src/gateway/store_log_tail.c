/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/store_log_tail.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int store_log_tail_open(struct store_log_tail *t, int fd)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return -errno;
    *t = (struct store_log_tail){.fd = fd, .position = st.st_size, .cap = 2 * STORE_LOG_TAIL_BLOCK};
    t->data = malloc(t->cap);
    if (!t->data)
        return -ENOMEM;
    t->begin = t->end = t->cap;
    return 0;
}

void store_log_tail_close(struct store_log_tail *t)
{
    free(t->data);
    t->data = NULL;
}

/* Room for a block before what is held. */
static int make_room(struct store_log_tail *t)
{
    if (t->begin >= STORE_LOG_TAIL_BLOCK)
        return 0;
    size_t held = t->end - t->begin;
    size_t cap = t->cap;
    while (cap < held + STORE_LOG_TAIL_BLOCK)
        cap *= 2;
    char *data = cap == t->cap ? t->data : malloc(cap);
    if (!data)
        return -ENOMEM;
    memmove(data + cap - held, t->data + t->begin, held);
    if (data != t->data)
        free(t->data);
    t->data = data;
    t->cap = cap;
    t->end = cap;
    t->begin = cap - held;
    return 0;
}

/* 1: more is held now. 0: the file's beginning was reached. */
static int read_block(struct store_log_tail *t)
{
    size_t n = t->position < STORE_LOG_TAIL_BLOCK ? (size_t)t->position : STORE_LOG_TAIL_BLOCK;
    if (n == 0)
        return 0;
    int r = make_room(t);
    if (r < 0)
        return r;
    size_t done = 0;
    while (done < n) {
        ssize_t got = pread(t->fd, t->data + t->begin - n + done, n - done, t->position - (off_t)n + (off_t)done);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? -errno : -EIO;
        done += (size_t)got;
    }
    t->begin -= n;
    t->position -= (off_t)n;
    return 1;
}

int store_log_tail_next(struct store_log_tail *t, struct str *ret_line)
{
    if (t->begin == t->end) {
        int r = read_block(t);
        if (r <= 0)
            return r;
    }
    /* The newline that ends the line itself is not the one that is looked for. */
    size_t stop = t->data[t->end - 1] == '\n' ? t->end - 1 : t->end;
    for (;;) {
        const char *before = memrchr(t->data + t->begin, '\n', stop - t->begin);
        size_t from_end = t->end - stop;
        if (before) {
            size_t start = (size_t)(before - t->data) + 1;
            *ret_line = (struct str){t->data + start, stop - start};
            t->end = start;
            return 1;
        }
        int r = read_block(t);
        if (r < 0)
            return r;
        stop = t->end - from_end;
        if (r == 0) {
            *ret_line = (struct str){t->data + t->begin, stop - t->begin};
            t->end = t->begin;
            return 1;
        }
    }
}
