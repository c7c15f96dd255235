/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/secrets.h"

#include "base/fdio.h"
#include "codec/settings_secret.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>

struct secrets {
    char fingerprint[SECRET_FINGERPRINT_MAX];
    struct secret **at; /* owned, by name */
    unsigned count, cap;
    size_t value_bytes;    /* of all */
    size_t reserved_bytes; /* of changes under way */
    unsigned reserved_count;
    uint64_t last_stamp;
};

/* ---- finding ---- */

/* Where `name` stands or belongs. */
static unsigned position_of(const struct secrets *s, struct str name, bool *ret_found)
{
    unsigned low = 0, high = s->count;
    char text[SETTINGS_NAME_MAX];
    *ret_found = false;
    if (!str_copy(name, text, sizeof(text)))
        return high;
    while (low < high) {
        unsigned middle = low + (high - low) / 2;
        int order = strcmp(s->at[middle]->name, text);
        if (order == 0)
            *ret_found = true;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const struct secret *secrets_find(const struct secrets *s, struct str name)
{
    bool found;
    unsigned at = position_of(s, name, &found);
    return found ? s->at[at] : NULL;
}

const struct secret *secrets_at(const struct secrets *s, unsigned index)
{
    return index < s->count ? s->at[index] : NULL;
}

const char *secrets_fingerprint(const struct secrets *s)
{
    return s->fingerprint;
}

bool secrets_can_open(const struct secrets *s, const struct secret *secret)
{
    return strcmp(secret->key, s->fingerprint) == 0;
}

/* ---- what settings name ---- */

int secrets_check(const struct secrets *s, const struct settings *settings, struct err *e)
{
    struct settings_secret named;
    for (size_t at = 0; settings_secret_next(settings, &at, &named);) {
        const struct secret *secret = secrets_find(s, named.name);
        int n = (int)named.name.n;
        if (!secret || secret->removing)
            return err_say(e, EINVAL, "there is no secret '%.*s': make it first, with `faasd secret set %.*s`", n,
                           named.name.p, n, named.name.p);
        if (!secrets_can_open(s, secret))
            return err_say(e, EINVAL,
                           "secret '%.*s' was sealed for another key (%s): set it again, with `faasd secret set %.*s`",
                           n, named.name.p, secret->key, n, named.name.p);
    }
    return 0;
}

bool secrets_are_named(const struct settings *settings, struct str name)
{
    struct settings_secret named;
    for (size_t at = 0; settings_secret_next(settings, &at, &named);)
        if (str_equal(named.name, name))
            return true;
    return false;
}

uint64_t secrets_stamp(const struct secrets *s, const struct settings *settings)
{
    struct settings_secret named;
    uint64_t newest = 0;
    for (size_t at = 0; settings_secret_next(settings, &at, &named);) {
        const struct secret *secret = secrets_find(s, named.name);
        if (secret && secret->stamp > newest)
            newest = secret->stamp;
    }
    return newest;
}

uint64_t secrets_stamp_with(const struct secrets *s, const struct settings *settings, const char *more)
{
    uint64_t newest = secrets_stamp(s, settings);
    const struct secret *secret = *more ? secrets_find(s, str_from(more)) : NULL;
    return secret && secret->stamp > newest ? secret->stamp : newest;
}

/* ---- SPAWN ---- */

static int write_all(int fd, const struct secrets *s, const struct message_spawn *m)
{
    int r = 0;
    for (uint32_t i = 0; r == 0 && i < m->secret_count; i++) {
        const struct secret *secret = secrets_find(s, str_from(m->secrets[i].name));
        r = secret ? fd_write_full(fd, secret->sealed, secret->sealed_bytes) : 0;
    }
    return r;
}

static void add(const struct secrets *s, struct str name, struct str file, struct message_spawn *m)
{
    struct message_secret *to = &m->secrets[m->secret_count++];
    const struct secret *secret = secrets_find(s, name);
    str_copy(name, to->name, sizeof(to->name));
    str_copy(file, to->file, sizeof(to->file));
    to->sealed_bytes = secret ? (uint32_t)secret->sealed_bytes : 0;
}

int secrets_fill_with(const struct secrets *s, const struct settings *settings, const struct secrets_more *more,
                      struct message_spawn *m)
{
    struct settings_secret named;
    for (size_t at = 0; settings_secret_next(settings, &at, &named);)
        if (!*more->name || !str_is(named.file, more->file)) /* a file of the same name gives way */
            add(s, named.name, named.file, m);
    if (*more->name)
        add(s, str_from(more->name), str_from(more->file), m);
    if (m->secret_count == 0)
        return -1;
    scoped_fd fd = memfd_create("secrets", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0 || write_all(fd, s, m) < 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) < 0)
        return -1;
    return fd_take(&fd);
}

int secrets_fill(const struct secrets *s, const struct settings *settings, struct message_spawn *m)
{
    return secrets_fill_with(s, settings, &(struct secrets_more){"", ""}, m);
}

/* ---- changes ---- */

int secrets_reserve(struct secrets *s, struct str name, size_t value_bytes, struct err *e)
{
    const struct secret *before = secrets_find(s, name);
    size_t others = s->value_bytes + s->reserved_bytes - (before ? secret_value_bytes(before) : 0);
    if (others + value_bytes > SECRET_TOTAL_MAX)
        return err_say(e, EFBIG, "all secrets together would have %zu bytes, %d are the most (SECRET_TOTAL_MAX)",
                       others + value_bytes, SECRET_TOTAL_MAX);
    if (!before && s->count + s->reserved_count >= SECRET_COUNT_MAX)
        return err_say(e, EFBIG, "there are %u secrets, %d are the most (SECRET_COUNT_MAX)", s->count,
                       SECRET_COUNT_MAX);
    s->reserved_bytes += value_bytes;
    s->reserved_count++;
    return 0;
}

void secrets_release(struct secrets *s, size_t value_bytes)
{
    s->reserved_bytes -= value_bytes;
    s->reserved_count--;
}

static int grow(struct secrets *s)
{
    unsigned cap = s->cap ? 2 * s->cap : 8;
    struct secret **grown = s->count < s->cap ? s->at : reallocarray(s->at, cap, sizeof(*grown));
    if (!grown)
        return -ENOMEM;
    s->cap = s->count < s->cap ? s->cap : cap;
    s->at = grown;
    return 0;
}

int secrets_settle(struct secrets *s, struct secret *fresh)
{
    bool found;
    unsigned at = position_of(s, str_from(fresh->name), &found);
    if (!found && grow(s) < 0) {
        free(fresh);
        return -ENOMEM;
    }
    fresh->stamp = ++s->last_stamp;
    s->value_bytes += secret_value_bytes(fresh);
    if (found) {
        fresh->created_ms = s->at[at]->created_ms;
        s->value_bytes -= secret_value_bytes(s->at[at]);
        free(s->at[at]);
    } else {
        memmove(&s->at[at + 1], &s->at[at], (s->count - at) * sizeof(*s->at));
        s->count++;
    }
    s->at[at] = fresh;
    return 0;
}

void secrets_set_removing(struct secrets *s, struct str name, bool removing)
{
    bool found;
    unsigned at = position_of(s, name, &found);
    if (found)
        s->at[at]->removing = removing;
}

void secrets_remove(struct secrets *s, struct str name)
{
    bool found;
    unsigned at = position_of(s, name, &found);
    if (!found)
        return;
    s->value_bytes -= secret_value_bytes(s->at[at]);
    free(s->at[at]);
    s->count--;
    memmove(&s->at[at], &s->at[at + 1], (s->count - at) * sizeof(*s->at));
}

/* ---- life ---- */

struct secrets *secrets_new(const uint8_t public_key[SECRET_KEY_BYTES])
{
    struct secrets *s = calloc(1, sizeof(*s));
    if (s)
        secret_fingerprint(public_key, s->fingerprint);
    return s;
}

void secrets_free(struct secrets *s)
{
    if (!s)
        return;
    for (unsigned i = 0; i < s->count; i++)
        free(s->at[i]);
    free(s->at);
    free(s);
}
