/* SPDX-License-Identifier: Apache-2.0 */
/* The life of trees and groups. Which controller lives in which hierarchy is settled once, when the tree opens; nothing above this file asks. */
#include "os/cgroup.h"

#include "base/fdio.h"
#include "base/fmt.h"
#include "base/str.h"
#include "os/cgroup_internal.h"

#include <assert.h>
#include <fcntl.h>
#include <string.h>

/* ---- trees ---- */

static unsigned v1_controllers(const struct cgroup_tree *t)
{
    unsigned bits = 0;
    for (unsigned i = 0; i < t->v1_count; i++)
        bits |= t->v1[i].controllers;
    return bits;
}

const struct cgroup_v1_tree *cgroup_tree_v1(const struct cgroup_tree *t, enum cgroup_controller c)
{
    for (unsigned i = 0; i < t->v1_count; i++)
        if (t->v1[i].controllers & CGROUP_BIT(c))
            return &t->v1[i];
    return NULL;
}

static void describe(struct cgroup_tree *t)
{
    if (cgroup_tree_is_v2(t))
        fmt_to(t->describe, sizeof(t->describe), "v2");
    else if (t->v2.fd >= 0)
        fmt_to(t->describe, sizeof(t->describe), "hybrid: limits v1, %s v2", t->has_kill ? "kill" : "placement");
    else
        fmt_to(t->describe, sizeof(t->describe), "v1");
}

static void open_v1(struct cgroup_tree *t, const struct cgroup_find *found, bool unified)
{
    for (unsigned i = 0; i < found->count; i++) {
        const struct cgroup_hierarchy *h = &found->found[i];
        /* cpu.stat of the unified hierarchy counts CPU time without a controller: one directory less per start */
        bool needless = unified && h->controllers == CGROUP_BIT(CGROUP_CPUACCT);
        if (h->unified || needless || t->v1_count == CGROUP_CONTROLLERS)
            continue;
        if (cgroup_v1_open(&t->v1[t->v1_count], h, t->name, &t->refused) == 0)
            t->v1_count++;
    }
}

static const struct cgroup_hierarchy *find_unified(const struct cgroup_find *found)
{
    for (unsigned i = 0; i < found->count; i++)
        if (found->found[i].unified)
            return &found->found[i];
    return NULL;
}

/* Opens what was found; -ENOENT when nothing of it can be used. */
static int open_found(struct cgroup_tree *t, const struct cgroup_find *found, struct err *e)
{
    const unsigned all =
        CGROUP_BIT(CGROUP_MEMORY) | CGROUP_BIT(CGROUP_PIDS) | CGROUP_BIT(CGROUP_CPU) | CGROUP_BIT(CGROUP_CPUSET);
    const struct cgroup_hierarchy *unified = find_unified(found);
    open_v1(t, found, unified != NULL);
    if (unified)
        cgroup_v2_open(&t->v2, unified, t->name, all & ~v1_controllers(t), &t->refused);
    if (t->v1_count == 0 && t->v2.fd < 0)
        return err_say(e, t->refused.code ? t->refused.code : ENOENT, "no cgroup hierarchy can be used: %s",
                       t->refused.code ? t->refused.text : "nothing was tried");
    t->has_kill = t->v2.fd >= 0 && cgroup_has_file(t->v2.fd, ".", "cgroup.kill");
    t->has_freeze = t->v2.fd >= 0 && cgroup_has_file(t->v2.fd, ".", "cgroup.freeze");
    describe(t);
    return 0;
}

static int find_and_open(struct cgroup_tree *t, struct err *e)
{
    struct cgroup_find *found = malloc(sizeof(*found)); /* 12 KB of paths: not for the stack */
    if (!found)
        return err_set(e, ENOMEM, "look for cgroups");
    int r = cgroup_find_hierarchies(found, e);
    if (r == 0)
        r = open_found(t, found, e);
    free(found);
    return r;
}

