/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attributes of a group that is used again and again. Opening a file of cgroupfs, reading and closing it takes 6 us, reading one that is open 0.5 us;
 * so a group that gets its second user keeps its files open, those by which a child joins among them: they carry the powers of whom they were opened
 * for the first time. How many groups may do so is bounded; beyond, the one that was given files longest ago loses its own.
 * `cgroup.procs` and `tasks` of v1 are never kept: what an open one tells is up to a second old.
 */
#include "os/cgroup_internal.h"

#include "base/fdio.h"
#include "base/fmt.h"
#include "base/str.h"

#include <fcntl.h>
#include <string.h>

enum { KEPT_GROUPS_MAX = 64 };

static const struct {
    const char *v1, *v2;
    enum cgroup_controller controller; /* CGROUP_CONTROLLERS: of the unified hierarchy, whoever limits */
    int flags;
} attributes[CGROUP_KEPT] = {
    [CGROUP_KEPT_LIMIT] = {"memory.limit_in_bytes", "memory.max", CGROUP_MEMORY, O_WRONLY},
    [CGROUP_KEPT_BYTES] = {"memory.usage_in_bytes", "memory.current", CGROUP_MEMORY, O_RDONLY},
    [CGROUP_KEPT_PEAK] = {"memory.max_usage_in_bytes", NULL, CGROUP_MEMORY, O_RDWR}, /* v2: cgroup.peak_fd */
    [CGROUP_KEPT_OOM] = {"memory.oom_control", "memory.events", CGROUP_MEMORY, O_RDONLY},
    [CGROUP_KEPT_PIDS_LIMIT] = {"pids.max", "pids.max", CGROUP_PIDS, O_WRONLY},
    [CGROUP_KEPT_PIDS_NOW] = {"pids.current", "pids.current", CGROUP_PIDS, O_RDONLY},
    [CGROUP_KEPT_PIDS_EVENTS] = {"pids.events", "pids.events", CGROUP_PIDS, O_RDONLY},
    [CGROUP_KEPT_EVENTS] = {NULL, "cgroup.events", CGROUP_CONTROLLERS, O_RDONLY},
    [CGROUP_KEPT_CPU] = {NULL, "cpu.stat", CGROUP_CONTROLLERS, O_RDONLY},
    [CGROUP_KEPT_THREADS] = {NULL, "cgroup.threads", CGROUP_CONTROLLERS, O_RDONLY},
};

/* Where attribute `a` of the group stands; -ENOENT where no hierarchy of its has it. */
static int locate(const struct cgroup *g, enum cgroup_kept a, char path[CGROUP_ATTRIBUTE_MAX], int *ret_fd)
{
    char name[CGROUP_V2_NAME_MAX];
    enum cgroup_controller c = attributes[a].controller;
    for (unsigned i = 0; c != CGROUP_CONTROLLERS && i < g->tree->v1_count; i++)
        if (g->tree->v1[i].controllers & CGROUP_BIT(c)) {
            cgroup_attribute_path(path, g->name, attributes[a].v1);
            *ret_fd = g->tree->v1[i].fd;
            return g->in_v1[i] ? 0 : -ENOENT;
        }
    if (!g->in_v2 || !attributes[a].v2 || (c != CGROUP_CONTROLLERS && !(g->tree->v2.controllers & CGROUP_BIT(c))))
        return -ENOENT;
    cgroup_attribute_path(path, cgroup_v2_name(g, name), attributes[a].v2);
    *ret_fd = g->tree->v2.fd;
    return 0;
}

int cgroup_get(const struct cgroup *g, enum cgroup_kept a, char *out, size_t cap)
{
    char path[CGROUP_ATTRIBUTE_MAX];
    int fd;
    out[0] = '\0';
    if (g->kept && g->kept->fds[a] >= 0) {
        ssize_t n = fd_pread_lines(g->kept->fds[a], out, cap - 1);
        out[n > 0 ? n : 0] = '\0';
        return (int)n;
    }
    int r = locate(g, a, path, &fd);
    return r < 0 ? r : (int)fd_read_file_at(fd, path, out, cap, NULL);
}

