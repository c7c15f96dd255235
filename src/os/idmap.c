/* SPDX-License-Identifier: Apache-2.0 */
#include "os/idmap.h"

#include "base/fdio.h"
#include "base/fmt.h"

#include <fcntl.h>

void idmap_format(const struct idmap *m, char out[IDMAP_TEXT_MAX])
{
    size_t n = 0;
    out[0] = '\0';
    for (unsigned i = 0; i < m->count; i++)
        n = fmt_at(out, IDMAP_TEXT_MAX, n, "%u %u 1\n", m->entries[i].inside, m->entries[i].outside);
}

int idmap_write(pid_t pid, const struct idmap *m, struct err *e)
{
    char text[IDMAP_TEXT_MAX], path[48];
    idmap_format(m, text);
    fmt_to(path, sizeof(path), "/proc/%d/uid_map", pid);
    int r = fd_write_file_at(AT_FDCWD, path, text, e);
    if (r < 0)
        return r;
    fmt_to(path, sizeof(path), "/proc/%d/gid_map", pid);
    return fd_write_file_at(AT_FDCWD, path, text, e);
}