struct cgroup_tree *cgroup_tree_open_none(void)
{
    struct cgroup_tree *t = calloc(1, sizeof(*t));
    if (!t)
        return NULL;
    t->v2.fd = t->v2.parent_fd = -1;
    list_init(&t->kept);
    fmt_to(t->describe, sizeof(t->describe), "none");
    return t;
}

bool cgroup_tree_is_none(const struct cgroup_tree *t)
{
    return t->v1_count == 0 && t->v2.fd < 0;
}

int cgroup_tree_open(struct cgroup_tree **ret_tree, const char *name, struct err *e)
{
    struct cgroup_tree *t = cgroup_tree_open_none();
    if (!t)
        return err_set(e, ENOMEM, "open the cgroup tree");
    fmt_to(t->name, sizeof(t->name), "%s", name);
    int r = find_and_open(t, e);
    if (r < 0) {
        free(t);
        return r;
    }
    *ret_tree = t;
    return 0;
}

bool cgroup_tree_has(const struct cgroup_tree *t, enum cgroup_controller c)
{
    if ((v1_controllers(t) | t->v2.controllers) & CGROUP_BIT(c))
        return true;
    return c == CGROUP_CPUACCT && t->v2.fd >= 0;
}

const char *cgroup_tree_refusal(const struct cgroup_tree *t)
{
    return t->refused.code ? t->refused.text : "nothing was refused";
}

bool cgroup_tree_has_kill(const struct cgroup_tree *t)
{
    return t->has_kill;
}

bool cgroup_tree_has_freeze(const struct cgroup_tree *t)
{
    return t->has_freeze;
}

bool cgroup_tree_has_clone_into(const struct cgroup_tree *t)
{
    return t->v2.fd >= 0;
}

bool cgroup_tree_is_v2(const struct cgroup_tree *t)
{
    return t->v2.controllers & CGROUP_BIT(CGROUP_MEMORY) || (t->v1_count == 0 && t->v2.fd >= 0);
}

const char *cgroup_tree_describe(const struct cgroup_tree *t)
{
    return t->describe;
}

void cgroup_tree_close(struct cgroup_tree *t, bool remove)
{
    if (!t)
        return;
    cgroup_discard_ahead(t);
    for (unsigned i = 0; i < t->v1_count; i++) {
        if (remove)
            unlinkat(t->v1[i].parent_fd, t->name, AT_REMOVEDIR);
        fd_close(&t->v1[i].fd);
        fd_close(&t->v1[i].parent_fd);
    }
    cgroup_v2_close(&t->v2, t->name, remove);
    free(t);
}

/* ---- groups ---- */

/* Removes what exists; -EBUSY while somebody is still in it. */
int cgroup_remove_directories(struct cgroup *g)
{
    int r = 0;
    struct cgroup_tree *t = g->tree;
    for (unsigned i = 0; i < t->v1_count; i++) {
        if (!g->in_v1[i])
            continue;
        if (unlinkat(t->v1[i].fd, cgroup_v1_name(g, i), AT_REMOVEDIR) < 0 && errno != ENOENT)
            r = -errno;
        else
            g->in_v1[i] = false;
    }
    if (g->in_v2) {
        char name[CGROUP_V2_NAME_MAX];
        if (unlinkat(t->v2.fd, cgroup_v2_name(g, name), AT_REMOVEDIR) < 0 && errno != ENOENT)
            r = -errno;
        else
            g->in_v2 = false;
    }
    return r;
}

void cgroup_discard(struct cgroup *g)
{
    fd_close(&g->peak_fd);
    cgroup_let_go(g);
    cgroup_settle(g);
    cgroup_remove_directories(g); /* nobody was in them yet */
    free(g);
}

int cgroup_create_clonable(struct cgroup_tree *t, const char *name, const struct cgroup_limits *limits,
                           struct cgroup **ret_group, struct err *e)
{
    assert(strlen(name) < CGROUP_NAME_MAX && !strchr(name, '/') && name[0] != '.');
    *ret_group = cgroup_take_ahead(t, name);
    if (*ret_group)
        return 0;
    struct cgroup *g = calloc(1, sizeof(*g));
    if (!g) {
        err_set(e, ENOMEM, "make cgroup '%s'", name);
        return -ENOMEM;
    }
    g->tree = t;
    g->clone_fd = g->oom_fd = g->peak_fd = -1;
    fmt_to(g->name, sizeof(g->name), "%s", name);
    int r = t->v2.fd >= 0 ? cgroup_v2_create(g, limits, e) : 0;
    if (r < 0) {
        cgroup_discard(g);
        return r;
    }
    *ret_group = g;
    return 0;
}

