/* SPDX-License-Identifier: Apache-2.0 */
/* Killing by name, and what a dead supervisor left. */
#include "os/cgroup_internal.h"

#include "base/fdio.h"
#include "base/fmt.h"
#include "base/str.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <time.h>

enum { PROCS_MAX = 65536, KILL_ROUNDS = 50, SWEEP_ROUNDS = 400, SWEEP_PAUSE_NS = 5000000 };

/* Where there is no cgroup.kill: as often as it takes until a look finds nobody. Returns whether it is empty. */
static bool kill_listed(int fd, const char *name)
{
    scoped_free char *text = malloc(PROCS_MAX);
    if (!text)
        return false;
    for (unsigned round = 0; round < KILL_ROUNDS; round++) {
        if (cgroup_read(fd, name, "cgroup.procs", text, PROCS_MAX) <= 0)
            return true;
        struct str rest = str_from(text);
        while (rest.n) {
            uint64_t pid;
            if (str_to_u64(str_cut(rest, '\n', &rest, NULL), &pid) && pid > 1 && (pid_t)pid != getpid())
                kill((pid_t)pid, SIGKILL);
        }
    }
    return false;
}

int cgroup_kill_named(const struct cgroup_tree *t, const char *name, struct err *e)
{
    if (t->has_kill && cgroup_has_file(t->v2.fd, name, "cgroup.kill"))
        return cgroup_write(t->v2.fd, name, "cgroup.kill", "1", e);
    for (unsigned i = 0; i < t->v1_count; i++)
        if (cgroup_has_file(t->v1[i].fd, name, "cgroup.procs"))
            kill_listed(t->v1[i].fd, name);
    return 0;
}

static int remove_swept(const struct cgroup_tree *t, const char *name)
{
    struct cgroup g = {.tree = (struct cgroup_tree *)t, .in_v2 = t->v2.fd >= 0, .clone_fd = -1, .oom_fd = -1};
    for (unsigned i = 0; i < t->v1_count; i++)
        g.in_v1[i] = true;
    fmt_to(g.name, sizeof(g.name), "%s", name);
    int r = cgroup_kill_named(t, name, NULL);
    for (unsigned round = 0; round < SWEEP_ROUNDS && (r = cgroup_remove_directories(&g)) == -EBUSY; round++)
        nanosleep(&(struct timespec){.tv_nsec = SWEEP_PAUSE_NS}, NULL);
    return r;
}

/* The groups of one hierarchy's directory. A name seen here is removed from all of them, so that it counts once. */
static int sweep_directory(struct cgroup_tree *t, int fd, struct err *e)
{
    int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = copy < 0 ? NULL : fdopendir(copy);
    if (!d) {
        err_set(e, errno, "list cgroups");
        fd_close(&copy);
        return -e->code;
    }
    int count = 0, r = 0;
    for (struct dirent *entry; r == 0 && (entry = readdir(d));) {
        if (entry->d_type != DT_DIR || entry->d_name[0] == '.' || strlen(entry->d_name) >= CGROUP_NAME_MAX)
            continue;
        r = remove_swept(t, entry->d_name);
        if (r < 0)
            err_set(e, -r, "remove cgroup '%s'", entry->d_name);
        count++;
    }
    closedir(d);
    return r < 0 ? r : count;
}

int cgroup_tree_sweep(struct cgroup_tree *t, struct err *e)
{
    int total = t->v2.fd >= 0 ? sweep_directory(t, t->v2.fd, e) : 0;
    for (unsigned i = 0; i < t->v1_count && total >= 0; i++) {
        int n = sweep_directory(t, t->v1[i].fd, e);
        total = n < 0 ? n : total + n;
    }
    return total;
}
