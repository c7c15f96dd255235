/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/guess.h"

#include "base/fdio.h"
#include "base/fmt.h"
#include "codec/json.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { MANIFEST_MAX = 65536 };

/* In the order in which they are looked for. */
static const struct {
    const char *file;
    enum settings_runtime runtime;
} USUAL[] = {
    {"bootstrap", SETTINGS_RUNTIME_PROVIDED},
    {"app.py", SETTINGS_RUNTIME_PYTHON},
    {"lambda_function.py", SETTINGS_RUNTIME_PYTHON},
    {"index.mjs", SETTINGS_RUNTIME_NODE},
    {"index.js", SETTINGS_RUNTIME_NODE},
    {"index.cjs", SETTINGS_RUNTIME_NODE},
};

static const struct {
    const char *suffix;
    enum settings_runtime runtime;
} SUFFIXES[] = {
    {".py", SETTINGS_RUNTIME_PYTHON},
    {".mjs", SETTINGS_RUNTIME_NODE},
    {".js", SETTINGS_RUNTIME_NODE},
    {".cjs", SETTINGS_RUNTIME_NODE},
};
enum { SUFFIX_COUNT = sizeof(SUFFIXES) / sizeof(SUFFIXES[0]) };

static void take(struct guess *g, enum settings_runtime runtime, const char *because)
{
    g->runtime = runtime;
    str_copy(str_from(because), g->because, sizeof(g->because));
}

static bool ends_with(const char *text, const char *suffix)
{
    size_t n = strlen(text), m = strlen(suffix);
    return n > m && strcmp(text + n - m, suffix) == 0;
}

static bool is_file(int dir, const char *path)
{
    struct stat st;
    return fstatat(dir, path, &st, 0) == 0 && S_ISREG(st.st_mode);
}

static void guess_file(const char *path, int fd, const struct stat *st, struct guess *g)
{
    char head[4] = "";
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    bool is_script = pread(fd, head, 2, 0) == 2 && memcmp(head, "#!", 2) == 0;
    bool is_elf = pread(fd, head, 4, 0) == 4 && memcmp(head, "\177ELF", 4) == 0;
    if (strcmp(name, "bootstrap") == 0 && (is_script || is_elf)) {
        take(g, SETTINGS_RUNTIME_PROVIDED, name);
        return;
    }
    if (is_elf || (is_script && st->st_mode & 0111))
        return;
    for (size_t i = 0; i < SUFFIX_COUNT; i++)
        if (ends_with(name, SUFFIXES[i].suffix))
            take(g, SUFFIXES[i].runtime, name);
}

/* "src/index.handler": is there a src/index.py, .mjs, ...? */
static void guess_by_handler(int dir, const char *handler, struct guess *g)
{
    char module[SETTINGS_PATH_MAX], function[SETTINGS_PATH_MAX], file[SETTINGS_PATH_MAX + 8];
    if (is_file(dir, handler))
        return;
    for (size_t i = 0; i < SUFFIX_COUNT; i++) {
        if (!settings_handler_split(SUFFIXES[i].runtime, handler, module, function))
            continue;
        fmt_to(file, sizeof(file), "%s%s", module, SUFFIXES[i].suffix);
        if (is_file(dir, file)) {
            take(g, SUFFIXES[i].runtime, file);
            return;
        }
    }
}

/* False when it says the runtime, or can't be understood: whoever reads it next tells why. */
static bool read_manifest(int dir, struct guess *g, char handler[SETTINGS_PATH_MAX])
{
    struct json_doc *doc = NULL;
    struct err ignored;
    if (!is_file(dir, "faasd.json"))
        return true;
    g->has_manifest = true;
    scoped_free char *text = malloc(MANIFEST_MAX);
    ssize_t n = text ? fd_read_file_at(dir, "faasd.json", text, MANIFEST_MAX, &ignored) : -1;
    if (n < 0 || json_parse((struct str){.p = text, .n = (size_t)n}, JSON_COMMENTS, &doc, &ignored) < 0)
        return false;
    const char *given = json_get_text(json_root(doc), "handler");
    bool open = !json_get_text(json_root(doc), "runtime");
    if (given && !*handler)
        str_copy(str_from(given), handler, SETTINGS_PATH_MAX);
    json_free(doc);
    return open;
}

static void guess_directory(int dir, const char *given, struct guess *g)
{
    char handler[SETTINGS_PATH_MAX] = "";
    str_copy(str_from(given), handler, sizeof(handler));
    if (!read_manifest(dir, g, handler))
        return;
    if (*handler) {
        guess_by_handler(dir, handler, g);
        return;
    }
    for (size_t i = 0; i < sizeof(USUAL) / sizeof(USUAL[0]); i++)
        if (is_file(dir, USUAL[i].file)) {
            take(g, USUAL[i].runtime, USUAL[i].file);
            return;
        }
}

void guess_runtime(const char *path, const char *handler, struct guess *g)
{
    struct stat st;
    *g = (struct guess){.runtime = SETTINGS_RUNTIME_EXEC};
    scoped_fd fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || fstat(fd, &st) < 0)
        return;
    if (S_ISDIR(st.st_mode))
        guess_directory(fd, handler, g);
    else if (S_ISREG(st.st_mode))
        guess_file(path, fd, &st, g);
}

int guess_apply(const struct guess *g, const char *command, struct settings_flags *f, struct err *e)
{
    const char *runtime = settings_runtime_family(g->runtime);
    if (g->runtime == SETTINGS_RUNTIME_EXEC)
        return 0;
    fprintf(stderr, "faasd %s: runtime %s, because of %s (--runtime would say another)\n", command, runtime,
            g->because);
    return settings_set_text(&f->settings, "runtime", str_from(runtime), e);
}
