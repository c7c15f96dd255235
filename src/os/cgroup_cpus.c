/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of processors, and when a quota of them means anything. */
#include "os/cgroup_internal.h"

#include "base/str.h"

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