int cgroup_create_rest(struct cgroup *g, const struct cgroup_limits *limits, struct err *e)
{
    int r = 0;
    for (unsigned i = 0; i < g->tree->v1_count && r == 0; i++)
        if (cgroup_v1_is_wanted(&g->tree->v1[i], limits)) {
            r = g->in_v1[i] ? 0 : cgroup_v1_make(g, i, e);
            if (r == 0)
                r = cgroup_v1_limit(g, i, limits, e);
        }
    return r;
}

int cgroup_create(struct cgroup_tree *t, const char *name, const struct cgroup_limits *limits,
                  struct cgroup **ret_group, struct err *e)
{
    struct cgroup *g;
    int r = cgroup_create_clonable(t, name, limits, &g, e);
    if (r < 0)
        return r;
    r = cgroup_create_rest(g, limits, e);
    if (r < 0) {
        cgroup_discard(g);
        return r;
    }
    *ret_group = g;
    return 0;
}

int cgroup_clone_fd(const struct cgroup *g)
{
    return g->clone_fd;
}

void cgroup_settle(struct cgroup *g)
{
    fd_close(&g->clone_fd);
}

int cgroup_open_tasks(const struct cgroup *g, int fds[CGROUP_TASKS_MAX], unsigned *ret_count, struct err *e)
{
    unsigned n = 0;
    for (unsigned i = 0; i < g->tree->v1_count; i++) {
        if (!g->in_v1[i])
            continue;
        char path[CGROUP_ATTRIBUTE_MAX];
        cgroup_attribute_path(path, cgroup_v1_name(g, i), "tasks");
        int fd = openat(g->tree->v1[i].fd, path, O_WRONLY | O_CLOEXEC);
        if (fd < 0) {
            err_set(e, errno, "open '%s'", path);
            cgroup_close_tasks(fds, n);
            return -e->code;
        }
        fds[n++] = fd;
    }
    *ret_count = n;
    return 0;
}

void cgroup_close_tasks(int fds[CGROUP_TASKS_MAX], unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        fd_close(&fds[i]);
}

int cgroup_attach(struct cgroup *g, int pid, struct err *e)
{
    char text[16], name[CGROUP_V2_NAME_MAX];
    fmt_to(text, sizeof(text), "%d", pid);
    return g->in_v2 ? cgroup_write(g->tree->v2.fd, cgroup_v2_name(g, name), "cgroup.procs", text, e) : 0;
}

/* Whether the line of /proc/PID/cgroup for `controllers` (0: the unified one) ends in TREE/GROUP. */
static bool line_names_group(const struct cgroup *g, const char *cgroups, unsigned controllers)
{
    char end[CGROUP_NAME_MAX + CGROUP_V2_NAME_MAX + 2], nested[CGROUP_V2_NAME_MAX], names[256];
    const char *name = controllers ? g->name : cgroup_v2_name(g, nested);
    size_t n = fmt_to(end, sizeof(end), "/%s/%s", g->tree->name, name);
    struct str rest = str_from(cgroups);
    while (rest.n) {
        struct str line = str_cut(rest, '\n', &rest, NULL);
        str_cut(line, ':', &line, NULL);
        struct str which = str_cut(line, ':', &line, NULL);
        if (!str_copy(which, names, sizeof(names)) ||
            (controllers ? !(cgroup_parse_controllers(names) & controllers) : which.n != 0))
            continue;
        return line.n >= n && memcmp(line.p + line.n - n, end, n) == 0;
    }
    return false;
}

