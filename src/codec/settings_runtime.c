/* SPDX-License-Identifier: Apache-2.0 */
/* Names of runtimes, and how a handler is written in each. */
#include "codec/scalar.h"
#include "codec/settings_key.h"

#include <errno.h>
#include <string.h>

enum { SHOWN_MAX = 40, VERSION_DIGITS_MAX = 3 };

static const char *const FAMILIES[SETTINGS_RUNTIMES] = {
    [SETTINGS_RUNTIME_EXEC] = "exec", [SETTINGS_RUNTIME_NATIVE] = "native",     [SETTINGS_RUNTIME_PYTHON] = "python",
    [SETTINGS_RUNTIME_NODE] = "node", [SETTINGS_RUNTIME_PROVIDED] = "provided",
};

const char *settings_runtime_family(enum settings_runtime r)
{
    return FAMILIES[r];
}

const char *settings_runtime_name(const struct settings *s)
{
    return s->runtime_name[0] ? s->runtime_name : FAMILIES[s->runtime];
}

static bool is_version(struct str text)
{
    bool good = text.n > 0 && text.n <= VERSION_DIGITS_MAX;
    for (size_t i = 0; good && i < text.n; i++)
        good = text.p[i] >= '0' && text.p[i] <= '9';
    return good;
}

static struct str behind(struct str name, const char *prefix)
{
    return str_starts_with(name, prefix) ? str_skip(name, strlen(prefix)) : (struct str){0};
}

static bool is_python(struct str name)
{
    return str_is(name, "python") || str_is(name, "python3") || is_version(behind(name, "python3."));
}

/* node, node20, nodejs, nodejs20.x */
static bool is_node(struct str name)
{
    if (str_is(name, "node") || str_is(name, "nodejs") || is_version(behind(name, "node")))
        return true;
    struct str version = behind(name, "nodejs");
    bool lambda = version.n > 2 && memcmp(version.p + version.n - 2, ".x", 2) == 0;
    return lambda && is_version((struct str){.p = version.p, .n = version.n - 2});
}

bool settings_runtime_parse(struct str name, enum settings_runtime *ret_runtime)
{
    if (name.n >= SETTINGS_RUNTIME_MAX)
        return false;
    if (is_python(name))
        *ret_runtime = SETTINGS_RUNTIME_PYTHON;
    else if (is_node(name))
        *ret_runtime = SETTINGS_RUNTIME_NODE;
    else if (str_is(name, "provided") || str_is(name, "provided.al2") || str_is(name, "provided.al2023"))
        *ret_runtime = SETTINGS_RUNTIME_PROVIDED;
    else if (str_is(name, "exec"))
        *ret_runtime = SETTINGS_RUNTIME_EXEC;
    else if (str_is(name, "native"))
        *ret_runtime = SETTINGS_RUNTIME_NATIVE;
    else
        return false;
    return true;
}

static const char *known_name(unsigned i)
{
    static const char *const names[] = {"exec",   "native",   "python",       "python3",        "node",
                                        "nodejs", "provided", "provided.al2", "provided.al2023"};
    return i < sizeof(names) / sizeof(names[0]) ? names[i] : NULL;
}

int settings_set_runtime(struct settings *s, struct str name, struct err *e)
{
    static const char list[] = "exec, native, python, python3.N, node, nodeN, nodejsN.x, provided, provided.al2, "
                               "provided.al2023";
    char text[SHOWN_MAX + 1];
    size_t n = name.n < SHOWN_MAX ? name.n : SHOWN_MAX;
    if (settings_runtime_parse(name, &s->runtime)) {
        memset(s->runtime_name, 0, sizeof(s->runtime_name));
        memcpy(s->runtime_name, name.p, name.n);
        return 0;
    }
    if (is_version(behind(name, "nodejs")))
        return err_say(e, EINVAL, "'%.*s' is not one of: %s; did you mean '%.*s.x'?", (int)n, name.p, list, (int)n,
                       name.p);
    const char *nearest =
        str_copy((struct str){.p = name.p, .n = n}, text, sizeof(text)) ? scalar_find_nearest(text, known_name) : NULL;
    if (nearest)
        return err_say(e, EINVAL, "'%.*s' is not one of: %s; did you mean '%s'?", (int)n, name.p, list, nearest);
    return err_say(e, EINVAL, "'%.*s' is not one of: %s. What speaks the Lambda Runtime API runs as provided", (int)n,
                   name.p ? name.p : "", list);
}

/* ---- handlers ---- */

