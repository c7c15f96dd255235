/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The v2 half of cgroup.h (Documentation/admin-guide/cgroup-v2.rst), which on hybrid hosts is the unified hierarchy without controllers, for the
 * atomic kill alone.
 *
 * A group may hand controllers to its children only while it holds no process itself ("no internal processes"; the real root is exempt). So
 * faasd's directory goes, in this order of preference:
 *   1. beneath this process's own group, when nobody else is in it: this process steps down into a leaf beside it. A systemd service is that;
 *   2. beneath the nearest group above it that holds no process: a shell's session scope holds the shell, the slice above it nobody.
 * Controllers are switched on from the top down as far as we may; what is missing at the end is told by cgroup_tree_has.
 */
#include "os/cgroup_internal.h"

#include "base/fdio.h"
#include "base/fmt.h"
#include "base/str.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

enum { PERIOD_US = 100000, WEIGHT_DEFAULT = 100 };
enum { WEIGHT_LEAF = 300 }; /* as nice -5 to 0: the door stays open with every core taken by the groups beside it */

static unsigned read_controllers(int fd, const char *file)
{
    char text[512];
    return cgroup_read(fd, ".", file, text, sizeof(text)) < 0 ? 0 : cgroup_parse_controllers(text);
}

/* Whether groups beneath it can take processes and get controllers: an ordinary group without a process, or the real root, which alone has no
 * type. The kernel does not say no to everything that is wrong here: it lets cpu and pids be switched on over the heads of processes, which
 * makes the group a "domain threaded" one, and what is beneath refuses every process from then on (EOPNOTSUPP). */
static bool can_be_parent(int fd)
{
    char text[64];
    if (!cgroup_has_file(fd, ".", "cgroup.type"))
        return true;
    return cgroup_read(fd, ".", "cgroup.type", text, sizeof(text)) > 0 && strcmp(text, "domain\n") == 0 &&
           cgroup_read(fd, ".", "cgroup.procs", text, sizeof(text)) == 0;
}

/* Switches on in `fd` what it has of `want`, one by one so that one refusal costs one controller. Returns what groups below get; *ret_error
 * is the last refusal; *ret_added what was off before. */
static unsigned enable_controllers(int fd, unsigned want, unsigned *ret_added, int *ret_error)
{
    unsigned on = read_controllers(fd, "cgroup.subtree_control");
    unsigned offered = read_controllers(fd, "cgroup.controllers") & want;
    unsigned missing = offered & ~on;
    *ret_error = offered && !can_be_parent(fd) ? -EBUSY : 0;
    *ret_added = 0;
    if (*ret_error)
        return on & want;
    for (unsigned c = 0; c < CGROUP_CONTROLLERS; c++) {
        if (!(missing & CGROUP_BIT(c)))
            continue;
        char text[32];
        fmt_to(text, sizeof(text), "+%s", cgroup_controller_name(c));
        int r = cgroup_write(fd, ".", "cgroup.subtree_control", text, NULL);
        if (r < 0)
            *ret_error = r;
        else
            *ret_added |= CGROUP_BIT(c);
    }
    return (on | *ret_added) & want;
}

static bool is_alone(int fd)
{
    char text[64], own[24];
    fmt_to(own, sizeof(own), "%d\n", getpid());
    return cgroup_read(fd, ".", "cgroup.procs", text, sizeof(text)) >= 0 && strcmp(text, own) == 0;
}

static int step_into_leaf(struct cgroup_v2_tree *t, int parent, const char *name, struct err *e)
{
    fmt_to(t->leaf, sizeof(t->leaf), "%s-supervisor", name);
    if (mkdirat(parent, t->leaf, 0755) < 0 && errno != EEXIST)
        return err_set(e, errno, "make cgroup '%s'", t->leaf);
    int r = cgroup_write(parent, t->leaf, "cgroup.procs", "0", e);
    if (r < 0) {
        unlinkat(parent, t->leaf, AT_REMOVEDIR);
        return r;
    }
    t->moved = true;
    return 0;
}

