/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/versions.h"

#include "base/id.h"
#include "gateway/async_config.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void versions_fini(struct versions *v)
{
    for (size_t i = 0; i < v->alias_count; i++)
        free(v->aliases[i]);
    free(v->aliases);
    free(v->known);
    async_config_clear(v);
    *v = (struct versions){0};
}

/* ---- numbers ---- */

/* Where it stands, or would. New ones come last, so the search begins there. */
static size_t place_of(const struct versions *v, uint64_t number)
{
    size_t at = v->count;
    while (at > 0 && v->known[at - 1].number >= number)
        at--;
    return at;
}

struct versions_known *versions_find(const struct versions *v, uint64_t number)
{
    size_t at = place_of(v, number);
    return at < v->count && v->known[at].number == number ? &v->known[at] : NULL;
}

/* One by one: most functions have a handful, and there are many functions. */
int versions_reserve(struct versions *v)
{
    if (v->count < v->capacity)
        return 0;
    struct versions_known *larger = reallocarray(v->known, v->capacity + 1, sizeof(*larger));
    if (!larger)
        return -ENOMEM;
    v->known = larger;
    v->capacity++;
    return 0;
}

int versions_add(struct versions *v, uint64_t number, uint64_t used_ms)
{
    struct versions_known *k = versions_find(v, number);
    if (k) {
        if (k->used_ms < used_ms)
            k->used_ms = used_ms;
        return 0;
    }
    size_t at = place_of(v, number);
    int r = versions_reserve(v);
    if (r < 0)
        return r;
    memmove(v->known + at + 1, v->known + at, (v->count - at) * sizeof(*v->known));
    v->known[at] = (struct versions_known){.number = number, .used_ms = used_ms};
    v->count++;
    return 0;
}

void versions_forget(struct versions *v, uint64_t number)
{
    size_t at = place_of(v, number);
    if (at == v->count || v->known[at].number != number)
        return;
    v->warm_total -= v->known[at].warm;
    async_config_forget_number(v, number);
    versions_note_last(v, number);
    v->count--;
    memmove(v->known + at, v->known + at + 1, (v->count - at) * sizeof(*v->known));
}

void versions_note_last(struct versions *v, uint64_t number)
{
    if (v->last < number)
        v->last = number;
}

uint64_t versions_next(const struct versions *v)
{
    uint64_t highest = v->count ? v->known[v->count - 1].number : 0;
    return (highest > v->last ? highest : v->last) + 1;
}

/* ---- aliases ---- */

/* ^(?![0-9]+$)[A-Za-z0-9_-]{1,128}$ */
bool versions_alias_is_valid(struct str name)
{
    bool any_other = false;
    if (name.n == 0 || name.n >= VERSIONS_ALIAS_MAX)
        return false;
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        bool digit = c >= '0' && c <= '9';
        bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' || c == '-';
        if (!digit && !letter)
            return false;
        any_other = any_other || letter;
    }
    return any_other;
}

/* Negative: `name` comes before the alias. */
static int compare(struct str name, const struct versions_alias *a)
{
    size_t n = strlen(a->name);
    int r = memcmp(name.p, a->name, name.n < n ? name.n : n);
    return r ? r : (name.n > n) - (name.n < n);
}

/* Where it stands, or would. */
static size_t alias_place(const struct versions *v, struct str name, bool *ret_found)
{
    size_t low = 0;
    size_t high = v->alias_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int r = compare(name, v->aliases[middle]);
        if (r == 0) {
            *ret_found = true;
            return middle;
        }
        if (r < 0)
            high = middle;
        else
            low = middle + 1;
    }
    *ret_found = false;
    return low;
}

const struct versions_alias *versions_find_alias(const struct versions *v, struct str name)
{
    bool found;
    size_t at = alias_place(v, name, &found);
    return found ? v->aliases[at] : NULL;
}

static struct versions_alias *insert_alias(struct versions *v, size_t at)
{
    struct versions_alias *fresh = malloc(sizeof(*fresh));
    struct versions_alias **larger =
        fresh ? reallocarray(v->aliases, v->alias_count + 1, sizeof(struct versions_alias *)) : NULL;
    if (!larger) {
        free(fresh);
        return NULL;
    }
    v->aliases = larger;
    memmove(larger + at + 1, larger + at, (v->alias_count - at) * sizeof(struct versions_alias *));
    larger[at] = fresh;
    v->alias_count++;
    return fresh;
}

int versions_set_alias(struct versions *v, const struct versions_alias *a)
{
    bool found;
    size_t at = alias_place(v, str_from(a->name), &found);
    struct versions_alias *to = found ? v->aliases[at] : insert_alias(v, at);
    if (!to)
        return -ENOMEM;
    uint32_t warm = found ? to->warm : 0;
    uint64_t warm_ms = found ? to->warm_ms : 0;
    *to = *a;
    to->warm = warm;
    to->warm_ms = warm_ms;
    return 0;
}

void versions_remove_alias(struct versions *v, struct str name)
{
    bool found;
    size_t at = alias_place(v, name, &found);
    if (!found)
        return;
    v->warm_total -= v->aliases[at]->warm;
    async_config_remove(v, name);
    free(v->aliases[at]);
    v->alias_count--;
    memmove(v->aliases + at, v->aliases + at + 1, (v->alias_count - at) * sizeof(struct versions_alias *));
}

/* ---- qualifiers ---- */

