/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Groups for children that a template forks. They join by their own hand, through files that were opened for them, because nobody else can move them
 * cheaply. A file of cgroupfs carries the powers of who opened it, whoever writes to it: one opened by root would let its holder (the gateway, on
 * whose way it lies) drag any process of the host into a group that faasd may kill. So
 *   v1       it is opened with the template's own host id: only processes of that id can be moved with it (cgroup1_procs_write);
 *   v2       it is opened without CAP_DAC_OVERRIDE by a group id that may write to faasd's own directory and nowhere above, so that only
 *            who is beneath it already can be moved (cgroup_procs_write_permission looks at the common ancestor);
 *   unified  a threaded group takes nobody from outside its domain, which is the template's group.
 */
#include "os/cgroup_internal.h"

#include "base/fdio.h"
#include "base/fmt.h"

#include <assert.h>
#include <fcntl.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PARKED_BYTES = 1 << 20 };

/* Whoever opens a file of the group passes through its directory, whatever the umask was when that was made. */
static int let_through(int fd, const char *directory, struct err *e)
{
    return fchmodat(fd, directory, 0711, 0) < 0 ? err_set(e, errno, "open the way into cgroup '%s'", directory) : 0;
}

static int hand_over(int fd, const char *group, const char *file, const struct cgroup_joiner *who, struct err *e)
{
    char path[CGROUP_ATTRIBUTE_MAX];
    cgroup_attribute_path(path, group, file);
    if (fchownat(fd, path, who->uid, who->gid, 0) < 0)
        return err_set(e, errno, "hand over '%s'", path);
    return 0;
}

/* Beneath the template's group, as a threaded one. A host that refuses it has no freezing of children, nothing else. */
static void make_threaded(struct cgroup *g, const struct cgroup *template)
{
    char name[CGROUP_V2_NAME_MAX];
    int fd = g->tree->v2.fd;
    g->parent = template;
    cgroup_v2_name(g, name);
    if (mkdirat(fd, name, 0755) == 0) {
        g->in_v2 = true;
        if (cgroup_write(fd, name, "cgroup.type", "threaded", NULL) == 0)
            return;
        unlinkat(fd, name, AT_REMOVEDIR);
        g->in_v2 = false;
    }
    g->parent = NULL;
}

/* v2 with limits. Its members come from groups beside it, so the file of the directory above is asked as well. */
static int make_domain(struct cgroup *g, const struct cgroup_limits *limits, const struct cgroup_joiner *who,
                       struct err *e)
{
    const struct cgroup_v2_tree *t = &g->tree->v2;
    const struct cgroup_joiner group_only = {.uid = (uint32_t)-1, .gid = who->gid};
    char path[CGROUP_ATTRIBUTE_MAX];
    int r = cgroup_v2_create(g, limits, e);
    cgroup_settle(g);
    const char *const places[] = {".", g->name};
    for (unsigned i = 0; i < 2 && r == 0; i++) {
        r = let_through(t->fd, places[i], e);
        if (r == 0)
            r = hand_over(t->fd, places[i], "cgroup.procs", &group_only, e);
        cgroup_attribute_path(path, places[i], "cgroup.procs");
        if (r == 0 && fchmodat(t->fd, path, 0664, 0) < 0)
            r = err_set(e, errno, "hand over '%s'", path);
    }
    if (r < 0)
        return r;
    cgroup_attribute_path(path, g->name, "memory.peak");
    g->peak_fd = openat(t->fd, path, O_RDWR | O_CLOEXEC);
    if (g->peak_fd >= 0 && pwrite(g->peak_fd, "0", 1, 0) != 1)
        fd_close(&g->peak_fd); /* before 6.12 nobody can set it back */
    return 0;
}

static int make_v1(struct cgroup *g, const struct cgroup_limits *limits, const struct cgroup_joiner *who, struct err *e)
{
    const struct cgroup_joiner user_only = {.uid = who->uid, .gid = (uint32_t)-1};
    int r = cgroup_create_rest(g, limits, e);
    for (unsigned i = 0; i < g->tree->v1_count && r == 0; i++)
        if (g->in_v1[i]) {
            int fd = g->tree->v1[i].fd;
            r = let_through(fd, ".", e);
            if (r == 0)
                r = let_through(fd, g->name, e);
            if (r == 0)
                r = hand_over(fd, g->name, "tasks", &user_only, e);
        }
    return r;
}

