/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/bucket_object.h"

#include "base/fdio.h"
#include "gateway/link.h"
#include "gateway/store.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PIECE_BYTES = 128 << 10 };

struct bucket_object {
    struct link_waiter waiter; /* first */
    struct store_task task;
    struct gateway *gateway;
    const struct bucket_object_events *on; /* borrowed */
    void *owner;
    int fd;      /* owned; -1: not open */
    bool busy;   /* the supervisor or the store's thread has it */
    bool closed; /* to be freed when it comes back */
    size_t n;
    char piece[PIECE_BYTES];
};

static_assert(offsetof(struct bucket_object, waiter) == 0, "on_opened recovers the object from its waiter");

static void object_free(struct bucket_object *o)
{
    fd_close(&o->fd);
    free(o);
}

/* ---- opening ---- */

static void on_opened(struct link_waiter *w, const struct message_header *m, const int *fds, unsigned fd_count)
{
    struct bucket_object *o = (struct bucket_object *)(void *)w;
    struct stat st = {0};
    struct err e = {0};
    for (unsigned i = 1; i < fd_count; i++)
        close(fds[i]);
    if (fd_count)
        o->fd = fds[0];
    if (m->type != MESSAGE_DONE)
        return;
    o->busy = false;
    if (o->closed) {
        object_free(o);
        return;
    }
    e = ((const struct message_failed *)(const void *)m)->error;
    if (e.code == 0 && o->fd < 0)
        err_say(&e, EAGAIN, "no descriptor is free");
    else if (e.code == 0 && fstat(o->fd, &st) < 0)
        err_set(&e, errno, "look at the file");
    o->on->on_open(o->owner, &e, (uint64_t)st.st_size);
}

struct bucket_object *bucket_object_open(struct gateway *g, const char *bucket, const char *key,
                                         const struct bucket_object_events *on, void *owner)
{
    struct message_object m = {.header.type = MESSAGE_OPEN_OBJECT};
    struct bucket_object *o = malloc(sizeof(*o));
    if (!o)
        return NULL;
    memset(o, 0, offsetof(struct bucket_object, piece));
    o->gateway = g;
    o->on = on;
    o->owner = owner;
    o->fd = -1;
    o->busy = true;
    o->waiter.on_message = on_opened;
    /* What does not fit is in no bucket: a name that the supervisor will not find. */
    if (!str_copy(str_from(bucket), m.bucket, sizeof(m.bucket)) || !str_copy(str_from(key), m.key, sizeof(m.key))) {
        memcpy(m.bucket, "-", sizeof("-"));
        memcpy(m.key, "-", sizeof("-"));
    }
    link_register(g->link, &o->waiter);
    link_send(g->link, &o->waiter, &m.header, sizeof(m));
    return o;
}

/* ---- reading ---- */

static void run_read(struct store_task *t, struct store_db *db)
{
    struct bucket_object *o = (struct bucket_object *)(void *)((char *)t - offsetof(struct bucket_object, task));
    (void)db;
    ssize_t n = fd_read_full(o->fd, o->piece, sizeof(o->piece));
    o->n = n < 0 ? 0 : (size_t)n;
    if (n < 0)
        err_set(&t->error, (int)-n, "read the file");
}

static void on_read(struct store_task *t)
{
    struct bucket_object *o = (struct bucket_object *)(void *)((char *)t - offsetof(struct bucket_object, task));
    o->busy = false;
    if (o->closed)
        object_free(o);
    else
        o->on->on_piece(o->owner, &t->error, (struct str){o->piece, o->n});
}

void bucket_object_read(struct bucket_object *o)
{
    assert(!o->busy && o->fd >= 0);
    o->task = (struct store_task){.run = run_read, .done = on_read};
    o->busy = true;
    store_submit(o->gateway->store, &o->task);
}

void bucket_object_close(struct bucket_object *o)
{
    if (!o)
        return;
    o->closed = true;
    if (!o->busy)
        object_free(o);
}