static uint64_t draw(const struct versions_alias *a)
{
    if (!a->second || !a->weight)
        return a->number;
    return id_random_u64() % VERSIONS_WEIGHT_ONE < a->weight ? a->second : a->number;
}

static bool is_number(struct str q)
{
    for (size_t i = 0; i < q.n; i++)
        if (q.p[i] < '0' || q.p[i] > '9')
            return false;
    return q.n > 0;
}

enum versions_found versions_resolve(const struct versions *v, struct str qualifier, uint64_t *ret_number)
{
    uint64_t number;
    if (str_is(qualifier, "$LATEST")) {
        *ret_number = VERSIONS_LATEST_NUMBER;
        return VERSIONS_FOUND;
    }
    if (is_number(qualifier)) {
        /* "03" is another text than what anybody was told. */
        if (qualifier.p[0] == '0' || !str_to_u64(qualifier, &number) || !versions_find(v, number))
            return VERSIONS_UNKNOWN;
        *ret_number = number;
        return VERSIONS_FOUND;
    }
    if (!versions_alias_is_valid(qualifier))
        return VERSIONS_MALFORMED;
    const struct versions_alias *a = versions_find_alias(v, qualifier);
    if (!a)
        return VERSIONS_UNKNOWN;
    *ret_number = draw(a);
    return VERSIONS_FOUND;
}

/* ---- instances wanted ready ---- */

struct wanted {
    uint32_t *count;
    uint64_t *ms;
};

/* Where what a number or an alias wants stands; NULLs: there is none such. */
static struct wanted wanted_of(const struct versions *v, struct str qualifier, uint64_t *ret_number)
{
    bool found = false;
    if (is_number(qualifier)) {
        struct versions_known *k = str_to_u64(qualifier, ret_number) ? versions_find(v, *ret_number) : NULL;
        return k ? (struct wanted){&k->warm, &k->warm_ms} : (struct wanted){0};
    }
    size_t at = versions_alias_is_valid(qualifier) ? alias_place(v, qualifier, &found) : 0;
    if (!found)
        return (struct wanted){0};
    *ret_number = v->aliases[at]->number;
    return (struct wanted){&v->aliases[at]->warm, &v->aliases[at]->warm_ms};
}

uint64_t versions_warm(const struct versions *v, uint64_t number)
{
    const struct versions_known *k = versions_find(v, number);
    uint64_t warm = k ? k->warm : 0;
    for (size_t i = 0; k && i < v->alias_count; i++)
        warm += v->aliases[i]->number == number ? v->aliases[i]->warm : 0;
    return warm;
}

bool versions_read_warm(const struct versions *v, struct str qualifier, uint64_t *ret_number, uint32_t *ret_count)
{
    uint64_t number = VERSIONS_LATEST_NUMBER;
    const uint32_t *warm = wanted_of(v, qualifier, &number).count;
    if (!warm)
        return false;
    *ret_number = number;
    *ret_count = *warm;
    return true;
}

bool versions_set_warm(struct versions *v, struct str qualifier, uint32_t count)
{
    uint64_t number;
    uint32_t *warm = wanted_of(v, qualifier, &number).count;
    if (!warm)
        return false;
    v->warm_total += (uint64_t)count - *warm;
    *warm = count;
    return true;
}

uint64_t versions_warm_ms(const struct versions *v, struct str qualifier)
{
    uint64_t number;
    const struct wanted w = wanted_of(v, qualifier, &number);
    return w.ms ? *w.ms : 0;
}

void versions_note_warm(struct versions *v, struct str qualifier, uint64_t real_ms)
{
    uint64_t number;
    struct wanted w = wanted_of(v, qualifier, &number);
    if (w.ms)
        *w.ms = real_ms;
}

enum { CHOICES_NUMBERS = 10, CHOICES_ALIASES_BYTES = 400 };
static_assert(VERSIONS_CHOICES_MAX > sizeof("$LATEST, older ones") +
                                         CHOICES_NUMBERS * sizeof(" and 18446744073709551615") + CHOICES_ALIASES_BYTES +
                                         sizeof(" ..."),
              "what is printed fits");

/* Behind the first n bytes of `out`, CHOICES_ALIASES_BYTES at most, then " ...". */
static void print_aliases(const struct versions *v, char *out, size_t n)
{
    size_t end = n + CHOICES_ALIASES_BYTES;
    for (size_t i = 0; i < v->alias_count; i++) {
        const char *before = i ? ", " : "; aliases: ";
        const char *name = v->aliases[i]->name;
        bool fits = n + strlen(before) + strlen(name) <= end;
        n += (size_t)snprintf(out + n, VERSIONS_CHOICES_MAX - n, "%s%s", fits ? before : " ...", fits ? name : "");
        if (!fits)
            return;
    }
}

void versions_print_choices(const struct versions *v, char out[VERSIONS_CHOICES_MAX])
{
    size_t first = v->count > CHOICES_NUMBERS ? v->count - CHOICES_NUMBERS : 0;
    size_t n = (size_t)snprintf(out, VERSIONS_CHOICES_MAX, "$LATEST%s", first ? ", older ones" : "");
    for (size_t i = first; i < v->count; i++)
        n += (size_t)snprintf(out + n, VERSIONS_CHOICES_MAX - n, "%s%lu", i + 1 == v->count ? " and " : ", ",
                              (unsigned long)v->known[i].number);
    print_aliases(v, out, n);
}