/* What import and require can find: no empty parts, no "..", no control characters. */
static bool is_module_path(struct str path)
{
    bool more = true;
    while (more) {
        struct str part = str_cut(path, '/', &path, &more);
        if (!part.n || part.p[0] == '.')
            return false;
    }
    return true;
}

static bool ends_with(struct str text, const char *suffix)
{
    size_t n = strlen(suffix);
    return text.n > n && memcmp(text.p + text.n - n, suffix, n) == 0;
}

static bool is_identifier(struct str name)
{
    bool good = name.n > 0 && !(name.p[0] >= '0' && name.p[0] <= '9');
    for (size_t i = 0; good && i < name.n; i++) {
        unsigned char c = (unsigned char)name.p[i];
        good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c >= 0x80;
    }
    return good;
}

/* "pkg.app.handler", "pkg/app.handler": behind the last dot stands the function, before it the module. */
static bool split_python(struct str text, struct str *module, struct str *function)
{
    const char *dot = memrchr(text.p, '.', text.n);
    if (!dot || ends_with(text, ".py"))
        return false;
    *module = (struct str){.p = text.p, .n = (size_t)(dot - text.p)};
    *function = str_skip(text, module->n + 1);
    for (size_t i = 1; i < module->n; i++)
        if (module->p[i] == '.' && (module->p[i - 1] == '.' || i + 1 == module->n))
            return false;
    return is_module_path(*module) && is_identifier(*function);
}

/* "src/index.handler", "index.api.get": behind the file name's first dot stands the export, which may lie in objects. */
static bool split_node(struct str text, struct str *module, struct str *function)
{
    const char *slash = memrchr(text.p, '/', text.n);
    size_t start = slash ? (size_t)(slash - text.p) + 1 : 0;
    const char *dot = memchr(text.p + start, '.', text.n - start);
    if (!dot || ends_with(text, ".js") || ends_with(text, ".mjs") || ends_with(text, ".cjs"))
        return false;
    *module = (struct str){.p = text.p, .n = (size_t)(dot - text.p)};
    *function = str_skip(text, module->n + 1);
    for (struct str rest = *function; rest.n;) {
        bool more;
        struct str part = str_cut(rest, '.', &rest, &more);
        if (!part.n || (more && !rest.n))
            return false;
    }
    return function->n && is_module_path(*module);
}

bool settings_handler_split(enum settings_runtime r, const char *handler, char module[SETTINGS_PATH_MAX],
                            char function[SETTINGS_PATH_MAX])
{
    struct str text = str_from(handler), m, f;
    bool good = text.p && text.n > 0;
    if (r == SETTINGS_RUNTIME_PYTHON)
        good = good && split_python(text, &m, &f);
    else
        good = good && r == SETTINGS_RUNTIME_NODE && split_node(text, &m, &f);
    if (!good || !str_copy(m, module, SETTINGS_PATH_MAX) || !str_copy(f, function, SETTINGS_PATH_MAX))
        return false;
    for (char *p = module; r == SETTINGS_RUNTIME_PYTHON && *p; p++)
        if (*p == '.')
            *p = '/';
    return true;
}

static bool is_inside_path(struct str path)
{
    bool more = path.n > 0;
    while (more) {
        struct str part = str_cut(path, '/', &path, &more);
        if (!part.n || str_is(part, ".") || str_is(part, ".."))
            return false;
    }
    return true;
}

int settings_check_path(const char *text, struct err *e)
{
    int r = scalar_check_printable(text, e);
    if (r == 0 && !is_inside_path(str_from(text)))
        r = err_say(e, EINVAL, "'%s' is not a path inside the function's directory, such as bin/run", text);
    return r;
}

int settings_check_handler(const struct settings *s, struct err *e)
{
    char module[SETTINGS_PATH_MAX], function[SETTINGS_PATH_MAX];
    if (!s->handler[0] || s->runtime == SETTINGS_RUNTIME_PROVIDED)
        return 0;
    if (s->runtime == SETTINGS_RUNTIME_EXEC || s->runtime == SETTINGS_RUNTIME_NATIVE)
        return settings_check_path(s->handler, e);
    if (settings_handler_split(s->runtime, s->handler, module, function))
        return 0;
    if (s->runtime == SETTINGS_RUNTIME_PYTHON)
        return err_say(e, EINVAL,
                       "'%.*s' is not MODULE.FUNCTION, such as app.handler for the function 'handler' of app.py",
                       SHOWN_MAX, s->handler);
    return err_say(e, EINVAL, "'%.*s' is not FILE.EXPORT, such as index.handler for the export 'handler' of index.mjs",
                   SHOWN_MAX, s->handler);
}