/* Tries one directory as the parent of ours: 0, or -EBUSY when one above it may do better. */
static int try_parent(struct cgroup_v2_tree *t, const char *name, unsigned want, bool own, struct err *e)
{
    int refused;
    unsigned added;
    enable_controllers(t->parent_fd, want, &added, &refused);
    t->enabled |= added;
    if (refused == -EBUSY && own && is_alone(t->parent_fd)) {
        int r = step_into_leaf(t, t->parent_fd, name, e);
        if (r < 0)
            return r;
        enable_controllers(t->parent_fd, want, &added, &refused);
        t->enabled |= added;
        if (cgroup_has_file(t->parent_fd, t->leaf, "cpu.weight"))
            cgroup_write_number(t->parent_fd, t->leaf, "cpu.weight", WEIGHT_LEAF, NULL);
    }
    return refused == -EBUSY ? err_set(e, EBUSY, "switch on controllers in a group that holds processes") : 0;
}

/* From the mount down to the parent of `own`: slices hand on what they have. Failing is normal (delegated subtrees, foreign owners). */
static void enable_above(const char *mount, const char *own, unsigned want)
{
    char path[2 * CGROUP_PATH_MAX];
    size_t base = fmt_to(path, sizeof(path), "%s", mount);
    for (const char *at = own; *at == '/'; at += 1 + strcspn(at + 1, "/")) {
        fmt_at(path, sizeof(path), base, "%.*s", (int)(at - own), own);
        scoped_fd fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        unsigned added;
        int refused;
        if (fd >= 0)
            enable_controllers(fd, want, &added, &refused);
    }
}

