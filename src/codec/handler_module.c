/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/handler_module.h"

#include "base/fdio.h"
#include "base/fmt.h"
#include "codec/archive.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

enum {
    LISTED_MAX = 8,
    SOURCE_MAX = 256 * 1024, /* of a file in which a function is looked for */
    SHOWN = 80,
};

static const char *const PYTHON_ENDS[] = {".py", "/__init__.py", ".pyc", "/__init__.pyc", NULL};
static const char *const NODE_ENDS[] = {".mjs", ".js", ".cjs", "/index.mjs", "/index.js", "/index.cjs", "", NULL};

static const char *const *ends_of(enum settings_runtime runtime)
{
    return runtime == SETTINGS_RUNTIME_PYTHON ? PYTHON_ENDS : NODE_ENDS;
}

/* Through links, as the interpreter will see it. */
static bool is_file(int tree, const char *path)
{
    char end[ARCHIVE_PATH_MAX];
    struct stat st;
    if (archive_resolve(tree, path, end, NULL) < 0)
        return false;
    return fstatat(end[0] == '/' ? AT_FDCWD : tree, end, &st, 0) == 0 && S_ISREG(st.st_mode);
}

static bool ends_with(const char *text, const char *suffix)
{
    size_t n = strlen(text), m = strlen(suffix);
    return n > m && strcmp(text + n - m, suffix) == 0;
}

/* "pkg/fast" is there as pkg/fast.cpython-311-x86_64-linux-gnu.so: a compiled module. */
static bool is_compiled_module(int tree, const char *module)
{
    char dir_path[SETTINGS_PATH_MAX];
    const char *slash = strrchr(module, '/');
    const char *name = slash ? slash + 1 : module;
    size_t n = strlen(name);
    bool found = false;
    fmt_to(dir_path, sizeof(dir_path), "%.*s", slash ? (int)(slash - module) : 1, slash ? module : ".");
    scoped_fd fd = openat(tree, dir_path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir)
        return false;
    fd_take(&fd);
    for (const struct dirent *at; !found && (at = readdir(dir));)
        found = !strncmp(at->d_name, name, n) && at->d_name[n] == '.' && ends_with(at->d_name, ".so");
    closedir(dir);
    return found;
}

static bool module_exists(int tree, enum settings_runtime runtime, const char *module)
{
    char path[SETTINGS_PATH_MAX + 16];
    for (const char *const *end = ends_of(runtime); *end; end++) {
        fmt_to(path, sizeof(path), "%s%s", module, *end);
        if (is_file(tree, path))
            return true;
    }
    return runtime == SETTINGS_RUNTIME_PYTHON && is_compiled_module(tree, module);
}

bool handler_module_exists(int tree, enum settings_runtime runtime, const char *handler)
{
    char module[SETTINGS_PATH_MAX], function[SETTINGS_PATH_MAX];
    return settings_handler_split(runtime, handler, module, function) && module_exists(tree, runtime, module);
}

/* ---- what is there, for messages ---- */

static bool is_source(enum settings_runtime runtime, const char *name)
{
    if (runtime == SETTINGS_RUNTIME_PYTHON)
        return ends_with(name, ".py");
    return ends_with(name, ".mjs") || ends_with(name, ".js") || ends_with(name, ".cjs");
}

