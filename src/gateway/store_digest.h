/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SHA-256 over a tree of code, and over a revision. The form (all integers little-endian), so that anyone can recompute it:
 *   tree     = "faasd-tree-1\0" entries
 *   entries  = the directory's entries by name in byte order, then 'e'
 *   entry    = type (one of d f x l), u32 length of the name, the name, and
 *              f, x (executable by its owner): u64 size, contents;  l: u32 length, target;  d: entries
 *   revision = "faasd-revision-1\0", the code's digest in hex, "\0" (with a tree at /opt: "faasd-revision-2\0" and that digest and "\0" behind the code's), the handler, "\0", the given settings as canonical JSON
 * Owners, times and other mode bits are normalised by the unpacker and mean nothing here.
 */
#ifndef FAASD_GATEWAY_STORE_DIGEST_H
#define FAASD_GATEWAY_STORE_DIGEST_H

#include "base/err.h"
#include "base/str.h"

enum {
    STORE_DIGEST_MAX = 65,
    STORE_DIGEST_DEPTH_MAX = 64, /* directories inside each other: one descriptor each */
};

struct store_digest_options {
    void (*on_pause)(
        void *context); /* called now and then: a large tree takes seconds, and the thread has other work */
    void *context;
};

/* The tree at PATH beneath dirfd. Follows no link; anything but directories, regular files and links is refused. *ret_bytes: contents of all files. */
int store_digest_compute(int dirfd, const char *path, const struct store_digest_options *o,
                         char ret_digest[STORE_DIGEST_MAX], uint64_t *ret_bytes, struct err *e);

struct store_digest_trees {
    const char *code;
    const char *opt; /* at /opt; NULL or "": none */
};
void store_digest_revision(const struct store_digest_trees *trees, const char *handler, struct str settings,
                           char ret_digest[STORE_DIGEST_MAX]);

#endif
