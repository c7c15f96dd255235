/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Groups made ahead: a directory in each hierarchy that every start needs, empty and without limits. Nobody was ever in one, so there is nothing to clean; each
 * is for one start. A start takes one under its own name, and the directories follow when there is time (cgroup_name).
 */
#include "os/cgroup_internal.h"

#include "base/fmt.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* No function's group begins so: names of functions have no dot. */
static const char ahead_prefix[] = "ahead.";

bool cgroup_is_ahead_name(const char *name)
{
    return strncmp(name, ahead_prefix, sizeof(ahead_prefix) - 1) == 0;
}

static bool can_have_stock(const struct cgroup_tree *t)
{
    return t->v1_count > 0 && t->v2.controllers == 0;
}

bool cgroup_tree_has_stock(const struct cgroup_tree *t)
{
    return !can_have_stock(t) || t->ahead_count == CGROUP_AHEAD_MAX;
}

/* Whether a start needs a directory in it whatever its limits are. */
static bool is_always_wanted(const struct cgroup_v1_tree *t)
{
    return cgroup_v1_is_wanted(t, &(struct cgroup_limits){0});
}

int cgroup_tree_make_stock(struct cgroup_tree *t, struct err *e)
{
    assert(!cgroup_tree_has_stock(t));
    struct cgroup *g = calloc(1, sizeof(*g));
    if (!g)
        return err_set(e, ENOMEM, "make a cgroup ahead");
    g->tree = t;
    g->clone_fd = g->oom_fd = g->peak_fd = -1;
    fmt_to(g->ahead_name, sizeof(g->ahead_name), "%s%llu", ahead_prefix, (unsigned long long)t->ahead_serial++);
    fmt_to(g->name, sizeof(g->name), "%s", g->ahead_name);
    int r = t->v2.fd >= 0 ? cgroup_v2_make(g, e) : 0;
    for (unsigned i = 0; i < t->v1_count && r == 0; i++) {
        if (!is_always_wanted(&t->v1[i]))
            continue;
        g->unnamed[i] = true;
        r = cgroup_v1_make(g, i, e);
    }
    if (r < 0) {
        cgroup_discard(g);
        return r;
    }
    t->ahead[t->ahead_count++] = g;
    return 0;
}

struct cgroup *cgroup_take_ahead(struct cgroup_tree *t, const char *name)
{
    if (t->ahead_count == 0)
        return NULL;
    struct cgroup *g = t->ahead[--t->ahead_count];
    fmt_to(g->name, sizeof(g->name), "%s", name);
    return g;
}

/* Renaming is v1's alone (cgroup1_rename in the kernel). */
int cgroup_name(struct cgroup *g, struct err *e)
{
    for (unsigned i = 0; i < g->tree->v1_count; i++) {
        if (!g->unnamed[i])
            continue;
        int fd = g->tree->v1[i].fd;
        if (renameat(fd, g->ahead_name, fd, g->name) < 0)
            return err_set(e, errno, "name cgroup '%s' '%s'", g->ahead_name, g->name);
        g->unnamed[i] = false;
    }
    return 0;
}

void cgroup_discard_ahead(struct cgroup_tree *t)
{
    while (t->ahead_count)
        cgroup_discard(t->ahead[--t->ahead_count]);
}
