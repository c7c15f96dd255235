/* SPDX-License-Identifier: Apache-2.0 */
/* Who is in a group; killing and freezing them. */
#include "os/cgroup_internal.h"

#include "base/fdio.h"
#include "base/fmt.h"
#include "base/str.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>

enum {
    LIST_MAX = 128,    /* looked at in one round; the next round sees the others */
    LIST_BYTES = 2048, /* LIST_MAX numbers of up to 7 digits: at least that many fit, more are cut off */
    KILL_ROUNDS = 2,   /* of one cgroup_kill by list: its caller comes again while somebody is left */
    NUMBER_BYTES = 16,
    STATUS_BYTES = 4096, /* /proc/PID/status, whose Tgid stands at its top */
};

static unsigned parse_list(struct str rest, pid_t *pids, unsigned max)
{
    unsigned count = 0;
    while (rest.n && count < max) {
        bool whole;
        uint64_t pid;
        struct str line = str_cut(rest, '\n', &rest, &whole);
        if (whole && str_to_u64(line, &pid) && pid > 0 && pid <= INT32_MAX)
            pids[count++] = (pid_t)pid;
    }
    return count;
}

/* The first numbers of a list of processes or threads. 0 also when it can't be read: then nobody is to be found there. */
static unsigned read_list(int fd, const char *group, const char *file, pid_t *pids, unsigned max)
{
    char path[CGROUP_ATTRIBUTE_MAX], text[LIST_BYTES];
    cgroup_attribute_path(path, group, file);
    scoped_fd list = openat(fd, path, O_RDONLY | O_CLOEXEC);
    ssize_t n = list < 0 ? -1 : fd_pread_lines(list, text, sizeof(text));
    return parse_list((struct str){.p = text, .n = n > 0 ? (size_t)n : 0}, pids, max);
}

/* The same of the unified hierarchy of a child's group. */
static unsigned read_threads(const struct cgroup *g, pid_t *pids, unsigned max)
{
    char text[LIST_BYTES];
    int n = g->kept ? cgroup_get(g, CGROUP_KEPT_THREADS, text, sizeof(text)) : 0;
    if (n > 0 && n <= LIST_BYTES - NUMBER_BYTES) /* the kernel gives as many lines as there is room for */
        return parse_list((struct str){.p = text, .n = (size_t)n}, pids, max);
    char name[CGROUP_V2_NAME_MAX];
    return read_list(g->tree->v2.fd, cgroup_v2_name(g, name), "cgroup.threads", pids, max);
}

static bool contains(const pid_t *pids, unsigned count, pid_t pid)
{
    for (unsigned i = 0; i < count; i++)
        if (pids[i] == pid)
            return true;
    return false;
}

/* The process that a thread belongs to, 0 when it is gone. */
static pid_t leader_of(pid_t thread)
{
    char path[40], text[STATUS_BYTES];
    fmt_to(path, sizeof(path), "/proc/%d/status", thread);
    if (fd_read_file_at(AT_FDCWD, path, text, sizeof(text), NULL) < 0)
        return 0;
    const char *line = strstr(text, "\nTgid:\t");
    uint64_t pid;
    struct str rest;
    return line && str_to_u64(str_cut(str_from(line + 7), '\n', &rest, NULL), &pid) ? (pid_t)pid : 0;
}

/* A number that was read from a list may be somebody else's by the time it is signalled. So the process is taken hold of first, and signalled only
 * when a second look still finds its number in the list: either it is a member, or it was none and has died, and its descriptor reaches nobody. */
static unsigned kill_round(int fd, const char *group, const char *file, bool threads)
{
    pid_t seen[LIST_MAX], now[LIST_MAX], leader[LIST_MAX];
    int pidfds[LIST_MAX];
    unsigned count = read_list(fd, group, file, seen, LIST_MAX);
    if (count == 0)
        return 0;
    for (unsigned i = 0; i < count; i++) {
        leader[i] = threads ? leader_of(seen[i]) : seen[i];
        pidfds[i] = leader[i] > 1 && leader[i] != getpid() ? pidfd_open(leader[i], 0) : -1;
    }
    unsigned still = read_list(fd, group, file, now, LIST_MAX);
    for (unsigned i = 0; i < count; i++) {
        if (pidfds[i] >= 0 && contains(now, still, seen[i]) && (!threads || leader_of(seen[i]) == leader[i]))
            pidfd_send_signal(pidfds[i], SIGKILL, NULL, 0);
        fd_close(&pidfds[i]);
    }
    return count;
}

bool cgroup_kill_listed(int fd, const char *group, const char *file, bool threads, unsigned rounds)
{
    for (unsigned round = 0; round < rounds; round++)
        if (kill_round(fd, group, file, threads) == 0)
            return true;
    return false;
}

/* So that a process that forks can't outrun who reads the list. */
static void stop_forks(struct cgroup *g)
{
    const struct cgroup_v1_tree *v1 = cgroup_tree_v1(g->tree, CGROUP_PIDS);
    bool by_v2 = g->in_v2 && g->tree->v2.controllers & CGROUP_BIT(CGROUP_PIDS);
    if (g->forkless)
        return;
    if (!v1 && !by_v2) {
        cgroup_freeze(g, true, NULL); /* a frozen process takes SIGKILL all the same */
        return;
    }
    int fd = v1 ? v1->fd : g->tree->v2.fd;
    uint32_t denied = (uint32_t)cgroup_read_key(fd, g->name, "pids.events", "max");
    if (cgroup_write(fd, g->name, "pids.max", "0", NULL) < 0)
        return;
    g->forkless = true;
    g->denied_before_kill = denied;
}

