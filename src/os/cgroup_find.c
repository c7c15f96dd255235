/* SPDX-License-Identifier: Apache-2.0 */
/* Where cgroups are mounted and which group this process is in: /proc/self/mountinfo joined with /proc/self/cgroup. */
#include "os/cgroup_internal.h"

#include "base/fdio.h"
#include "base/fmt.h"
#include "base/str.h"

#include <fcntl.h>
#include <string.h>

enum { FILE_STEP = 65536, FILE_LIMIT = 4 * 1024 * 1024 };

static const char *const controller_names[CGROUP_CONTROLLERS] = {
    [CGROUP_MEMORY] = "memory",   [CGROUP_PIDS] = "pids",     [CGROUP_CPU] = "cpu",
    [CGROUP_CPUACCT] = "cpuacct", [CGROUP_CPUSET] = "cpuset",
};

const char *cgroup_controller_name(enum cgroup_controller c)
{
    return controller_names[c];
}

unsigned cgroup_parse_controllers(const char *text)
{
    unsigned bits = 0;
    while (*text) {
        size_t n = strcspn(text, ", \n");
        for (unsigned c = 0; c < CGROUP_CONTROLLERS; c++)
            if (str_is((struct str){text, n}, controller_names[c]))
                bits |= CGROUP_BIT(c);
        text += n + (text[n] != '\0');
    }
    return bits;
}

/* A file of any length, as mountinfo is on hosts with many mounts. */
static int read_whole(const char *path, char **ret_text, struct err *e)
{
    for (size_t cap = FILE_STEP; cap <= FILE_LIMIT; cap *= 4) {
        char *text = malloc(cap);
        if (!text)
            return err_set(e, ENOMEM, "read '%s'", path);
        ssize_t n = fd_read_file_at(AT_FDCWD, path, text, cap, e);
        if (n >= 0) {
            *ret_text = text;
            return 0;
        }
        free(text);
        if (n != -EFBIG)
            return (int)n;
    }
    return -EFBIG;
}

/* mountinfo writes space, tab, line end and backslash as \ooo. */
static bool copy_unescaped(struct str s, char *out, size_t cap)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c == '\\' && i + 3 < s.n) {
            c = (char)(((s.p[i + 1] & 7) << 6) | ((s.p[i + 2] & 7) << 3) | (s.p[i + 3] & 7));
            i += 3;
        }
        if (n + 1 >= cap)
            return false;
        out[n++] = c;
    }
    out[n] = '\0';
    return true;
}

/* The path of this process's group in the hierarchy whose /proc/self/cgroup line has `controllers` (unified: none), less the part above the
 * mount's root. */
static bool find_own(const char *cgroups, bool unified, unsigned controllers, const char *root, char *out)
{
    struct str rest = str_from(cgroups);
    while (rest.n) {
        struct str line = str_cut(rest, '\n', &rest, NULL);
        struct str id = str_cut(line, ':', &line, NULL);
        struct str names = str_cut(line, ':', &line, NULL);
        char text[256];
        if (!str_copy(names, text, sizeof(text)))
            continue;
        bool same = unified ? str_is(id, "0") && names.n == 0
                            : (cgroup_parse_controllers(text) & controllers) == controllers && names.n > 0;
        if (!same)
            continue;
        char path[CGROUP_PATH_MAX];
        if (!str_copy(line, path, sizeof(path)))
            return false;
        size_t skip = strcmp(root, "/") == 0 ? 0 : strlen(root);
        bool inside =
            strncmp(path, root, skip) == 0 && (path[skip] == '/' || path[skip] == '\0') && !strstr(path, "/..");
        fmt_to(out, CGROUP_PATH_MAX, "%s", inside && strcmp(path + skip, "/") != 0 ? path + skip : "");
        return true;
    }
    return false;
}

static void find_in_line(struct cgroup_find *f, struct str line, const char *cgroups)
{
    struct str field[6], rest = line;
    for (unsigned i = 0; i < 6; i++)
        field[i] = str_cut(rest, ' ', &rest, NULL);
    while (rest.n && !str_starts_with(rest, "- ")) /* optional fields: "shared:1" and such */
        str_cut(rest, ' ', &rest, NULL);
    rest = str_skip(rest, 2);
    struct str type = str_cut(rest, ' ', &rest, NULL);
    str_cut(rest, ' ', &rest, NULL); /* source */
    bool unified = str_is(type, "cgroup2");
    if ((!unified && !str_is(type, "cgroup")) || f->count == CGROUP_HIERARCHIES_MAX)
        return;
    struct cgroup_hierarchy *h = &f->found[f->count];
    char options[512], root[CGROUP_PATH_MAX];
    h->unified = unified;
    h->controllers = !unified && str_copy(rest, options, sizeof(options)) ? cgroup_parse_controllers(options) : 0;
    if (!unified && h->controllers == 0)
        return;
    for (unsigned i = 0; i < f->count; i++) /* mounted a second time elsewhere */
        if (f->found[i].unified == unified && f->found[i].controllers == h->controllers)
            return;
    if (copy_unescaped(field[3], root, sizeof(root)) && copy_unescaped(field[4], h->mount, sizeof(h->mount)) &&
        find_own(cgroups, unified, h->controllers, root, h->own))
        f->count++;
}

int cgroup_find_hierarchies(struct cgroup_find *ret_find, struct err *e)
{
    scoped_free char *mounts = NULL;
    scoped_free char *cgroups = NULL;
    int r = read_whole("/proc/self/mountinfo", &mounts, e);
    if (r == 0)
        r = read_whole("/proc/self/cgroup", &cgroups, e);
    if (r < 0)
        return r;
    ret_find->count = 0;
    struct str rest = str_from(mounts);
    while (rest.n)
        find_in_line(ret_find, str_cut(rest, '\n', &rest, NULL), cgroups);
    if (ret_find->count == 0)
        return err_say(e, ENOENT, "no cgroup hierarchy is mounted");
    return 0;
}
