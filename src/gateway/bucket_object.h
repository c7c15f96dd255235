/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One file of the configuration's code_buckets: the supervisor opens it, the store's thread reads it, since a disk may take its time.
 *
 *   OPENING  the supervisor was asked          none: it answers or its end ends the gateway
 *   RESTING  the owner has what was read
 *   READING  a piece is being read             none: the store answers every task
 */
#ifndef FAASD_GATEWAY_BUCKET_OBJECT_H
#define FAASD_GATEWAY_BUCKET_OBJECT_H

#include "base/str.h"
#include "gateway/gateway.h"

struct bucket_object;

struct bucket_object_events {
    /* Once. e->code 0: there it is, and has `bytes` now. ENXIO: no such bucket; ENOENT: no such file. */
    void (*on_open)(void *owner, const struct err *e, uint64_t bytes);
    /* After each bucket_object_read(): the next bytes, borrowed until the next call; none of them: its end. */
    void (*on_piece)(void *owner, const struct err *e, struct str piece);
};

/* `key` is a path beneath the bucket's directory. Never calls back from inside. NULL: memory is out. */
struct bucket_object *bucket_object_open(struct gateway *g, const char *bucket, const char *key,
                                         const struct bucket_object_events *on, void *owner);
void bucket_object_read(struct bucket_object *o); /* in RESTING alone */
void bucket_object_close(
    struct bucket_object *o); /* at any time, also from inside a callback; NULL is fine. Nothing is called any more */

#endif
