/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/python_tree.h"

#include "base/fdio.h"
#include "base/fmt.h"
#include "codec/archive.h"
#include "codec/python_package.h"

#include <dirent.h>
#include <elf.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum {
    SHOWN_FILES = 3, /* of those with one fault; the others are counted */
    DEPTH_MAX = ARCHIVE_DEPTH_MAX,
    PATH_BYTES = ARCHIVE_PATH_MAX,
};

#if defined(__x86_64__)
static const char MACHINE[] = "x86_64";
enum { HOST_MACHINE = EM_X86_64 };
#elif defined(__aarch64__)
static const char MACHINE[] = "aarch64";
enum { HOST_MACHINE = EM_AARCH64 };
#else
#error "name this machine as Python's platform tags do, and its ELF number"
#endif

/* Files with one fault, and what the first of them was made for. */
struct group {
    unsigned count;
    char built_for[48];
    char names[SHOWN_FILES][160];
};

struct walk {
    const struct python_tree *tree;
    char path[PATH_BYTES]; /* of the directory at hand, relative, with a slash at the end */
    struct group other_python, other_machine, other_wheel;
};

static void add_name(struct group *g, const char *dir, const char *name, const char *built_for)
{
    if (g->count == 0)
        fmt_to(g->built_for, sizeof(g->built_for), "%s", built_for);
    if (g->count < SHOWN_FILES)
        fmt_to(g->names[g->count], sizeof(g->names[0]), "%s%s", dir, name);
    g->count++;
}

static bool ends_with(const char *text, const char *suffix)
{
    size_t n = strlen(text), m = strlen(suffix);
    return n > m && strcmp(text + n - m, suffix) == 0;
}

/* ---- compiled modules ---- */

/* "311" of "x.cpython-311-x86_64-linux-gnu.so" -> 11; -1 where the name says no version. */
static int minor_of_module(const char *name)
{
    const char *tag = strstr(name, ".cpython-3");
    int minor = 0;
    if (!tag)
        return -1;
    const char *p = tag + strlen(".cpython-3");
    if (*p < '0' || *p > '9')
        return -1;
    for (; *p >= '0' && *p <= '9' && minor < 1000; p++)
        minor = minor * 10 + (*p - '0');
    return minor;
}

/* The same module for this Python beside it: then the other one is in nobody's way. */
static bool has_sibling(const struct walk *w, int dir, const char *name)
{
    char path[NAME_MAX + 64];
    int stem = (int)strcspn(name, ".");
    fmt_to(path, sizeof(path), "%.*s.cpython-3%d-%s-linux-gnu.so", stem, name, w->tree->minor, MACHINE);
    if (strcmp(path, name) != 0 && faccessat(dir, path, F_OK, 0) == 0)
        return true;
    fmt_to(path, sizeof(path), "%.*s.abi3.so", stem, name);
    return strcmp(path, name) != 0 && faccessat(dir, path, F_OK, 0) == 0;
}

static const char *machine_text(unsigned machine)
{
    switch (machine) {
    case EM_X86_64:
        return "x86_64";
    case EM_AARCH64:
        return "aarch64";
    case EM_386:
        return "32-bit x86";
    case EM_ARM:
        return "32-bit ARM";
    default:
        return "another CPU";
    }
}

/* NULL: it is for this CPU. */
static const char *foreign_machine(int dir, const char *name)
{
    Elf64_Ehdr h;
    scoped_fd fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : fd_read_full(fd, &h, sizeof(h));
    if (n < 0)
        return NULL;
    if (n < (ssize_t)sizeof(h))
        return "no system at all: the file is damaged";
    if (memcmp(h.e_ident, ELFMAG, SELFMAG) != 0)
        return "another system than Linux";
    return h.e_machine == HOST_MACHINE ? NULL : machine_text(h.e_machine);
}

static void look_at_module(struct walk *w, int dir, const char *name)
{
    int minor = minor_of_module(name);
    const char *machine = foreign_machine(dir, name);
    if (machine && !has_sibling(w, dir, name))
        add_name(&w->other_machine, w->path, name, machine);
    else if (!machine && w->tree->minor >= 0 && minor >= 0 && minor != w->tree->minor && !has_sibling(w, dir, name)) {
        char python[24];
        fmt_to(python, sizeof(python), "CPython 3.%d", minor);
        add_name(&w->other_python, w->path, name, python);
    }
}

