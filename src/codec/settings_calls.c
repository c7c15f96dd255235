/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/settings_calls.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void settings_drop_calls(struct settings *s)
{
    free(s->calls);
    s->calls = NULL;
    s->calls_bytes = 0;
}

bool settings_call_next(const struct settings *s, size_t *at, struct str *ret_name)
{
    if (*at >= s->calls_bytes)
        return false;
    *ret_name = str_from(s->calls + *at);
    *at += ret_name->n + 1;
    return true;
}

static bool is_name(struct str name)
{
    if (name.n == 0 || name.n >= SETTINGS_CALL_NAME_MAX)
        return false;
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '_')
            return false;
    }
    return true;
}

static int compare(struct str a, struct str b)
{
    int r = memcmp(a.p, b.p, a.n < b.n ? a.n : b.n);
    return r ? r : (a.n > b.n) - (a.n < b.n);
}

/* Where `name` goes; SIZE_MAX: it stands there already. */
static size_t find_place(const struct settings *s, struct str name, unsigned *ret_count)
{
    size_t place = s->calls_bytes, next = 0, at = 0;
    struct str other;
    for (*ret_count = 0; settings_call_next(s, &next, &other); at = next, ++*ret_count) {
        int order = compare(name, other);
        if (order == 0)
            return SIZE_MAX;
        if (order < 0 && place == s->calls_bytes)
            place = at;
    }
    return place;
}

static int add(struct settings *s, struct str name, struct err *e)
{
    unsigned count;
    if (!is_name(name))
        return err_say(e, EINVAL, "'%.*s' is no system call's name: write read,openat",
                       (int)(name.n < 64 ? name.n : 64), name.p ? name.p : "");
    size_t place = find_place(s, name, &count);
    if (place == SIZE_MAX)
        return 0;
    if (count == SETTINGS_CALLS_MAX)
        return err_say(e, EINVAL, "more than %d names", (int)SETTINGS_CALLS_MAX);
    char *grown = realloc(s->calls, s->calls_bytes + name.n + 1);
    if (!grown)
        return err_set(e, ENOMEM, "keep the list of system calls");
    memmove(grown + place + name.n + 1, grown + place, s->calls_bytes - place);
    memcpy(grown + place, name.p, name.n);
    grown[place + name.n] = '\0';
    s->calls = grown;
    s->calls_bytes += name.n + 1;
    return 0;
}

int settings_add_calls(struct settings *s, struct str names, struct err *e)
{
    bool more = true;
    int r = 0;
    while (r == 0 && more)
        r = add(s, str_cut(names, ',', &names, &more), e);
    return r;
}
