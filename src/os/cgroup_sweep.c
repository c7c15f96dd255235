/* SPDX-License-Identifier: Apache-2.0 */
/* What a dead supervisor left. */
#include "os/cgroup_internal.h"

#include "base/fdio.h"
#include "base/fmt.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>

enum { SWEEP_ROUNDS = 400, SWEEP_PAUSE_NS = 5000000 };

static void kill_swept(const struct cgroup_tree *t, const char *name)
{
    struct err e;
    if (t->has_kill && cgroup_has_file(t->v2.fd, name, "cgroup.kill") &&
        cgroup_write(t->v2.fd, name, "cgroup.kill", "1", &e) == 0)
        return;
    if (t->v2.fd >= 0)
        cgroup_kill_listed(t->v2.fd, name, "cgroup.procs", false, 1);
    for (unsigned i = 0; i < t->v1_count; i++)
        cgroup_kill_listed(t->v1[i].fd, name, "cgroup.procs", false, 1);
}

/* A template's children have their unified groups beneath its own. */
static void remove_nested(const struct cgroup_tree *t, const char *name)
{
    int fd = t->v2.fd < 0 ? -1 : openat(t->v2.fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (!d) {
        fd_close(&fd);
        return;
    }
    for (struct dirent *entry; (entry = readdir(d));)
        if (entry->d_type == DT_DIR && entry->d_name[0] != '.')
            unlinkat(fd, entry->d_name, AT_REMOVEDIR);
    closedir(d);
}

static int remove_swept(const struct cgroup_tree *t, const char *name)
{
    struct cgroup g = {
        .tree = (struct cgroup_tree *)t, .in_v2 = t->v2.fd >= 0, .clone_fd = -1, .oom_fd = -1, .peak_fd = -1};
    for (unsigned i = 0; i < t->v1_count; i++)
        g.in_v1[i] = true;
    fmt_to(g.name, sizeof(g.name), "%s", name);
    int r = -EBUSY;
    for (unsigned round = 0; round < SWEEP_ROUNDS && r == -EBUSY; round++) {
        kill_swept(t, name);
        if (round > 0)
            nanosleep(&(struct timespec){.tv_nsec = SWEEP_PAUSE_NS}, NULL);
        remove_nested(t, name);
        r = cgroup_remove_directories(&g);
    }
    return r;
}

/* The groups of one hierarchy's directory. A name seen here is removed from all of them, so that it counts once; what was made ahead was nobody's yet, or is
 * the unified half of a group that is counted by its name in the others. */
static int sweep_directory(struct cgroup_tree *t, int fd, struct err *e)
{
    int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = copy < 0 ? NULL : fdopendir(copy);
    if (!d) {
        fd_close(&copy);
        return err_set(e, errno, "list cgroups");
    }
    int count = 0, r = 0;
    for (struct dirent *entry; r == 0 && (errno = 0, entry = readdir(d));) {
        if (entry->d_type != DT_DIR || entry->d_name[0] == '.' || strlen(entry->d_name) >= CGROUP_NAME_MAX)
            continue;
        r = remove_swept(t, entry->d_name);
        if (r < 0)
            err_set(e, -r, "remove cgroup '%s'", entry->d_name);
        count += !cgroup_is_ahead_name(entry->d_name);
    }
    r = r == 0 && errno ? err_set(e, errno, "list cgroups") : r;
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
