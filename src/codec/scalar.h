/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One value of a settings or configuration struct, described by a table row: read from text or JSON, printed, compared and checked by the same row,
 * so that a key has one spelling, one parser and one error. Used by codec/settings*.c and codec/config*.c alone.
 */
#ifndef FAASD_CODEC_SCALAR_H
#define FAASD_CODEC_SCALAR_H

#include "base/buf.h"
#include "base/err.h"
#include "codec/json.h"

enum scalar_kind {
    SCALAR_SIZE,  /* uint64_t, bytes: "64M" */
    SCALAR_TIME,  /* uint64_t, milliseconds: "30s" */
    SCALAR_COUNT, /* uint32_t */
    SCALAR_MILLI, /* uint32_t, thousandths: 0.5 */
    SCALAR_MODE,  /* uint32_t, octal text: "0660" */
    SCALAR_BOOL,  /* bool */
    SCALAR_ENUM,  /* an enum whose names stand in `choices` */
    SCALAR_TEXT,  /* char[max], ended by a NUL */
};

struct scalar_choice {
    const char *name; /* NULL ends the list */
    int value;        /* -1: a later release brings it; refused by name */
};

struct scalar {
    const char *name; /* as people write it; "defaults.memory" inside an object */
    enum scalar_kind kind;
    size_t offset; /* within the struct */
    uint64_t min;
    uint64_t max; /* TEXT: the array's size */
    const struct scalar_choice *choices;
    int (*check)(const char *text, struct err *e); /* TEXT: what is allowed; NULL: any printable text */
};

/* All return 0 or -EINVAL with a sentence that doesn't name the key: the caller wraps it. `base`: the struct. */
int scalar_read_text(const struct scalar *k, void *base, struct str text, struct err *e);
int scalar_read_json(const struct scalar *k, void *base, const struct json *value, struct err *e);
int scalar_check(const struct scalar *k, const void *base, struct err *e); /* of a struct that somebody else made */

int scalar_print_text(const struct scalar *k, const void *base, struct buf *out); /* as people write it: "64M" */
void scalar_put_json(const struct scalar *k, const void *base, const char *key, struct json_writer *w);

bool scalar_is_equal(const struct scalar *k, const void *a, const void *b);
void scalar_copy(const struct scalar *k, void *to, const void *from);

/* UTF-8 without control characters. */
int scalar_check_printable(const char *text, struct err *e);

/* The candidate nearest to a misspelled word, or NULL when none is near. `next` returns the i-th name, NULL past the end. */
const char *scalar_find_nearest(const char *word, const char *(*next)(unsigned i));

#endif