/* NAME-VERSION.dist-info: what the wheel was built for stands in WHEEL. */
static void look_at_wheel(struct walk *w, int dir, const char *name)
{
    char path[NAME_MAX + 8], built_for[48];
    fmt_to(path, sizeof(path), "%s/WHEEL", name);
    if (python_wheel_is_foreign(dir, path, w->tree->minor, MACHINE, built_for, sizeof(built_for)))
        add_name(&w->other_wheel, "", name, built_for);
}

static void walk_directory(struct walk *w, int parent, const char *name, unsigned depth);

static void look_at_entry(struct walk *w, int dir, const struct dirent *at, unsigned depth)
{
    if (at->d_name[0] == '.' && (!at->d_name[1] || (at->d_name[1] == '.' && !at->d_name[2])))
        return;
    if (at->d_type == DT_DIR) {
        if (ends_with(at->d_name, ".dist-info"))
            look_at_wheel(w, dir, at->d_name);
        else if (depth < DEPTH_MAX)
            walk_directory(w, dir, at->d_name, depth + 1);
    } else if (at->d_type == DT_REG && ends_with(at->d_name, ".so")) {
        look_at_module(w, dir, at->d_name);
    }
}

static void walk_directory(struct walk *w, int parent, const char *name, unsigned depth)
{
    size_t length = strlen(w->path);
    scoped_fd fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir)
        return;
    fd_take(&fd);
    if (depth && length + strlen(name) + 2 < sizeof(w->path))
        fmt_at(w->path, sizeof(w->path), length, "%s/", name);
    for (const struct dirent *at; (at = readdir(dir));)
        look_at_entry(w, dirfd(dir), at, depth);
    closedir(dir);
    w->path[length] = '\0';
}

static int say_group(const struct group *g, const char *what, const struct python_tree *t, const char *advice,
                     struct buf *out)
{
    int r = buf_addf(out, "%u %s%s built for %s, and this function runs on ", g->count, what,
                     g->count == 1 ? " is" : "s are", g->built_for);
    if (r == 0)
        r = t->minor >= 0 ? buf_addf(out, "Python 3.%d, %s: ", t->minor, MACHINE) : buf_addf(out, "%s: ", MACHINE);
    for (unsigned i = 0; r == 0 && i < g->count && i < SHOWN_FILES; i++)
        r = buf_addf(out, "%s%s", i ? ", " : "", g->names[i]);
    if (r == 0 && g->count > SHOWN_FILES)
        r = buf_addf(out, " and %u more", g->count - SHOWN_FILES);
    return r < 0 ? r : buf_addf(out, "; %s\n", advice);
}

static int warn_of_modules(const struct python_tree *t, struct buf *out)
{
    static const char again[] = "install the packages anew with this host's Python: pip install -t DIR ...";
    struct walk *w = calloc(1, sizeof(*w));
    if (!w)
        return -ENOMEM;
    w->tree = t;
    walk_directory(w, t->dir, ".", 0);
    int r = 0;
    if (w->other_python.count)
        r = say_group(&w->other_python, "compiled module", t, again, out);
    if (r == 0 && w->other_machine.count)
        r = say_group(&w->other_machine, "compiled module", t, again, out);
    /* Those whose files said it already need no second line. */
    if (r == 0 && w->other_wheel.count && !w->other_python.count && !w->other_machine.count)
        r = say_group(&w->other_wheel, "package", t, again, out);
    free(w);
    return r;
}

/* ---- virtual environments ---- */