/* The sources at the top: "main.py, util.py"; what is anything there where there is no source. */
static void list_top(int tree, enum settings_runtime runtime, bool sources, char *out, size_t cap)
{
    size_t n = 0;
    unsigned count = 0;
    out[0] = '\0';
    scoped_fd own = openat(tree, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = own < 0 ? NULL : fdopendir(own);
    if (!dir)
        return;
    fd_take(&own);
    for (const struct dirent *at; (at = readdir(dir)) && count < LISTED_MAX;) {
        if (at->d_name[0] == '.' || (sources && !is_source(runtime, at->d_name)) || n + strlen(at->d_name) + 3 > cap)
            continue;
        n = fmt_at(out, cap, n, "%s%s", n ? ", " : "", at->d_name);
        count++;
    }
    closedir(dir);
}

static void list_there(int tree, enum settings_runtime runtime, char *out, size_t cap)
{
    list_top(tree, runtime, true, out, cap);
    if (!*out)
        list_top(tree, runtime, false, out, cap);
}

static int refuse_missing(const struct handler_question *q, const char *handler, const char *module, struct err *e)
{
    char there[96];
    bool python = q->runtime == SETTINGS_RUNTIME_PYTHON;
    list_there(q->tree, q->runtime, there, sizeof(there));
    return err_say(e, ENOENT, "the handler '%.*s' names the module %.*s%s, which is not among the uploaded files%s%s",
                   SHOWN, handler, SHOWN, module, python ? ".py" : ".mjs, .js or .cjs", *there ? ": there is " : "",
                   there);
}

static int take(const struct handler_question *q, const char *handler, char out[SETTINGS_PATH_MAX], struct err *e)
{
    char module[SETTINGS_PATH_MAX], function[SETTINGS_PATH_MAX];
    if (!settings_handler_split(q->runtime, handler, module, function) ||
        !str_copy(str_from(handler), out, SETTINGS_PATH_MAX))
        return err_say(e, EINVAL, "the handler '%.*s' is not %s", SHOWN, handler,
                       q->runtime == SETTINGS_RUNTIME_PYTHON ? "MODULE.FUNCTION, such as app.handler"
                                                             : "FILE.EXPORT, such as index.handler");
    return module_exists(q->tree, q->runtime, module) ? 0 : refuse_missing(q, handler, module, e);
}

/* ---- nobody said ---- */

static bool line_defines(struct str line, const char *name)
{
    struct str rest = line;
    if (str_starts_with(rest, "async "))
        rest = str_trim(str_skip(rest, 6));
    if (str_starts_with(rest, "def "))
        rest = str_trim(str_skip(rest, 4));
    if (!str_starts_with(rest, name))
        return false;
    rest = str_trim(str_skip(rest, strlen(name)));
    return rest.n && (rest.p[0] == '(' || rest.p[0] == '=' || rest.p[0] == ':');
}

static bool source_defines(struct str source, const char *name)
{
    while (source.n)
        if (line_defines(str_cut(source, '\n', &source, NULL), name))
            return true;
    return false;
}

/* The name under which this file's handler goes: `handler`, unless it defines only one of the other usual ones. */
static const char *find_function(int tree, const char *file)
{
    static const char *const usual[] = {"handler", "lambda_handler", "main"};
    scoped_free char *text = malloc(SOURCE_MAX);
    scoped_fd fd = openat(tree, file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    ssize_t n = text && fd >= 0 ? fd_read_full(fd, text, SOURCE_MAX) : -1;
    for (size_t i = 0; n > 0 && i < sizeof(usual) / sizeof(usual[0]); i++)
        if (source_defines((struct str){.p = text, .n = (size_t)n}, usual[i]))
            return usual[i];
    return usual[0];
}

static int take_only_file(const struct handler_question *q, char out[SETTINGS_PATH_MAX], struct err *e)
{
    char handler[ARCHIVE_PATH_MAX + 32];
    const char *dot = strrchr(q->only_file, '.');
    int stem = (int)(dot - q->only_file);
    const char *slash = strrchr(q->only_file, '/');
    if (memchr(slash ? slash : q->only_file, '.', (size_t)(dot - (slash ? slash : q->only_file))))
        return err_say(e, EINVAL, "'%.*s' has a dot in its name, which a handler can't say: rename it", SHOWN,
                       q->only_file);
    const char *function = q->runtime == SETTINGS_RUNTIME_PYTHON ? find_function(q->tree, q->only_file) : "handler";
    fmt_to(handler, sizeof(handler), "%.*s.%s", stem, q->only_file, function);
    return take(q, handler, out, e);
}

static int take_usual(const struct handler_question *q, char out[SETTINGS_PATH_MAX], struct err *e)
{
    if (q->runtime == SETTINGS_RUNTIME_NODE)
        return module_exists(q->tree, q->runtime, "index") ? take(q, "index.handler", out, e) : -ENOENT;
    if (is_file(q->tree, "app.py")) {
        char handler[48];
        fmt_to(handler, sizeof(handler), "app.%s", find_function(q->tree, "app.py"));
        return take(q, handler, out, e);
    }
    if (is_file(q->tree, "lambda_function.py"))
        return take(q, "lambda_function.lambda_handler", out, e);
    return -ENOENT;
}

int handler_choose_module(const struct handler_question *q, char ret_handler[SETTINGS_PATH_MAX], struct err *e)
{
    char there[96];
    if (q->said && *q->said)
        return take(q, q->said, ret_handler, e);
    if (q->earlier && handler_module_exists(q->tree, q->runtime, q->earlier))
        return take(q, q->earlier, ret_handler, e);
    if (q->only_file && is_source(q->runtime, q->only_file))
        return take_only_file(q, ret_handler, e);
    int r = take_usual(q, ret_handler, e);
    if (r != -ENOENT)
        return r;
    bool python = q->runtime == SETTINGS_RUNTIME_PYTHON;
    list_there(q->tree, q->runtime, there, sizeof(there));
    return err_say(e, EINVAL, "which function is the handler? There is no %s: say --handler %s (there is %s)",
                   python ? "app.py" : "index.mjs, .js or .cjs", python ? "MODULE.FUNCTION" : "FILE.EXPORT",
                   *there ? there : "no source file");
}
