/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON (RFC 8259): a strict reader with line numbers, and a writer that prints straight into a struct buf.
 *
 * The reader refuses what different programs read differently: duplicate keys, \u0000 and lone surrogates, invalid UTF-8, control characters
 * in strings, numbers that no double holds, nesting beyond JSON_DEPTH_MAX. Every accessor takes NULL (an absent value) and answers "no".
 */
#ifndef FAASD_CODEC_JSON_H
#define FAASD_CODEC_JSON_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    JSON_DEPTH_MAX = 64,
    JSON_NUMBER_MAX = 60,      /* characters of one number */
    JSON_BYTES_MAX = 16 << 20, /* of one text; callers have smaller limits of their own */
};

enum json_flag {
    JSON_STRICT = 0,
    JSON_COMMENTS = 1, /* files that people write: line comments (two slashes) and block comments count as spaces */
};

enum json_type { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

struct json_doc; /* a parsed text; owns all its values */
struct json;     /* one value, borrowed from its document */

/* One value with nothing behind it. -EINVAL with "line 3, column 7: ...", -ENOMEM, -EMSGSIZE. `flags`: enum json_flag. */
int json_parse(struct str text, unsigned flags, struct json_doc **ret_doc, struct err *e);
void json_free(struct json_doc *doc); /* NULL is fine */
const struct json *json_root(const struct json_doc *doc);

/* The line (from 1) of a value: for an object's member that of its key. 0 for a value of another document. Linear: for messages. */
unsigned json_line(const struct json_doc *doc, const struct json *value);

enum json_type json_type_of(const struct json *v); /* JSON_NULL for NULL */
const char *json_type_name(const struct json *v);  /* "a string", "null", ... */
bool json_is_object(const struct json *v);
bool json_is_array(const struct json *v);
bool json_is_null(const struct json *v); /* a null that is there; false for NULL */

const struct json *json_get(const struct json *object, const char *key); /* NULL when absent or no object */
const char *json_key(const struct json *v);                              /* of an object's member; NULL otherwise */
const struct json *json_first(const struct json *v);                     /* of an array or object; NULL when empty */
const struct json *json_next(const struct json *v);
size_t json_count(const struct json *v);

/* Members or elements, one after the other. */
#define JSON_EACH(container_, at) for (const struct json *at = json_first(container_); at; at = json_next(at))

const char *json_text(const struct json *v);                 /* NULL unless a string; UTF-8, without NULs inside */
bool json_to_bool(const struct json *v, bool *ret_value);    /* false unless true or false */
bool json_to_u64(const struct json *v, uint64_t *ret_value); /* whole numbers from 0 to 2^53 */
bool json_to_double(const struct json *v, double *ret_value);

/* The same for a member: json_text(json_get(object, key)) and so on. */
const char *json_get_text(const struct json *object, const char *key);
bool json_get_u64(const struct json *object, const char *key, uint64_t *ret_value);
bool json_get_bool(const struct json *object, const char *key, bool *ret_value);

/* Arbitrary bytes as a JSON string, quotes included: invalid UTF-8 becomes U+FFFD (one per bad byte), control characters and DEL are escaped,
 * so that the result is safe on a terminal. 0, -ENOMEM or -EMSGSIZE. */
int json_escape(struct buf *out, struct str bytes);

/*
 * The writer. The first failure (memory, the buffer's limit, more than 63 levels) sticks; everything after it does nothing, so callers check json_writer_end() alone.
 * `key` is the member's name inside an object and NULL inside an array or at the top.
 */
struct json_writer {
    struct buf *out; /* borrowed */
    int error;       /* 0 or -errno */
    unsigned depth;
    uint64_t members; /* bit d: something stands at depth d already */
};

void json_writer_init(struct json_writer *w, struct buf *out);
int json_writer_end(const struct json_writer *w); /* 0 or -errno; every object and array must be closed */

void json_put_object(struct json_writer *w, const char *key); /* opens; json_put_object_end closes */
void json_put_object_end(struct json_writer *w);
void json_put_array(struct json_writer *w, const char *key);
void json_put_array_end(struct json_writer *w);
void json_put_str(struct json_writer *w, const char *key, struct str value);
void json_put_text(struct json_writer *w, const char *key, const char *value); /* NULL prints null */
void json_put_u64(struct json_writer *w, const char *key, uint64_t value);
void json_put_i64(struct json_writer *w, const char *key, int64_t value);
void json_put_double(struct json_writer *w, const char *key, double value);  /* null when not finite */
void json_put_milli(struct json_writer *w, const char *key, uint64_t milli); /* 1500 prints 1.5 */
void json_put_bool(struct json_writer *w, const char *key, bool value);
void json_put_null(struct json_writer *w, const char *key);
void json_put_raw(struct json_writer *w, const char *key, struct str json); /* text that is JSON already */
void json_put_value(struct json_writer *w, const char *key,
                    const struct json *value); /* a parsed value again; NULL prints null */

#endif
