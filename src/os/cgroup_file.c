/* SPDX-License-Identifier: Apache-2.0 */
/* Attribute files of control groups: GROUP/FILE beneath a tree's directory. */
#include "os/cgroup_internal.h"

#include "base/fdio.h"
#include "base/fmt.h"
#include "base/str.h"

#include <fcntl.h>

void cgroup_attribute_path(char out[CGROUP_ATTRIBUTE_MAX], const char *group, const char *file)
{
    fmt_to(out, CGROUP_ATTRIBUTE_MAX, "%s/%s", group, file);
}

int cgroup_write(int fd, const char *group, const char *file, const char *text, struct err *e)
{
    char path[CGROUP_ATTRIBUTE_MAX];
    cgroup_attribute_path(path, group, file);
    return fd_write_file_at(fd, path, text, e);
}

int cgroup_write_number(int fd, const char *group, const char *file, uint64_t value, struct err *e)
{
    char text[24];
    fmt_to(text, sizeof(text), "%llu", (unsigned long long)value);
    return cgroup_write(fd, group, file, text, e);
}

int cgroup_read(int fd, const char *group, const char *file, char *out, size_t cap)
{
    char path[CGROUP_ATTRIBUTE_MAX];
    cgroup_attribute_path(path, group, file);
    return (int)fd_read_file_at(fd, path, out, cap, NULL);
}

uint64_t cgroup_read_number(int fd, const char *group, const char *file)
{
    char text[64];
    uint64_t value = 0;
    if (cgroup_read(fd, group, file, text, sizeof(text)) < 0)
        return 0;
    struct str rest;
    return str_to_u64(str_cut(str_from(text), '\n', &rest, NULL), &value) ? value : 0;
}

uint64_t cgroup_find_key(const char *text, const char *key)
{
    struct str rest = str_from(text);
    while (rest.n) {
        struct str line = str_cut(rest, '\n', &rest, NULL);
        uint64_t value;
        if (str_is(str_cut(line, ' ', &line, NULL), key))
            return str_to_u64(line, &value) ? value : 0;
    }
    return 0;
}

uint64_t cgroup_read_key(int fd, const char *group, const char *file, const char *key)
{
    char text[8192];
    return cgroup_read(fd, group, file, text, sizeof(text)) < 0 ? 0 : cgroup_find_key(text, key);
}

const char *cgroup_v2_name(const struct cgroup *g, char out[CGROUP_V2_NAME_MAX])
{
    if (!g->parent)
        return g->ahead_name[0] ? g->ahead_name : g->name;
    fmt_to(out, CGROUP_V2_NAME_MAX, "%s/%s", cgroup_v2_name(g->parent, out), g->name);
    return out;
}

bool cgroup_has_file(int fd, const char *group, const char *file)
{
    char path[CGROUP_ATTRIBUTE_MAX];
    cgroup_attribute_path(path, group, file);
    return faccessat(fd, path, F_OK, 0) == 0;
}
