/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The v1 half of cgroup.h (Documentation/admin-guide/cgroup-v1/). A group is one directory in each v1 hierarchy that has a controller of ours.
 * Its processes move there by themselves, by writing "0" to `tasks` while single-threaded: a foreign pid in cgroup.procs waits for an RCU grace period.
 */
#include "os/cgroup_internal.h"

#include "base/fdio.h"
#include "base/fmt.h"

#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>

enum { PERIOD_US = 100000, WEIGHT_DEFAULT = 100, SHARES_DEFAULT = 1024, SOCKETS_SHARE = 4 };

/* A new cpuset is empty and nobody may enter it before it has cpus and memory nodes. */
static int copy_cpuset(int from_fd, const char *from, int to_fd, const char *to, struct err *e)
{
    static const char *const files[] = {"cpuset.cpus", "cpuset.mems"};
    for (unsigned i = 0; i < 2; i++) {
        char text[256];
        int n = cgroup_read(from_fd, from, files[i], text, sizeof(text));
        if (n < 0)
            return err_set(e, -n, "read %s", files[i]);
        int r = cgroup_write(to_fd, to, files[i], text, e);
        if (r < 0)
            return r;
    }
    return 0;
}

int cgroup_v1_open(struct cgroup_v1_tree *t, const struct cgroup_hierarchy *h, const char *name, struct err *e)
{
    char path[2 * CGROUP_PATH_MAX];
    fmt_to(path, sizeof(path), "%s%s", h->mount, h->own);
    scoped_fd parent = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (parent < 0)
        return err_set(e, errno, "open '%s'", path);
    if (mkdirat(parent, name, 0755) < 0 && errno != EEXIST)
        return err_set(e, errno, "make '%s/%s'", path, name);
    scoped_fd fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int r = fd < 0 ? err_set(e, errno, "open '%s/%s'", path, name) : 0;
    if (r == 0 && (h->controllers & CGROUP_BIT(CGROUP_CPUSET)))
        r = copy_cpuset(parent, ".", parent, name, e);
    /* Counting begins with the first limit of the host and ends with the last, by patching the kernel's code: 0.1 to 3 ms, which no start is to wait for. */
    cgroup_write_number(parent, name, "memory.kmem.tcp.limit_in_bytes", INT64_MAX, NULL);
    if (r < 0) {
        unlinkat(parent, name, AT_REMOVEDIR); /* no tree remembers it; one that is in use stays */
        return r;
    }
    t->parent_fd = fd_take(&parent);
    t->fd = fd_take(&fd);
    t->controllers = h->controllers;
    return 0;
}

/* Each further hierarchy costs a start some 20 us, so one that would change nothing is left out: cpuset without a set of cpus. */
bool cgroup_v1_is_wanted(const struct cgroup_v1_tree *t, const struct cgroup_limits *limits)
{
    if (t->controllers == CGROUP_BIT(CGROUP_CPUSET))
        return limits->cpuset && limits->cpuset[0];
    return true;
}

static int limit_memory(int fd, const char *name, uint64_t bytes, struct err *e)
{
    /* Buffers of TCP and UDP, which no other limit of v1 counts (memory.rst of cgroup-v1, 2.7.1), on top. Some kernel to come has no such file. */
    int r = cgroup_write_number(fd, name, "memory.kmem.tcp.limit_in_bytes", bytes / SOCKETS_SHARE, e);
    if (r == 0 || r == -ENOENT)
        r = cgroup_write_number(fd, name, "memory.limit_in_bytes", bytes, e);
    if (r < 0)
        return r;
    /* memory plus swap at the same value leaves no swap; without swap accounting at least prefer not to. */
    r = cgroup_write_number(fd, name, "memory.memsw.limit_in_bytes", bytes, e);
    if (r == -ENOENT || r == -EOPNOTSUPP)
        r = cgroup_write_number(fd, name, "memory.swappiness", 0, e);
    return r;
}

