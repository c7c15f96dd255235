/* SPDX-License-Identifier: Apache-2.0 */
/* Which of the interpreters that the configuration knows a function's runtime means. */
#include "base/fmt.h"
#include "codec/config.h"
#include "codec/config_runtime.h"

#include <errno.h>
#include <string.h>

enum { ANY = -1 };

/*
 * What a name asks for. python: the version is X.Y, as two releases share no compiled module; node: the major alone. "nodejs20.x", "node20" and "nodejs20" are
 * one; "python" and "python3" are any Python 3.
 */
struct wanted {
    int major, minor; /* python: minor; node: major; ANY where the name leaves it open */
};

static bool read_number(struct str text, int *ret_number)
{
    uint64_t n;
    if (!str_to_u64(text, &n) || n > 999)
        return false;
    *ret_number = (int)n;
    return true;
}

static bool read_python(struct str name, struct wanted *w)
{
    if (!str_starts_with(name, "python"))
        return false;
    struct str rest = str_skip(name, 6);
    *w = (struct wanted){.major = 3, .minor = ANY};
    if (rest.n == 0 || str_is(rest, "3"))
        return true;
    return str_starts_with(rest, "3.") && read_number(str_skip(rest, 2), &w->minor);
}

static bool read_node(struct str name, struct wanted *w)
{
    if (!str_starts_with(name, "node"))
        return false;
    struct str rest = str_skip(name, 4);
    if (str_starts_with(rest, "js"))
        rest = str_skip(rest, 2);
    if (rest.n > 2 && rest.p[rest.n - 2] == '.' && rest.p[rest.n - 1] == 'x')
        rest.n -= 2;
    *w = (struct wanted){.major = ANY, .minor = ANY};
    return rest.n == 0 || read_number(rest, &w->major);
}

static bool read_name(enum settings_runtime family, struct str name, struct wanted *w)
{
    return family == SETTINGS_RUNTIME_PYTHON ? read_python(name, w) : read_node(name, w);
}

/* ---- which entry ---- */

static bool is_exact(const struct wanted *a, const struct wanted *b)
{
    return a->major == b->major && a->minor == b->minor;
}

/* Better candidates for a name that leaves the version open: an entry that leaves it open too (somebody chose it as the default), else the highest. */
static bool is_better(const struct wanted *a, const struct wanted *b)
{
    bool a_open = a->major == ANY || a->minor == ANY;
    bool b_open = b->major == ANY || b->minor == ANY;
    if (a_open != b_open)
        return a_open;
    return a->major != b->major ? a->major > b->major : a->minor > b->minor;
}

static bool is_open_python(const struct wanted *w)
{
    return w->minor == ANY;
}

/* node: an entry "node" may be of any major version; only the process itself can say. */
static bool may_serve(enum settings_runtime family, const struct wanted *entry, const struct wanted *asked)
{
    if (is_exact(entry, asked))
        return true;
    if (family == SETTINGS_RUNTIME_PYTHON)
        return is_open_python(asked);
    return asked->major == ANY || entry->major == ANY;
}

static const struct config_runtime *choose(const struct config *c, enum settings_runtime family,
                                           const struct wanted *asked)
{
    const struct config_runtime *best = NULL;
    struct wanted best_is = {0};
    for (uint32_t i = 0; i < c->runtime_count; i++) {
        struct wanted is;
        if (!read_name(family, str_from(c->runtimes[i].name), &is) || !may_serve(family, &is, asked))
            continue;
        bool better = !best;
        if (best && is_exact(&is, asked) != is_exact(&best_is, asked))
            better = is_exact(&is, asked);
        else if (best)
            better = is_better(&is, &best_is);
        /* Of two that are alike the first stands: the configuration's come before those that were found. */
        if (!better)
            continue;
        best = &c->runtimes[i];
        best_is = is;
    }
    return best;
}

static void refuse(const struct config *c, enum settings_runtime family, const char *name, struct err *e)
{
    char there[160];
    size_t n = 0;
    there[0] = '\0';
    for (uint32_t i = 0; i < c->runtime_count; i++) {
        struct wanted is;
        if (read_name(family, str_from(c->runtimes[i].name), &is))
            n = fmt_at(there, sizeof(there), n, "%s%s", n ? ", " : "", c->runtimes[i].name);
    }
    if (n)
        err_say(e, ENOENT, "runtime '%s' is not on this host: there is %s; install it, or name it in `runtimes`", name,
                there);
    else
        err_say(e, ENOENT,
                "runtime '%s': this host has no %s in /usr/bin: install %s, or name one in `runtimes` of the "
                "configuration",
                name, settings_runtime_family(family), family == SETTINGS_RUNTIME_PYTHON ? "python3" : "nodejs");
}

const struct config_runtime *config_choose_runtime(const struct config *c, enum settings_runtime family,
                                                   const char *name, struct err *e)
{
    struct wanted asked;
    const struct config_runtime *found = NULL;
    if (read_name(family, str_from(name), &asked))
        found = choose(c, family, &asked);
    if (!found)
        refuse(c, family, name, e);
    return found;
}

int config_python_minor(const struct config_runtime *r)
{
    struct wanted is;
    if (read_python(str_from(r->name), &is) && is.minor != ANY)
        return is.minor;
    const char *slash = strrchr(r->path, '/');
    return slash && read_python(str_from(slash + 1), &is) ? is.minor : ANY;
}
