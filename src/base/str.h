/* SPDX-License-Identifier: Apache-2.0 */
/* A borrowed run of bytes, not NUL-terminated. p may be NULL when n is 0. */
#ifndef FAASD_BASE_STR_H
#define FAASD_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct str {
    const char *p; /* borrowed */
    size_t n;
};

#define STR_LITERAL(s) ((struct str){.p = (s), .n = sizeof(s) - 1})

/* Inline, because a literal's length is then known where it is compiled: a request is compared with some forty of them. */
static inline struct str str_from(const char *text) /* NULL gives the empty run */
{
    return (struct str){.p = text, .n = text ? strlen(text) : 0};
}

static inline bool str_equal(struct str a, struct str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline bool str_is(struct str a, const char *text)
{
    return str_equal(a, str_from(text));
}

bool str_equal_nocase(struct str a, struct str b); /* ASCII case only */

static inline bool str_is_nocase(struct str a, const char *text)
{
    struct str b = str_from(text);
    return a.n == b.n && str_equal_nocase(a, b);
}

static inline bool str_starts_with(struct str a, const char *prefix)
{
    size_t n = strlen(prefix);
    return a.n >= n && (n == 0 || memcmp(a.p, prefix, n) == 0);
}

static inline struct str str_skip(struct str a, size_t n) /* all but the first n; empty when shorter */
{
    return n >= a.n ? (struct str){0} : (struct str){.p = a.p + n, .n = a.n - n};
}

struct str str_trim(struct str a); /* without spaces and tabs at both ends */

/* Cuts at the first `at`: returns what stands before it (all of it when absent) and leaves the rest,
 * without `at`, in *rest. *ret_found may be NULL. */
struct str str_cut(struct str a, char at, struct str *rest, bool *ret_found);

/* Copies with a NUL; false (and an empty string) when it does not fit or holds a NUL. */
bool str_copy(struct str a, char *out, size_t cap);

/* Decimal digits only, no sign, no leading or trailing anything; false on overflow. */
bool str_to_u64(struct str a, uint64_t *ret_value);

/* 64-bit FNV-1a started from `seed` (http://www.isthe.com/chongo/tech/comp/fnv/), for hash tables keyed by checked names. */
uint64_t str_hash(struct str a, uint64_t seed);

/* Edit distance (insert, delete, replace), cut off at 64: for "did you mean". */
unsigned str_distance(const char *a, const char *b);

#endif
