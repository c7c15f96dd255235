/* SPDX-License-Identifier: Apache-2.0 */
/* A borrowed run of bytes, not NUL-terminated. p may be NULL when n is 0. */
#ifndef FAASD_BASE_STR_H
#define FAASD_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct str {
    const char *p; /* borrowed */
    size_t n;
};

#define STR_LITERAL(s) ((struct str){.p = (s), .n = sizeof(s) - 1})

struct str str_from(const char *text); /* NULL gives the empty run */
bool str_equal(struct str a, struct str b);
bool str_is(struct str a, const char *text);
bool str_is_nocase(struct str a, const char *text); /* ASCII case only */
bool str_starts_with(struct str a, const char *prefix);
struct str str_skip(struct str a, size_t n); /* all but the first n; empty when shorter */
struct str str_trim(struct str a);           /* without spaces and tabs at both ends */

/* Cuts at the first `at`: returns what stands before it (all of it when absent) and leaves the rest,
 * without `at`, in *rest. *ret_found may be NULL. */
struct str str_cut(struct str a, char at, struct str *rest, bool *ret_found);

/* Copies with a NUL; false (and an empty string) when it does not fit or holds a NUL. */
bool str_copy(struct str a, char *out, size_t cap);

/* Decimal digits only, no sign, no leading or trailing anything; false on overflow. */
bool str_to_u64(struct str a, uint64_t *ret_value);

/* 64-bit FNV-1a started from `seed` (http://www.isthe.com/chongo/tech/comp/fnv/), for hash tables keyed by checked names. */
uint64_t str_hash(struct str a, uint64_t seed);

/* Edit distance (insert, delete, replace), cut off at 64: for "did you mean", where str_slips() of them may still be a slip of the hand: of five letters not three. */
unsigned str_distance(const char *a, const char *b);
unsigned str_slips(const char *word);

#endif