uint64_t cgroup_get_number(const struct cgroup *g, enum cgroup_kept a)
{
    char text[64];
    uint64_t value = 0;
    struct str rest;
    if (cgroup_get(g, a, text, sizeof(text)) < 0)
        return 0;
    return str_to_u64(str_cut(str_from(text), '\n', &rest, NULL), &value) ? value : 0;
}

uint64_t cgroup_get_key(const struct cgroup *g, enum cgroup_kept a, const char *key)
{
    char text[4096];
    return cgroup_get(g, a, text, sizeof(text)) < 0 ? 0 : cgroup_find_key(text, key);
}

int cgroup_set(const struct cgroup *g, enum cgroup_kept a, uint64_t value)
{
    char path[CGROUP_ATTRIBUTE_MAX], text[24];
    int fd;
    size_t n = fmt_to(text, sizeof(text), "%llu", (unsigned long long)value);
    if (g->kept && g->kept->fds[a] >= 0)
        return pwrite(g->kept->fds[a], text, n, 0) == (ssize_t)n ? 0 : -errno;
    int r = locate(g, a, path, &fd);
    if (r == -ENOENT)
        return 0; /* nobody counts it */
    return fd_write_file_at(fd, path, text, NULL);
}

/* Who joins through the unified or v2 hierarchy must be one who may write to `cgroup.procs` of the directory above both places (cgroup_may_write), which the
 * kernel finds out from that file's inode: made for each child and thrown away, unless somebody holds it. */
static int open_gate(const struct cgroup *g)
{
    char name[CGROUP_V2_NAME_MAX], path[CGROUP_ATTRIBUTE_MAX];
    if (!g->in_v2)
        return -1;
    cgroup_attribute_path(path, g->parent ? cgroup_v2_name(g->parent, name) : ".", "cgroup.procs");
    return openat(g->tree->v2.fd, path, O_PATH | O_CLOEXEC);
}

/* ---- which groups do ---- */

void cgroup_keep(struct cgroup *g)
{
    char path[CGROUP_ATTRIBUTE_MAX];
    int fd;
    if (g->kept)
        return;
    struct cgroup_files *k = malloc(sizeof(*k));
    if (!k)
        return; /* slower, not wrong */
    if (g->tree->kept_count == KEPT_GROUPS_MAX)
        cgroup_let_go(LIST_ENTRY(list_last(&g->tree->kept), struct cgroup_files, link)->group);
    k->group = g;
    k->join_count = 0;
    for (unsigned a = 0; a < CGROUP_KEPT; a++)
        k->fds[a] = locate(g, a, path, &fd) == 0 ? openat(fd, path, attributes[a].flags | O_CLOEXEC) : -1;
    k->gate = open_gate(g);
    list_init(&k->link);
    list_push_front(&g->tree->kept, &k->link);
    g->tree->kept_count++;
    g->kept = k;
}

void cgroup_let_go(struct cgroup *g)
{
    struct cgroup_files *k = g->kept;
    if (!k)
        return;
    for (unsigned a = 0; a < CGROUP_KEPT; a++)
        fd_close(&k->fds[a]);
    fd_close(&k->gate);
    cgroup_close_tasks(k->join, k->join_count);
    list_remove(&k->link);
    g->tree->kept_count--;
    free(k);
    g->kept = NULL;
}

static int copy_all(const int *from, unsigned count, int *to)
{
    for (unsigned i = 0; i < count; i++) {
        to[i] = fcntl(from[i], F_DUPFD_CLOEXEC, 0);
        if (to[i] < 0) {
            int error = errno;
            cgroup_close_tasks(to, i);
            return -error;
        }
    }
    return 0;
}

void cgroup_keep_join(struct cgroup *g, const int *fds, unsigned count)
{
    if (g->kept && g->kept->join_count == 0 && copy_all(fds, count, g->kept->join) == 0)
        g->kept->join_count = count;
}

bool cgroup_kept_join(const struct cgroup *g, int fds[CGROUP_JOIN_MAX], unsigned *ret_count)
{
    if (!g->kept || g->kept->join_count == 0 || copy_all(g->kept->join, g->kept->join_count, fds) < 0)
        return false;
    *ret_count = g->kept->join_count;
    return true;
}
