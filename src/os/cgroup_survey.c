/* SPDX-License-Identifier: Apache-2.0 */
/* What cgroup_tree_open would find, learnt from an empty directory in each hierarchy that is gone again at once. */
#include "os/cgroup.h"

#include "base/fdio.h"
#include "base/fmt.h"
#include "base/str.h"
#include "os/cgroup_internal.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

static bool host_has_swap(void)
{
    char text[4096];
    if (fd_read_file_at(AT_FDCWD, "/proc/swaps", text, sizeof(text), NULL) < 0)
        return true; /* more than fits, or unreadable: assume the worse */
    struct str rest = str_from(text);
    str_cut(rest, '\n', &rest, NULL); /* the heading */
    return rest.n > 0;
}

/* Makes `name` in this process's own group, or *ret_error says why not. Returns a descriptor of it. */
static int open_probe(const struct cgroup_hierarchy *h, const char *name, char *path, size_t cap, int *ret_error)
{
    fmt_to(path, cap, "%s%s/%s", h->mount, h->own, name);
    *ret_error = 0;
    if (mkdir(path, 0755) < 0 && errno != EEXIST) {
        *ret_error = errno;
        return -1;
    }
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        *ret_error = errno;
    return fd;
}

static void survey_v1(const struct cgroup_hierarchy *h, int fd, struct cgroup_survey *s)
{
    for (unsigned c = 0; c < CGROUP_CONTROLLERS; c++)
        s->has[c] |= (h->controllers & CGROUP_BIT(c)) != 0;
    if (h->controllers & CGROUP_BIT(CGROUP_MEMORY))
        s->swap_limit = cgroup_has_file(fd, ".", "memory.memsw.limit_in_bytes");
}

/* As root controllers can be switched on from the top down, so what the top has counts; otherwise what was delegated to this group. */
static void survey_v2(const struct cgroup_hierarchy *h, int fd, struct cgroup_survey *s)
{
    char path[2 * CGROUP_PATH_MAX], text[512];
    s->kill = cgroup_has_file(fd, ".", "cgroup.kill");
    s->freeze = cgroup_has_file(fd, ".", "cgroup.freeze");
    s->clone_into = true;
    bool top = faccessat(AT_FDCWD, h->mount, W_OK, AT_EACCESS) == 0;
    fmt_to(path, sizeof(path), "%s%s/cgroup.controllers", h->mount, top ? "" : h->own);
    if (fd_read_file_at(AT_FDCWD, path, text, sizeof(text), NULL) < 0)
        return;
    unsigned bits = cgroup_parse_controllers(text);
    for (unsigned c = 0; c < CGROUP_CONTROLLERS; c++) {
        if (!(bits & CGROUP_BIT(c)))
            continue;
        s->has[c] = s->v2_limits[c] = true;
    }
    if (s->v2_limits[CGROUP_MEMORY])
        s->oom_group = s->swap_limit = true;
    s->has[CGROUP_CPUACCT] = true; /* cpu.stat needs no controller */
}

void cgroup_survey(struct cgroup_survey *ret_survey)
{
    *ret_survey = (struct cgroup_survey){0};
    struct err e;
    scoped_free struct cgroup_find *found = malloc(sizeof(*found));
    if (!found) {
        fmt_to(ret_survey->describe, sizeof(ret_survey->describe), "ENOMEM");
        return;
    }
    int r = cgroup_find_hierarchies(found, &e);
    bool v1 = false, unified = false;
    char name[40], path[2 * CGROUP_PATH_MAX];
    fmt_to(name, sizeof(name), "faasd-survey-%d", getpid());
    int refused = 0;
    for (unsigned i = 0; r == 0 && i < found->count; i++) {
        const struct cgroup_hierarchy *h = &found->found[i];
        int error;
        ret_survey->limits_are_v1 |= !h->unified && h->controllers & CGROUP_BIT(CGROUP_MEMORY);
        int fd = open_probe(h, name, path, sizeof(path), &error);
        if (fd < 0) {
            refused = error;
            continue;
        }
        if (h->unified)
            survey_v2(h, fd, ret_survey);
        else
            survey_v1(h, fd, ret_survey);
        v1 |= !h->unified;
        unified |= h->unified;
        fd_close(&fd);
        rmdir(path);
    }
    ret_survey->swap_limit |= !host_has_swap();
    const char *text = ret_survey->v2_limits[CGROUP_MEMORY] ? "v2"
                       : v1 && unified                      ? "hybrid: limits v1, kill v2"
                       : v1                                 ? "v1"
                       : unified                            ? "v2"
                                                            : NULL;
    const char *why = r < 0 ? e.text : refused ? strerrorname_np(refused) : "none mounted";
    fmt_to(ret_survey->describe, sizeof(ret_survey->describe), "%s", text ? text : why);
}