static int make_tree(struct cgroup_v2_tree *t, const char *name, unsigned want, struct err *e)
{
    if (mkdirat(t->parent_fd, name, 0755) < 0 && errno != EEXIST)
        return err_set(e, errno, "make cgroup '%s'", name);
    t->fd = openat(t->parent_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (t->fd < 0)
        return err_set(e, errno, "open cgroup '%s'", name);
    unsigned added;
    int refused;
    t->controllers = enable_controllers(t->fd, want, &added, &refused);
    if (t->controllers != want && e && !e->code)
        err_set(e, refused ? -refused : ENOENT, "switch on controllers in cgroup '%s'", name); /* said, no failure */
    return 0;
}

int cgroup_v2_open(struct cgroup_v2_tree *t, const struct cgroup_hierarchy *h, const char *name, unsigned want,
                   struct err *e)
{
    *t = (struct cgroup_v2_tree){.fd = -1, .parent_fd = -1};
    char own[CGROUP_PATH_MAX], path[2 * CGROUP_PATH_MAX];
    fmt_to(own, sizeof(own), "%s", h->own);
    if (want)
        enable_above(h->mount, own, want);
    for (bool at_own = true;; at_own = false) {
        fmt_to(path, sizeof(path), "%s%s", h->mount, own);
        fd_close(&t->parent_fd);
        t->parent_fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (t->parent_fd < 0)
            return err_set(e, errno, "open '%s'", path);
        char *slash = strrchr(own, '/');
        if (try_parent(t, name, want, at_own, e) != -EBUSY || !slash)
            break; /* good, or nothing above would be better: make_tree finds out what can be had here */
        *slash = '\0';
        t->enabled = 0;
    }
    int r = make_tree(t, name, want, e);
    if (r < 0)
        cgroup_v2_close(t, name, true); /* nobody remembers its directory from here on; one that is in use stays */
    return r;
}

/* In the reverse order: our groups are gone, then their directory, then this process may return to where it was. */
static void undo(struct cgroup_v2_tree *t, const char *name)
{
    unlinkat(t->parent_fd, name, AT_REMOVEDIR);
    for (unsigned c = 0; c < CGROUP_CONTROLLERS && t->moved; c++) {
        if (!(t->enabled & CGROUP_BIT(c)))
            continue;
        char text[32];
        fmt_to(text, sizeof(text), "-%s", cgroup_controller_name(c));
        cgroup_write(t->parent_fd, ".", "cgroup.subtree_control", text, NULL);
    }
    if (t->moved && cgroup_write(t->parent_fd, ".", "cgroup.procs", "0", NULL) == 0)
        unlinkat(t->parent_fd, t->leaf, AT_REMOVEDIR);
}

void cgroup_v2_close(struct cgroup_v2_tree *t, const char *name, bool remove)
{
    if (remove && t->parent_fd >= 0)
        undo(t, name);
    fd_close(&t->fd);
    fd_close(&t->parent_fd);
}

static int limit_memory(int fd, const char *name, uint64_t bytes, struct err *e)
{
    int r = cgroup_write_number(fd, name, "memory.max", bytes, e);
    if (r == 0)
        r = cgroup_write(fd, name, "memory.oom.group", "1", e);
    if (r < 0)
        return r;
    r = cgroup_write(fd, name, "memory.swap.max", "0", e);
    return r == -ENOENT ? 0 : r; /* without swap in the kernel */
}

static int limit_cpu(const struct cgroup *g, int fd, const struct cgroup_limits *limits, struct err *e)
{
    const char *name = g->name;
    int r = 0;
    if (limits->cpu_weight && limits->cpu_weight != WEIGHT_DEFAULT)
        r = cgroup_write_number(fd, name, "cpu.weight", limits->cpu_weight, e);
    if (r == 0 && cgroup_needs_quota(g->tree, limits)) {
        char text[48];
        fmt_to(text, sizeof(text), "%llu %d", (unsigned long long)limits->cpus_milli * PERIOD_US / 1000, PERIOD_US);
        r = cgroup_write(fd, name, "cpu.max", text, e);
    }
    return r;
}

int cgroup_v2_make(struct cgroup *g, struct err *e)
{
    int fd = g->tree->v2.fd;
    char buffer[CGROUP_V2_NAME_MAX];
    const char *name = cgroup_v2_name(g, buffer);
    if (mkdirat(fd, name, 0755) < 0)
        return err_set(e, errno, "make cgroup '%s'", name);
    g->in_v2 = true;
    g->clone_fd = openat(fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return g->clone_fd < 0 ? err_set(e, errno, "open cgroup '%s'", name) : 0;
}

/* None of those made ahead, whose directory here has another name: they are made where this hierarchy has no controllers. */
int cgroup_v2_create(struct cgroup *g, const struct cgroup_limits *limits, struct err *e)
{
    const struct cgroup_v2_tree *t = &g->tree->v2;
    int r = cgroup_v2_make(g, e);
    if (r == 0 && t->controllers & CGROUP_BIT(CGROUP_MEMORY) && limits->memory_bytes)
        r = limit_memory(t->fd, g->name, limits->memory_bytes, e);
    if (r == 0 && t->controllers & CGROUP_BIT(CGROUP_PIDS) && limits->pids)
        r = cgroup_write_number(t->fd, g->name, "pids.max", limits->pids, e);
    if (r == 0 && t->controllers & CGROUP_BIT(CGROUP_CPU))
        r = limit_cpu(g, t->fd, limits, e);
    if (r == 0 && t->controllers & CGROUP_BIT(CGROUP_CPUSET) && limits->cpuset && limits->cpuset[0])
        r = cgroup_limit_cpuset(t->fd, g->name, &(struct cgroup_cpuset){limits->cpuset, "cpuset.cpus.effective"}, e);
    return r;
}

static uint64_t read_peak(const struct cgroup *g)
{
    char text[32];
    if (g->peak_fd < 0)
        return cgroup_read_number(g->tree->v2.fd, g->name, "memory.peak");
    ssize_t n = fd_pread_lines(g->peak_fd, text, sizeof(text));
    uint64_t value = 0;
    struct str rest;
    return n > 0 && str_to_u64(str_cut((struct str){text, (size_t)n}, '\n', &rest, NULL), &value) ? value : 0;
}

void cgroup_v2_read_usage(const struct cgroup *g, struct cgroup_usage *usage)
{
    const struct cgroup_v2_tree *t = &g->tree->v2;
    if (t->controllers & CGROUP_BIT(CGROUP_MEMORY)) {
        usage->memory_peak_bytes = read_peak(g); /* since 5.19 */
        if (usage->memory_peak_bytes == 0)
            usage->memory_peak_bytes = cgroup_read_number(t->fd, g->name, "memory.current");
        usage->oom_kills = (uint32_t)cgroup_get_key(g, CGROUP_KEPT_OOM, "oom_kill");
        if (usage->oom_kills)
            usage->shmem_bytes = cgroup_read_key(t->fd, g->name, "memory.stat", "shmem");
    }
    if (t->controllers & CGROUP_BIT(CGROUP_PIDS))
        usage->pids_denied = (uint32_t)cgroup_get_key(g, CGROUP_KEPT_PIDS_EVENTS, "max");
    uint64_t us = cgroup_get_key(g, CGROUP_KEPT_CPU, "usage_usec"); /* there without any controller */
    if (us)
        usage->cpu_ns = us * 1000;
}