static int limit_cpu(const struct cgroup *g, unsigned index, const struct cgroup_limits *limits, struct err *e)
{
    int fd = g->tree->v1[index].fd;
    const char *name = cgroup_v1_name(g, index);
    int r = 0;
    if (limits->cpu_weight && limits->cpu_weight != WEIGHT_DEFAULT) {
        uint64_t shares = (uint64_t)limits->cpu_weight * SHARES_DEFAULT / WEIGHT_DEFAULT;
        r = cgroup_write_number(fd, name, "cpu.shares", shares < 2 ? 2 : shares, e);
    }
    if (r == 0 && cgroup_needs_quota(g->tree, limits)) /* the period is 100 ms already */
        r = cgroup_write_number(fd, name, "cpu.cfs_quota_us", (uint64_t)limits->cpus_milli * PERIOD_US / 1000, e);
    return r;
}

const char *cgroup_v1_name(const struct cgroup *g, unsigned index)
{
    return g->unnamed[index] ? g->ahead_name : g->name;
}

int cgroup_v1_make(struct cgroup *g, unsigned index, struct err *e)
{
    const struct cgroup_v1_tree *t = &g->tree->v1[index];
    const char *name = cgroup_v1_name(g, index);
    if (mkdirat(t->fd, name, 0755) < 0)
        return err_set(e, errno, "make cgroup '%s'", name);
    g->in_v1[index] = true;
    return t->controllers & CGROUP_BIT(CGROUP_CPUSET) ? copy_cpuset(t->fd, ".", t->fd, name, e) : 0;
}

int cgroup_v1_limit(const struct cgroup *g, unsigned index, const struct cgroup_limits *limits, struct err *e)
{
    const struct cgroup_v1_tree *t = &g->tree->v1[index];
    const char *name = cgroup_v1_name(g, index);
    int r = 0;
    if (t->controllers & CGROUP_BIT(CGROUP_MEMORY) && limits->memory_bytes)
        r = limit_memory(t->fd, name, limits->memory_bytes, e);
    if (r == 0 && t->controllers & CGROUP_BIT(CGROUP_PIDS) && limits->pids)
        r = cgroup_write_number(t->fd, name, "pids.max", limits->pids, e);
    if (r == 0 && t->controllers & CGROUP_BIT(CGROUP_CPU))
        r = limit_cpu(g, index, limits, e);
    if (r == 0 && t->controllers & CGROUP_BIT(CGROUP_CPUSET) && limits->cpuset && limits->cpuset[0])
        r = cgroup_limit_cpuset(t->fd, name, &(struct cgroup_cpuset){limits->cpuset, "cpuset.cpus"}, e);
    return r;
}

int cgroup_v1_oom_open(const struct cgroup *g, const struct cgroup_v1_tree *t)
{
    char path[CGROUP_NAME_MAX + 32], text[32];
    scoped_fd event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    fmt_to(path, sizeof(path), "%s/memory.oom_control", g->name);
    scoped_fd control = openat(t->fd, path, O_RDONLY | O_CLOEXEC);
    if (event < 0 || control < 0)
        return -1;
    fmt_to(text, sizeof(text), "%d %d", event, control);
    if (cgroup_write(t->fd, g->name, "cgroup.event_control", text, NULL) < 0)
        return -1;
    return fd_take(&event);
}

void cgroup_v1_read_usage(const struct cgroup *g, const struct cgroup_v1_tree *t, struct cgroup_usage *usage)
{
    if (t->controllers & CGROUP_BIT(CGROUP_MEMORY)) {
        usage->memory_peak_bytes = cgroup_get_number(g, CGROUP_KEPT_PEAK);
        usage->oom_kills = (uint32_t)cgroup_get_key(g, CGROUP_KEPT_OOM, "oom_kill");
        if (usage->oom_kills || g->oom_told)
            usage->shmem_bytes = cgroup_read_key(t->fd, g->name, "memory.stat", "shmem");
    }
    if (t->controllers & CGROUP_BIT(CGROUP_PIDS))
        usage->pids_denied = (uint32_t)cgroup_get_key(g, CGROUP_KEPT_PIDS_EVENTS, "max");
    if (t->controllers & CGROUP_BIT(CGROUP_CPUACCT))
        usage->cpu_ns = cgroup_read_number(t->fd, g->name, "cpuacct.usage");
}
