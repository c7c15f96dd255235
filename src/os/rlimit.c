/* SPDX-License-Identifier: Apache-2.0 */
#include "os/rlimit.h"

#include <errno.h>
#include <sys/resource.h>

const char *rlimit_name(int resource)
{
    switch (resource) {
    case RLIMIT_CORE:
        return "CORE";
    case RLIMIT_NOFILE:
        return "NOFILE";
    case RLIMIT_MEMLOCK:
        return "MEMLOCK";
    case RLIMIT_MSGQUEUE:
        return "MSGQUEUE";
    case RLIMIT_SIGPENDING:
        return "SIGPENDING";
    case RLIMIT_NICE:
        return "NICE";
    case RLIMIT_RTPRIO:
        return "RTPRIO";
    default:
        return "?";
    }
}

int rlimit_set(int resource, uint64_t value, struct err *e)
{
    struct rlimit limit = {.rlim_cur = value, .rlim_max = value};
    if (setrlimit((__rlimit_resource_t)resource, &limit) == 0)
        return 0;
    struct rlimit present;
    if (errno == EPERM && getrlimit((__rlimit_resource_t)resource, &present) == 0 && present.rlim_max < value) {
        limit.rlim_cur = limit.rlim_max = present.rlim_max;
        if (setrlimit((__rlimit_resource_t)resource, &limit) == 0)
            return 0;
    }
    return err_set(e, errno, "set limit %s to %llu", rlimit_name(resource), (unsigned long long)value);
}