static bool is_directory(int dir, const char *path)
{
    struct stat st;
    return fstatat(dir, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

/* "python3.9" of VENV/lib; "" when there is none. */
static void find_library(int dir, const char *venv, char *out, size_t cap)
{
    char path[PATH_BYTES];
    out[0] = '\0';
    fmt_to(path, sizeof(path), "%s/lib", venv);
    scoped_fd fd = openat(dir, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (!d)
        return;
    fd_take(&fd);
    for (const struct dirent *at; (at = readdir(d));)
        if (!strncmp(at->d_name, "python3.", 8))
            fmt_to(out, cap, "%s", at->d_name);
    closedir(d);
}

int python_tree_check_venv(const struct python_tree *t, struct err *e)
{
    char path[PATH_BYTES], library[32];
    if (!*t->venv)
        return 0;
    if (!is_directory(t->dir, t->venv))
        return err_say(e, EINVAL,
                       "venv: there is no directory '%s' among the uploaded files (does .faasdignore leave it out?)",
                       t->venv);
    find_library(t->dir, t->venv, library, sizeof(library));
    if (!*library)
        return err_say(e, EINVAL, "venv: '%s' is no virtual environment: it has no lib/python3.N", t->venv);
    if (t->minor < 0)
        return 0;
    fmt_to(path, sizeof(path), "%s/lib/python3.%d/site-packages", t->venv, t->minor);
    if (is_directory(t->dir, path))
        return 0;
    return err_say(
        e, EINVAL,
        "venv: '%s' was made for %s, and this function runs on python3.%d: make it anew with that one, or choose "
        "the runtime '%s'",
        t->venv, library, t->minor, library);
}

static int warn_of_unused_venv(const struct python_tree *t, struct buf *out)
{
    static const char *const usual[] = {".venv", "venv", "env"};
    char path[32];
    for (size_t i = 0; !*t->venv && i < sizeof(usual) / sizeof(usual[0]); i++) {
        fmt_to(path, sizeof(path), "%s/pyvenv.cfg", usual[i]);
        if (faccessat(t->dir, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
            return buf_addf(out, "'%s' is a virtual environment that nothing uses: say --venv %s\n", usual[i],
                            usual[i]);
    }
    return 0;
}

/* ---- requirements.txt ---- */

/* Does this Python see the host's packages? In a virtual environment only where its pyvenv.cfg says so (PEP 405). */
static bool sees_host(const struct python_tree *t)
{
    char path[PATH_BYTES], text[2048];
    if (!*t->venv)
        return true;
    fmt_to(path, sizeof(path), "%s/pyvenv.cfg", t->venv);
    ssize_t n = fd_read_file_at(t->dir, path, text, sizeof(text), NULL);
    for (struct str rest = {.p = text, .n = n < 0 ? 0 : (size_t)n}; rest.n;) {
        struct str value;
        struct str key = str_cut(str_cut(rest, '\n', &rest, NULL), '=', &value, NULL);
        if (str_is(str_trim(key), "include-system-site-packages"))
            return str_is_nocase(str_trim(value), "true");
    }
    return false;
}

/* Where this function's Python looks for packages. */
static bool is_installed(const struct python_tree *t, const char *name)
{
    char path[PATH_BYTES];
    if (python_package_is_in(t->dir, ".", name))
        return true;
    if (*t->venv && t->minor >= 0) {
        fmt_to(path, sizeof(path), "%s/lib/python3.%d/site-packages", t->venv, t->minor);
        if (python_package_is_in(t->dir, path, name))
            return true;
    }
    if (!sees_host(t))
        return false;
    static const char *const host[] = {"/usr/lib/python3.%d/site-packages", "/usr/local/lib/python3.%d/dist-packages",
                                       "/usr/local/lib/python3.%d/site-packages"};
    if (python_package_is_in(AT_FDCWD, "/usr/lib/python3/dist-packages", name))
        return true;
    for (size_t i = 0; t->minor >= 0 && i < sizeof(host) / sizeof(host[0]); i++) {
        const char *at = strstr(host[i], "%d");
        fmt_to(path, sizeof(path), "%.*s%d%s", (int)(at - host[i]), host[i], t->minor, at + 2);
        if (python_package_is_in(AT_FDCWD, path, name))
            return true;
    }
    return false;
}

static int warn_of_requirements(const struct python_tree *t, struct buf *out)
{
    struct python_requirements q;
    int r = python_requirements_open(&q, t->dir, "requirements.txt");
    if (r <= 0)
        return r;
    char missing[200], name[PYTHON_PACKAGE_MAX];
    size_t n = 0;
    unsigned count = 0, named = 0;
    while (python_requirements_next(&q, name)) {
        if (is_installed(t, name))
            continue;
        count++;
        if (n + strlen(name) + 3 > sizeof(missing))
            continue;
        n = fmt_at(missing, sizeof(missing), n, "%s%s", n ? ", " : "", name);
        named++;
    }
    python_requirements_close(&q);
    if (!count)
        return 0;
    return buf_addf(
        out,
        "requirements.txt names %s%s, but neither the deployed files nor this host's Python has %s: run pip "
        "install -r requirements.txt -t DIR and deploy DIR again\n",
        missing, count > named ? " and more" : "", count > 1 ? "them" : "it");
}

int python_tree_warn(const struct python_tree *t, struct buf *warnings)
{
    int r = warn_of_modules(t, warnings);
    if (r == 0)
        r = warn_of_unused_venv(t, warnings);
    /* An interpreter with a prefix of its own brings packages that can't be seen from here. */
    return r < 0 || !t->host_is_visible ? r : warn_of_requirements(t, warnings);
}