int cgroup_create_child(const struct cgroup *template, const char *name, const struct cgroup_limits *limits,
                        const struct cgroup_joiner *who, struct cgroup **ret_group, struct err *e)
{
    assert(strlen(name) < CGROUP_NAME_MAX && !strchr(name, '/') && name[0] != '.');
    struct cgroup *g = calloc(1, sizeof(*g));
    if (!g)
        return err_set(e, ENOMEM, "make cgroup '%s'", name);
    g->tree = template->tree;
    g->clone_fd = g->oom_fd = g->peak_fd = -1;
    fmt_to(g->name, sizeof(g->name), "%s", name);
    int r = 0;
    if (g->tree->v2.controllers)
        r = make_domain(g, limits, who, e);
    else if (template->in_v2)
        make_threaded(g, template);
    if (r == 0)
        r = make_v1(g, limits, who, e);
    if (r < 0) {
        cgroup_discard(g);
        return r;
    }
    *ret_group = g;
    return 0;
}

static int open_unified(const struct cgroup *g, int *ret_fd, struct err *e)
{
    char name[CGROUP_V2_NAME_MAX], path[CGROUP_ATTRIBUTE_MAX];
    cgroup_attribute_path(path, cgroup_v2_name(g, name), g->parent ? "cgroup.threads" : "cgroup.procs");
    *ret_fd = openat(g->tree->v2.fd, path, O_WRONLY | O_CLOEXEC);
    return *ret_fd < 0 ? err_set(e, errno, "open '%s'", path) : 0;
}

/* Losing the powers of uid 0 on the way costs this process its death signal and may make it dumpable (commit_creds in the kernel): both are put
 * back. From there it can't be allowed to go on with a strange identity, so it aborts. */
static void become(uid_t uid, gid_t gid)
{
    int death_signal = 0;
    int dumpable = prctl(PR_GET_DUMPABLE);
    prctl(PR_GET_PDEATHSIG, &death_signal);
    bool done = uid == 0 ? seteuid(0) == 0 && setegid(gid) == 0 : setegid(gid) == 0 && seteuid(uid) == 0;
    if (!done)
        abort();
    if (dumpable == 0)
        prctl(PR_SET_DUMPABLE, 0);
    if (death_signal)
        prctl(PR_SET_PDEATHSIG, death_signal);
}

int cgroup_open_join(struct cgroup *g, const struct cgroup_joiner *who, int fds[CGROUP_JOIN_MAX], unsigned *ret_count,
                     struct err *e)
{
    unsigned count = 0;
    if (cgroup_kept_join(g, fds, ret_count))
        return 0;
    assert(geteuid() == 0);
    gid_t own = getegid();
    bool other = who->uid != 0; /* a daemon with one id has nobody to become */
    if (other)
        become(who->uid, who->gid);
    int r = cgroup_open_tasks(g, fds, &count, e);
    if (r == 0 && g->in_v2 && !g->parent)
        r = open_unified(g, &fds[count], e);
    if (other)
        become(0, own);
    if (r == 0 && g->in_v2 && g->parent)
        r = open_unified(g, &fds[count], e);
    if (r < 0) {
        cgroup_close_tasks(fds, count);
        return r;
    }
    *ret_count = count + g->in_v2;
    cgroup_keep_join(g, fds, *ret_count);
    return 0;
}

int cgroup_park(struct cgroup *g, const struct cgroup_usage *used)
{
    bool event = cgroup_oom_fd_tell(g); /* one that nobody has read yet */
    uint64_t denied = used->pids_denied;
    if (g->forkless) /* what was refused during the kill was left out there */
        denied = cgroup_get_key(g, CGROUP_KEPT_PIDS_EVENTS, "max");
    /* these counters can't be set back; they seldom move */
    if (event || used->oom_kills || denied)
        return -EBUSY;
    bool counts_here = g->tree->v2.controllers & CGROUP_BIT(CGROUP_MEMORY);
    if (counts_here && g->peak_fd < 0)
        return -EOPNOTSUPP;
    g->cpu_before_ns += used->cpu_ns;
    return cgroup_set(g, CGROUP_KEPT_LIMIT, cgroup_get_number(g, CGROUP_KEPT_BYTES) + PARKED_BYTES);
}

static int reset_peak(const struct cgroup *g)
{
    if (g->peak_fd < 0)
        return cgroup_set(g, CGROUP_KEPT_PEAK, 0);
    return pwrite(g->peak_fd, "0", 1, 0) == 1 ? 0 : -errno;
}

int cgroup_renew(struct cgroup *g, const struct cgroup_limits *limits)
{
    cgroup_keep(g); /* its second user may be followed by many */
    g->entered_whole = false;
    int r = cgroup_freeze(g, false, NULL);
    if (r == 0 && limits->memory_bytes)
        r = cgroup_set(g, CGROUP_KEPT_LIMIT, limits->memory_bytes);
    if (r == 0)
        r = reset_peak(g);
    if (r == 0 && g->forkless)
        r = cgroup_set(g, CGROUP_KEPT_PIDS_LIMIT, limits->pids);
    if (r == 0)
        g->forkless = false;
    return r;
}
