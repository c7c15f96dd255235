/* SPDX-License-Identifier: Apache-2.0 */
/* A growable byte buffer with a named limit: every quantity that a user controls has one. */
#ifndef FAASD_BASE_BUF_H
#define FAASD_BASE_BUF_H

#include "base/str.h"

#include <stdarg.h>

struct buf {
    char *data;   /* owned */
    size_t len;   /* bytes in use */
    size_t cap;   /* bytes allocated */
    size_t limit; /* never grows beyond; 0 = no limit of its own */
};

void buf_init(struct buf *b, size_t limit);
void buf_fini(struct buf *b); /* frees; the buffer may be used again with the same limit */

/* Room for n more bytes at data + len. 0, -ENOMEM, or -EMSGSIZE when the limit forbids it; nothing changes then. */
int buf_reserve(struct buf *b, size_t n);
int buf_add(struct buf *b, const void *bytes, size_t n);
int buf_add_str(struct buf *b, struct str s);
int buf_add_text(struct buf *b, const char *text);
/* Full printf formats (vsnprintf): not for use between clone and exec. */
int buf_addf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buf_drop_front(struct buf *b, size_t n); /* forgets the first n bytes, moving the rest down */
struct str buf_str(const struct buf *b);

#endif
