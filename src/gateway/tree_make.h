/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tree of versions/ that is no function's code: a layer's, of an archive, or one that several layers were merged to. As a deploy makes its tree: by a process in a sandbox, digested by the
 * store's thread, moved into place by the supervisor.
 *
 *   RECEIVING   the unpacker runs, the archive goes into its stdin     timer: unpack_timeout without a byte
 *   WORKING     all has come; it unpacks, or merges                    timer: unpack_timeout
 *   CANCELLING  time is up or the owner gave up; it is killed          none: the run's own timers end it
 *   DIGESTING   the store's thread hashes the tree                     none: the store answers every job
 *   PUBLISHING  the supervisor renames it into place                   none: it answers or its end ends the gateway
 *   HELD        on_done was called; no collector takes the tree        none: the owner releases it when his row is there
 */
#ifndef FAASD_GATEWAY_TREE_MAKE_H
#define FAASD_GATEWAY_TREE_MAKE_H

#include "base/list.h"
#include "base/str.h"
#include "gateway/gateway.h"
#include "supervisor/message.h"

/* Digests that somebody needs although no row names them yet. */
struct tree_hold {
    struct list link;
    char digest[MESSAGE_DIGEST_MAX];
};
void tree_hold(struct tree_hold *h, const char *digest);
void tree_let_go(struct tree_hold *h); /* of one that was never held, too */
bool tree_is_held(const char *digest);

struct tree_result {
    /* code 0: it is there. EINVAL: the archive is refused; EMSGSIZE: it is too large; ECANCELED; ENOSPC; EAGAIN; others: the host */
    struct err error;
    char digest[MESSAGE_DIGEST_MAX];
    uint64_t bytes; /* contents of all files */
};

struct tree_make_options {
    uint64_t bytes_max;
    unsigned layer_count; /* 0: of an archive, which is written; else merged of these */
    const char (*layers)[MESSAGE_DIGEST_MAX];
    void (*on_room)(void *owner);                              /* after a short tree_make_write() */
    void (*on_done)(void *owner, const struct tree_result *r); /* once, never from inside a call */
    void *owner;
};

enum { TREE_MAKE_MAX = 8 }; /* at once */

/* NULL with the reason (EAGAIN, ENOMEM, what pipe2(2) says). */
struct tree_make *tree_make_start(struct gateway *g, const struct tree_make_options *o, struct err *e);
size_t tree_make_write(struct tree_make *t, struct str piece); /* how much was taken */
void tree_make_end(struct tree_make *t);                       /* of the archive */
void tree_make_cancel(struct tree_make *t);                    /* before its end; on_done still comes */
void tree_make_release(struct tree_make *t);                   /* after on_done, or in it; NULL is fine */

unsigned tree_make_count(void); /* not released: for draining */

#endif
