/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"

#include <string.h>
#include <strings.h>

struct str str_from(const char *text)
{
    return (struct str){.p = text, .n = text ? strlen(text) : 0};
}

bool str_equal(struct str a, struct str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

bool str_is(struct str a, const char *text)
{
    return str_equal(a, str_from(text));
}

bool str_is_nocase(struct str a, const char *text)
{
    return a.n == strlen(text) && (a.n == 0 || strncasecmp(a.p, text, a.n) == 0);
}

bool str_starts_with(struct str a, const char *prefix)
{
    size_t n = strlen(prefix);
    return a.n >= n && (n == 0 || memcmp(a.p, prefix, n) == 0);
}

struct str str_skip(struct str a, size_t n)
{
    if (n >= a.n)
        return (struct str){0};
    return (struct str){.p = a.p + n, .n = a.n - n};
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

struct str str_trim(struct str a)
{
    while (a.n && is_blank(a.p[0])) {
        a.p++;
        a.n--;
    }
    while (a.n && is_blank(a.p[a.n - 1]))
        a.n--;
    return a;
}

struct str str_cut(struct str a, char at, struct str *rest, bool *ret_found)
{
    const char *hit = a.n ? memchr(a.p, at, a.n) : NULL;
    if (ret_found)
        *ret_found = hit != NULL;
    if (!hit) {
        *rest = (struct str){0};
        return a;
    }
    size_t n = (size_t)(hit - a.p);
    *rest = (struct str){.p = hit + 1, .n = a.n - n - 1};
    return (struct str){.p = a.p, .n = n};
}

bool str_copy(struct str a, char *out, size_t cap)
{
    if (a.n >= cap || (a.n && memchr(a.p, '\0', a.n))) {
        out[0] = '\0';
        return false;
    }
    if (a.n)
        memcpy(out, a.p, a.n);
    out[a.n] = '\0';
    return true;
}

bool str_to_u64(struct str a, uint64_t *ret_value)
{
    uint64_t value = 0;
    if (a.n == 0)
        return false;
    for (size_t i = 0; i < a.n; i++) {
        if (a.p[i] < '0' || a.p[i] > '9')
            return false;
        if (__builtin_mul_overflow(value, 10u, &value) ||
            __builtin_add_overflow(value, (uint64_t)(a.p[i] - '0'), &value))
            return false;
    }
    *ret_value = value;
    return true;
}

uint64_t str_hash(struct str a, uint64_t seed)
{
    uint64_t h = 0xcbf29ce484222325u ^ seed;
    for (size_t i = 0; i < a.n; i++) {
        h ^= (unsigned char)a.p[i];
        h *= 0x100000001b3u;
    }
    return h ^ h >> 32; /* the low bits of FNV are its weakest, and tables mask them */
}

unsigned str_slips(const char *word)
{
    size_t n = strlen(word);
    return n < 4 ? 1 : n < 6 ? 2 : 3;
}

unsigned str_distance(const char *a, const char *b)
{
    enum { MAX = 64 };
    size_t na = strlen(a);
    size_t nb = strlen(b);
    if (na >= MAX || nb >= MAX)
        return MAX;
    unsigned row[MAX + 1];
    for (size_t j = 0; j <= nb; j++)
        row[j] = (unsigned)j;
    for (size_t i = 1; i <= na; i++) {
        unsigned diagonal = row[0];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= nb; j++) {
            unsigned best = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[nb];
}