int cgroup_verify_member(const struct cgroup *g, int pid, const char *cgroups, struct err *e)
{
    for (unsigned i = 0; i < g->tree->v1_count; i++)
        if (g->in_v1[i] && !line_names_group(g, cgroups, g->tree->v1[i].controllers))
            return err_say(e, EPERM, "process %d is not in cgroup '%s' of v1 hierarchy %u", pid, g->name, i);
    if (g->in_v2 && !line_names_group(g, cgroups, 0))
        return err_say(e, EPERM, "process %d is not in cgroup '%s' of the unified hierarchy", pid, g->name);
    return 0;
}

int cgroup_verify_dead(const struct cgroup *g, int pid, struct err *e)
{
    char path[48], text[8192];
    fmt_to(path, sizeof(path), "/proc/%d/cgroup", pid);
    ssize_t n = fd_read_file_at(AT_FDCWD, path, text, sizeof(text), e);
    if (n < 0)
        return (int)n;
    if (g->in_v2 && !line_names_group(g, text, 0))
        return err_say(e, EPERM, "process %d was not in cgroup '%s' of the unified hierarchy", pid, g->name);
    return 0;
}

/* ---- out of memory ---- */

int cgroup_oom_fd(struct cgroup *g, bool *ret_priority)
{
    const struct cgroup_v1_tree *v1 = cgroup_tree_v1(g->tree, CGROUP_MEMORY);
    *ret_priority = v1 == NULL;
    if (g->oom_fd >= 0)
        return g->oom_fd;
    if (v1) {
        g->oom_fd = cgroup_v1_oom_open(g, v1);
    } else if (g->tree->v2.controllers & CGROUP_BIT(CGROUP_MEMORY)) {
        char path[CGROUP_ATTRIBUTE_MAX];
        cgroup_attribute_path(path, g->name, "memory.events");
        g->oom_fd = openat(g->tree->v2.fd, path, O_RDONLY | O_CLOEXEC);
        cgroup_oom_fd_tell(g); /* POLLPRI is armed by a first read */
    }
    return g->oom_fd;
}

bool cgroup_oom_fd_tell(struct cgroup *g)
{
    if (g->oom_fd < 0)
        return false;
    if (cgroup_tree_v1(g->tree, CGROUP_MEMORY)) {
        /* The eventfd fires before the kernel has picked its victim, so the oom_kill counter may still be what it was: the event itself counts. */
        uint64_t count;
        if (read(g->oom_fd, &count, sizeof(count)) != sizeof(count))
            return false;
        g->oom_told = true;
        return true;
    }
    char text[512];
    ssize_t n = pread(g->oom_fd, text, sizeof(text) - 1,
                      0); /* memory.events wakes for every counter in it; reading arms it again */
    if (n < 0)
        return false;
    uint64_t kills = cgroup_read_key(g->tree->v2.fd, g->name, "memory.events", "oom_kill");
    bool more = kills > g->oom_seen;
    g->oom_seen = kills;
    g->oom_told |= more;
    return more;
}

/* ---- counting, removing ---- */

void cgroup_read_usage(struct cgroup *g, struct cgroup_usage *ret_usage)
{
    *ret_usage = (struct cgroup_usage){0};
    for (unsigned i = 0; i < g->tree->v1_count; i++)
        if (g->in_v1[i])
            cgroup_v1_read_usage(g, &g->tree->v1[i], ret_usage);
    if (g->in_v2)
        cgroup_v2_read_usage(g, ret_usage);
    ret_usage->cpu_ns -= g->cpu_before_ns < ret_usage->cpu_ns ? g->cpu_before_ns : ret_usage->cpu_ns;
    if (g->forkless)
        ret_usage->pids_denied = g->denied_before_kill;
    if (g->oom_told && ret_usage->oom_kills == 0)
        ret_usage->oom_kills = 1;
}

int cgroup_remove(struct cgroup *g)
{
    int r = cgroup_remove_directories(g);
    if (r < 0)
        return r;
    cgroup_settle(g);
    cgroup_let_go(g);
    fd_close(&g->oom_fd);
    fd_close(&g->peak_fd);
    free(g);
    return 0;
}