static void kill_by_lists(struct cgroup *g)
{
    char name[CGROUP_V2_NAME_MAX];
    g->entered_whole = false;
    stop_forks(g);
    for (unsigned i = 0; i < g->tree->v1_count; i++)
        if (g->in_v1[i])
            cgroup_kill_listed(g->tree->v1[i].fd, g->name, "cgroup.procs", false, KILL_ROUNDS);
    if (g->in_v2)
        cgroup_kill_listed(g->tree->v2.fd, cgroup_v2_name(g, name), g->parent ? "cgroup.threads" : "cgroup.procs",
                           g->parent != NULL, KILL_ROUNDS);
}

int cgroup_kill(struct cgroup *g, struct err *e)
{
    char name[CGROUP_V2_NAME_MAX];
    if (g->in_v2 && g->tree->has_kill && !g->parent) /* EOPNOTSUPP in a threaded group */
        return cgroup_write(g->tree->v2.fd, cgroup_v2_name(g, name), "cgroup.kill", "1", e);
    kill_by_lists(g);
    return 0;
}

/* The group's list in one hierarchy; index v1_count is the unified one. Threads come as the processes they belong to; `known` is the process of its own
 * first thread, nothing to look up. */
static unsigned list_one(const struct cgroup *g, unsigned index, pid_t known, pid_t *pids, unsigned max)
{
    pid_t threads[LIST_MAX];
    if (index < g->tree->v1_count)
        return read_list(g->tree->v1[index].fd, g->name, "cgroup.procs", pids, max);
    char name[CGROUP_V2_NAME_MAX];
    if (!g->parent)
        return read_list(g->tree->v2.fd, cgroup_v2_name(g, name), "cgroup.procs", pids, max);
    unsigned found = read_threads(g, threads, LIST_MAX);
    unsigned count = 0;
    for (unsigned i = 0; i < found && count < max; i++) {
        pid_t leader = threads[i] == known ? known : leader_of(threads[i]);
        if (leader > 0)
            pids[count++] = leader;
    }
    return count;
}

static bool is_in(const struct cgroup *g, unsigned index)
{
    return index < g->tree->v1_count ? g->in_v1[index] : g->in_v2;
}

unsigned cgroup_list(const struct cgroup *g, pid_t *ret_pids, unsigned max)
{
    unsigned count = 0;
    for (unsigned i = 0; i <= g->tree->v1_count && count < max; i++)
        if (is_in(g, i))
            count += list_one(g, i, 0, ret_pids + count, max - count);
    return count;
}

bool cgroup_holds(const struct cgroup *g, pid_t pid, pid_t *ret_others, unsigned max, unsigned *ret_count)
{
    unsigned others = 0;
    bool everywhere = true;
    for (unsigned i = 0; i <= g->tree->v1_count; i++) {
        pid_t pids[LIST_MAX];
        if (!is_in(g, i))
            continue;
        unsigned count = list_one(g, i, pid, pids, LIST_MAX);
        everywhere &= contains(pids, count, pid);
        for (unsigned k = 0; k < count && others < max; k++)
            if (pids[k] != pid)
                ret_others[others++] = pids[k];
    }
    *ret_count = others;
    return everywhere;
}

/* Processes and threads, zombies included, by the counter where a hierarchy has one: "0\n". Else, and where it had to be opened first, "". */
static const char *count_all(const struct cgroup *g, char text[NUMBER_BYTES])
{
    text[0] = '\0';
    if (g->kept)
        cgroup_get(g, CGROUP_KEPT_PIDS_NOW, text, NUMBER_BYTES);
    return text;
}

bool cgroup_has_one(const struct cgroup *g)
{
    char text[NUMBER_BYTES];
    return strcmp(count_all(g, text), "1\n") == 0;
}

bool cgroup_holds_only(struct cgroup *g, pid_t pid)
{
    pid_t seen[2];
    if (!g->in_v2 || !g->kept || read_threads(g, seen, 2) != 1 || seen[0] != pid)
        return false;
    if (cgroup_tree_v1(g->tree, CGROUP_PIDS) && !cgroup_has_one(g))
        return false;
    g->entered_whole = true;
    return true;
}

bool cgroup_is_empty(const struct cgroup *g)
{
    pid_t one;
    char text[NUMBER_BYTES];
    if (g->in_v2 && cgroup_get_key(g, CGROUP_KEPT_EVENTS, "populated") != 0)
        return false;
    if (g->in_v2 && g->entered_whole) /* its descendants are wherever it is */
        return true;
    bool none_counted = strcmp(count_all(g, text), "0\n") == 0; /* then no list has to be made in that hierarchy */
    for (unsigned i = 0; i < g->tree->v1_count; i++) {
        bool counted = none_counted && g->tree->v1[i].controllers & CGROUP_BIT(CGROUP_PIDS);
        if (g->in_v1[i] && !counted && read_list(g->tree->v1[i].fd, g->name, "cgroup.procs", &one, 1) > 0)
            return false;
    }
    return true;
}

int cgroup_freeze(struct cgroup *g, bool frozen, struct err *e)
{
    char name[CGROUP_V2_NAME_MAX];
    if (g->frozen == frozen)
        return 0;
    if (!g->in_v2 || !g->tree->has_freeze)
        return err_set(e, ENOTSUP, "freeze cgroup '%s'", g->name);
    int r = cgroup_write(g->tree->v2.fd, cgroup_v2_name(g, name), "cgroup.freeze", frozen ? "1" : "0", e);
    if (r == 0)
        g->frozen = frozen;
    return r;
}
