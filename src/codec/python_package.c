/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/python_package.h"

#include "base/fdio.h"
#include "base/fmt.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>

enum { REQUIREMENTS_MAX = 256 * 1024, WHEEL_MAX = 16384 };

/* ---- names ---- */

static bool is_separator(char c)
{
    return c == '-' || c == '_' || c == '.';
}

static bool is_name_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || is_separator(c);
}

/* PEP 503. False when it does not fit or is empty. */
static bool normalise(struct str name, char out[PYTHON_PACKAGE_MAX])
{
    size_t n = 0;
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        if (is_separator(c) && n && out[n - 1] == '-')
            continue;
        if (n + 1 >= PYTHON_PACKAGE_MAX)
            return false;
        out[n++] = is_separator(c) ? '-' : c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
    }
    out[n] = '\0';
    return n > 0;
}

/* ---- requirements.txt ---- */

int python_requirements_open(struct python_requirements *q, int dirfd, const char *path)
{
    scoped_fd fd = openat(dirfd, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return 0;
    q->text = malloc(REQUIREMENTS_MAX);
    if (!q->text)
        return -ENOMEM;
    ssize_t n = fd_read_full(fd, q->text, REQUIREMENTS_MAX);
    q->rest = (struct str){.p = q->text, .n = n < 0 ? 0 : (size_t)n};
    return 1;
}

/* The name at the start of a line; empty for options, addresses ("git+https://", "name @ ..."), files, and lines with a marker. */
static struct str name_of_line(struct str line)
{
    const char *comment = memchr(line.p, '#', line.n);
    if (comment)
        line.n = (size_t)(comment - line.p);
    line = str_trim(line);
    if (!line.n || line.p[0] == '-' || line.p[0] == '.' || memchr(line.p, ';', line.n) || memchr(line.p, '/', line.n) ||
        memchr(line.p, '@', line.n))
        return (struct str){0};
    size_t n = 0;
    while (n < line.n && is_name_byte(line.p[n]))
        n++;
    return (struct str){.p = line.p, .n = n};
}

bool python_requirements_next(struct python_requirements *q, char ret_name[PYTHON_PACKAGE_MAX])
{
    while (q->rest.n) {
        struct str line = str_cut(q->rest, '\n', &q->rest, NULL);
        if (line.n && line.p[line.n - 1] == '\r')
            line.n--;
        if (line.n && normalise(name_of_line(line), ret_name))
            return true;
    }
    return false;
}

void python_requirements_close(struct python_requirements *q)
{
    free(q->text);
    q->text = NULL;
}

/* ---- what is installed ---- */

/* "PyYAML-6.0.dist-info", "six.egg-info" -> "PyYAML", "six"; a module "yaml", "six.py" -> its own name. */
static struct str package_of_entry(const char *entry)
{
    size_t n = strlen(entry);
    static const char *const ends[] = {".dist-info", ".egg-info", ".py"};
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        size_t m = strlen(ends[i]);
        if (n <= m || strcmp(entry + n - m, ends[i]) != 0)
            continue;
        const char *dash = i < 2 ? memchr(entry, '-', n - m) : NULL;
        return (struct str){.p = entry, .n = dash ? (size_t)(dash - entry) : n - m};
    }
    return (struct str){.p = entry, .n = n};
}

bool python_package_is_in(int dirfd, const char *path, const char *name)
{
    char there[PYTHON_PACKAGE_MAX];
    bool found = false;
    scoped_fd fd = openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir)
        return false;
    fd_take(&fd);
    for (const struct dirent *at; !found && (at = readdir(dir));)
        found = normalise(package_of_entry(at->d_name), there) && strcmp(there, name) == 0;
    closedir(dir);
    return found;
}

/* ---- wheels ---- */

/* One of "cp311", "py3", "py2.py3" against CPython 3.minor. abi3 modules go with every later Python too. */
static bool python_suits(struct str python, struct str abi, int minor)
{
    uint64_t n;
    if (minor < 0)
        return true;
    while (python.n) {
        struct str one = str_cut(python, '.', &python, NULL);
        if (str_is(one, "py3"))
            return true;
        bool cp = str_starts_with(one, "cp3"), py = str_starts_with(one, "py3");
        if ((!cp && !py) || !str_to_u64(str_skip(one, 3), &n))
            continue;
        if (n == (uint64_t)minor || (n < (uint64_t)minor && (py || str_is(abi, "abi3") || str_is(abi, "none"))))
            return true;
    }
    return false;
}

static bool platform_suits(struct str platform, const char *machine)
{
    size_t m = strlen(machine);
    while (platform.n) {
        struct str one = str_cut(platform, '.', &platform, NULL);
        bool linux_glibc = str_starts_with(one, "manylinux") || str_starts_with(one, "linux_");
        if (str_is(one, "any") || (linux_glibc && one.n > m && !memcmp(one.p + one.n - m, machine, m)))
            return true;
    }
    return false;
}

bool python_wheel_is_foreign(int dirfd, const char *path, int minor, const char *machine, char *built_for, size_t cap)
{
    char text[WHEEL_MAX];
    scoped_fd fd = openat(dirfd, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : fd_read_full(fd, text, sizeof(text));
    bool has_tag = false;
    struct str rest = {.p = text, .n = n < 0 ? 0 : (size_t)n};
    while (rest.n) {
        struct str line = str_trim(str_cut(rest, '\n', &rest, NULL));
        if (!str_starts_with(line, "Tag:"))
            continue;
        struct str tag = str_trim(str_skip(line, 4)), abi, platform;
        if (tag.n && tag.p[tag.n - 1] == '\r')
            tag.n--;
        struct str python = str_cut(tag, '-', &abi, NULL);
        abi = str_cut(abi, '-', &platform, NULL);
        if (python_suits(python, abi, minor) && platform_suits(platform, machine))
            return false;
        if (!has_tag)
            fmt_to(built_for, cap, "%.*s %.*s", (int)python.n, python.p, (int)platform.n, platform.n ? platform.p : "");
        has_tag = true;
    }
    return has_tag;
}
