/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of processors, and when a quota of them means anything. */
#include "os/cgroup_internal.h"

#include "base/str.h"

#include <errno.h>
#include <unistd.h>

enum { CPUS_MAX = 65536 };

unsigned cgroup_count_cpus(const char *list)
{
    struct str rest = str_from(list);
    uint64_t count = 0;
    while (rest.n) {
        bool is_range;
        struct str part = str_cut(rest, ',', &rest, NULL), last;
        struct str first = str_cut(part, '-', &last, &is_range);
        uint64_t from, to;
        if (!str_to_u64(first, &from) || !str_to_u64(is_range ? last : first, &to) || to < from || to >= CPUS_MAX)
            return 0;
        count += to - from + 1;
    }
    return count < CPUS_MAX ? (unsigned)count : 0;
}

enum { CHECKED_MAX = 4096 };

/* Marks those of the list below CHECKED_MAX; false when it is none. */
static bool mark_cpus(struct str list, bool on[CHECKED_MAX])
{
    while (list.n) {
        bool is_range;
        struct str part = str_cut(list, ',', &list, NULL), last;
        struct str first = str_cut(part, '-', &last, &is_range);
        uint64_t from, to;
        if (!str_to_u64(first, &from) || !str_to_u64(is_range ? last : first, &to) || to < from)
            return false;
        for (uint64_t i = from; i <= to && i < CHECKED_MAX; i++)
            on[i] = true;
    }
    return true;
}

static int check_cpuset(struct str given, const char *asked, struct err *e)
{
    bool has[CHECKED_MAX] = {false}, wants[CHECKED_MAX] = {false};
    if (!mark_cpus(given, has) || !mark_cpus(str_from(asked), wants))
        return 0; /* the kernel judges it */
    for (unsigned i = 0; i < CHECKED_MAX; i++)
        if (wants[i] && !has[i])
            return err_say(e, EINVAL, "cpuset '%s' names processor %u, and there are only %.*s for functions here",
                           asked, i, (int)given.n, given.p);
    return 0;
}

int cgroup_limit_cpuset(int fd, const char *name, const struct cgroup_cpuset *set, struct err *e)
{
    char text[1024];
    int n = cgroup_read(fd, ".", set->given_file, text, sizeof(text));
    struct str rest, given = n > 0 ? str_cut((struct str){text, (size_t)n}, '\n', &rest, NULL) : (struct str){0};
    int r = given.n ? check_cpuset(given, set->list, e) : 0;
    return r < 0 ? r : cgroup_write(fd, name, "cpuset.cpus", set->list, e);
}

/* Those configured, not those online: one that is switched on later must not find an instance without its quota. The kernel fixes their number when it
 * boots, and libc reads a file for it, on each start's way: asked once. */
static unsigned host_cpus(void)
{
    static unsigned known;
    if (known == 0) {
        long n = sysconf(_SC_NPROCESSORS_CONF);
        known = n > 0 && n < CPUS_MAX ? (unsigned)n : CPUS_MAX;
    }
    return known;
}

bool cgroup_needs_quota(const struct cgroup_tree *t, const struct cgroup_limits *limits)
{
    if (limits->cpus_milli == 0)
        return false;
    bool pinned = limits->cpuset && limits->cpuset[0] && cgroup_tree_has(t, CGROUP_CPUSET);
    unsigned cpus = pinned ? cgroup_count_cpus(limits->cpuset) : 0;
    if (cpus == 0)
        cpus = host_cpus();
    return limits->cpus_milli < cpus * 1000ULL;
}
