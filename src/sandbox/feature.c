/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Features by trying. What needs namespaces is tried by one short-lived child in a new user namespace and a second one inside new mount and pid
 * namespaces; each writes one record per feature to a pipe and ends, and its namespaces end with it.
 */
#include "sandbox/feature.h"

#include "base/fdio.h"
#include "base/fmt.h"
#include "os/caps.h"
#include "os/cgroup.h"
#include "os/landlock.h"
#include "os/mnt.h"
#include "os/ns.h"
#include "os/pidfd.h"
#include "os/userns.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

enum { LANDLOCK_ABI_NET = 4, LANDLOCK_ABI_SCOPE = 6 };

static const struct {
    const char *name;
    const char *loss;
    enum feature_need need;
} features[FEATURE_COUNT] = {
    [FEATURE_ROOT] = {"root", "instances can't have host ids of their own", FEATURE_REQUIRED},
    [FEATURE_IDS] =
        {"ids of their own",
         "the gateway and all functions run as you, in your groups: whatever gets out of a sandbox has your "
         "files and the other functions'",
         FEATURE_DEGRADES},
    [FEATURE_USERNS] = {"user namespaces", "root inside would be root outside", FEATURE_REQUIRED},
    [FEATURE_MOUNTNS] = {"mount namespaces", "functions would see the host's files", FEATURE_REQUIRED},
    [FEATURE_PIDNS] = {"pid namespaces", "functions would see and outlive each other", FEATURE_REQUIRED},
    [FEATURE_NETNS] = {"network namespaces", "functions would be on the host's network", FEATURE_REQUIRED},
    [FEATURE_IPCNS] = {"ipc namespaces", "functions would share System V memory and message queues", FEATURE_REQUIRED},
    [FEATURE_UTSNS] = {"uts namespaces", "functions would see and share the host's name", FEATURE_REQUIRED},
    [FEATURE_CGROUPNS] = {"cgroup namespaces", "functions can read the names of their control groups",
                          FEATURE_DEGRADES},
    [FEATURE_CLONE3] = {"clone3", "no process can be started in new namespaces with a descriptor of its own",
                        FEATURE_REQUIRED},
    [FEATURE_PIDFD] = {"pidfd", "a reused process number could be killed by mistake", FEATURE_REQUIRED},
    [FEATURE_CLONE_INTO_CGROUP] = {"clone into a cgroup", "starts are slower, and the atomic kill may be missing",
                                   FEATURE_NICE},
    [FEATURE_MOUNT_SETATTR] = {"mount_setattr", "the host's programs can't be shown read-only as a whole",
                               FEATURE_REQUIRED},
    [FEATURE_PROC_SUBSET] = {"proc with subset=pid", "functions have no /proc", FEATURE_DEGRADES},
    [FEATURE_CGROUP_MEMORY] = {"cgroup memory limit", "a function can use all memory of the host", FEATURE_DEGRADES},
    [FEATURE_CGROUP_PIDS] = {"cgroup pids limit", "a function can fill the host's process table", FEATURE_DEGRADES},
    [FEATURE_CGROUP_CPU] = {"cgroup cpu limit", "a function can take all processors from the others", FEATURE_DEGRADES},
    [FEATURE_CGROUP_CPUSET] = {"cgroup cpuset", "functions can't be pinned to processors", FEATURE_NICE},
    [FEATURE_CGROUP_KILL] = {"cgroup.kill", "processes are killed one by one", FEATURE_NICE},
    [FEATURE_CGROUP_FREEZE] = {"idle freeze", "threads that a function left behind go on running between its requests",
                               FEATURE_NICE},
    [FEATURE_CGROUP_OOM_GROUP] = {"memory.oom.group",
                                  "the kernel kills one process over the limit, and faasd the rest a moment later",
                                  FEATURE_NICE},
    [FEATURE_SECCOMP] = {"seccomp filters", "functions reach every system call", FEATURE_REQUIRED},
    [FEATURE_NO_NEW_PRIVS] = {"no_new_privs", "set-id programs would work inside", FEATURE_REQUIRED},
    [FEATURE_LANDLOCK] = {"Landlock", "there is no second layer behind the mounts", FEATURE_DEGRADES},
    [FEATURE_LANDLOCK_NET] = {"Landlock for TCP", "the network namespace alone keeps functions off the network",
                              FEATURE_NICE},
    [FEATURE_LANDLOCK_SCOPE] = {"Landlock scopes", "the namespaces alone keep signals and abstract sockets inside",
                                FEATURE_NICE},
    [FEATURE_MEMFD_NOEXEC] = {"vm.memfd_noexec", "functions have no memfd_create at all", FEATURE_NICE},
    [FEATURE_SWAP_LIMIT] = {"swap limit", "a function over its memory limit is swapped out rather than stopped",
                            FEATURE_DEGRADES},
    [FEATURE_EGRESS] = {"nf_tables and veth pairs", "network egress is refused", FEATURE_NICE},
    [FEATURE_FORWARDING] = {"packet forwarding", "network egress is refused", FEATURE_NICE},
};

const char *feature_name(enum feature f)
{
    return features[f].name;
}

const char *feature_loss(enum feature f)
{
    return features[f].loss;
}

enum feature_need feature_need(enum feature f)
{
    return features[f].need;
}

/* A container, or a service manager's CapabilityBoundingSet=, leaves root with less than it seems to have. */
static const struct {
    unsigned number;
    const char *name;
} needed_of_root[] = {
    {CAP_SYS_ADMIN, "cap_sys_admin"},             /* namespaces, mounts */
    {CAP_SETUID, "cap_setuid"},                   /* ids of the instances and of the gateway */
    {CAP_SETGID, "cap_setgid"},                   /* the same */
    {CAP_SETPCAP, "cap_setpcap"},                 /* empties bounding sets */
    {CAP_CHOWN, "cap_chown"},                     /* the state's directories, functions' files */
    {CAP_FOWNER, "cap_fowner"},                   /* modes of what is somebody else's by then */
    {CAP_DAC_OVERRIDE, "cap_dac_override"},       /* cgroups, trees of functions */
    {CAP_DAC_READ_SEARCH, "cap_dac_read_search"}, /* a configuration that is root's alone */
    {CAP_SYS_CHROOT, "cap_sys_chroot"},           /* children of templates */
    {CAP_SYS_PTRACE, "cap_sys_ptrace"},           /* namespaces of processes with other ids */
    {CAP_MKNOD, "cap_mknod"},                     /* /dev of the sandboxes */
    {CAP_KILL, "cap_kill"},                       /* instances, where cgroup.kill is missing */
};

/* "cap_setuid, cap_setgid": how much of it fits; empty when nothing is missing. */
static void list_missing(char *out, size_t size)
{
    size_t length = 0;
    out[0] = '\0';
    for (size_t i = 0; i < sizeof(needed_of_root) / sizeof(needed_of_root[0]); i++) {
        const char *name = needed_of_root[i].name;
        if (caps_has(needed_of_root[i].number) || length + strlen(name) + 3 > size)
            continue;
        fmt_to(out + length, size - length, "%s%s", length ? ", " : "", name);
        length += strlen(out + length);
    }
}

int feature_demand_root(struct err *e)
{
    char missing[256];
    if (geteuid() != 0)
        return err_say(e, EPERM,
                       "sandboxes are made by root, of the host or of a user namespace, and uid %u gets none: %s",
                       geteuid(), userns_own()->why[0] ? userns_own()->why : "nobody tried");
    list_missing(missing, sizeof(missing));
    if (missing[0])
        return err_say(e, EPERM,
                       "root makes no sandboxes without %s: whatever starts faasd has taken it away "
                       "(a container's or a service's capabilities)",
                       missing);
    return 0;
}

static void record_root(struct feature_set *s)
{
    char *detail = s->detail[FEATURE_ROOT];
    const struct userns *u = userns_own();
    if (geteuid() == 0)
        list_missing(detail + sizeof("without"), sizeof(s->detail[0]) - sizeof("without"));
    s->found[FEATURE_ROOT] = geteuid() == 0 && !detail[sizeof("without")];
    if (geteuid() != 0)
        fmt_to(detail, sizeof(s->detail[0]), "%s", strerrorname_np(EPERM));
    else if (!s->found[FEATURE_ROOT])
        memcpy(detail, "without ", sizeof("without"));
    else if (u->entered)
        fmt_to(detail, sizeof(s->detail[0]), "of a user namespace of uid %u", u->owner);
    s->found[FEATURE_IDS] = geteuid() == 0 && (!u->entered || u->ids > 0);
    if (u->entered && u->ids)
        fmt_to(s->detail[FEATURE_IDS], sizeof(s->detail[0]), "%u", u->ids);
    else if (u->entered)
        fmt_to(s->detail[FEATURE_IDS], sizeof(s->detail[0]), "one for all");
    else if (geteuid() != 0)
        fmt_to(s->detail[FEATURE_IDS], sizeof(s->detail[0]), "%s", strerrorname_np(EPERM));
}

static const char *limits_remedy(const struct feature_set *s)
{
    if (!userns_own()->entered)
        return NULL;
    if (s->limits_are_v1)
        return "this host's limits are cgroup v1's, which are root's alone: boot with "
               "systemd.unified_cgroup_hierarchy=1, or serve as root";
    return "have a cgroup of your own: systemd-run --user --scope -p Delegate=yes faasd serve, or a unit with "
           "Delegate=yes";
}

const char *feature_remedy(const struct feature_set *s, enum feature f)
{
    static char text[USERNS_WHY_MAX + 200];
    const struct userns *u = userns_own();
    if (s->found[f])
        return NULL;
    switch (f) {
    case FEATURE_ROOT:
        if (u->entered || geteuid() == 0)
            return NULL;
        fmt_to(text, sizeof(text), "no user namespace can be had: %s", u->why);
        return text;
    case FEATURE_IDS:
        if (!u->entered)
            return NULL;
        fmt_to(text, sizeof(text),
               "%s; have root install newuidmap (Debian's package uidmap) and run usermod --add-subuids 100000-165535 "
               "--add-subgids 100000-165535 for uid %u",
               u->why, u->owner);
        return text;
    case FEATURE_CGROUP_MEMORY:
    case FEATURE_CGROUP_PIDS:
    case FEATURE_CGROUP_CPU:
        return limits_remedy(s);
    default:
        return NULL;
    }
}

static void record(struct feature_set *s, enum feature f, int error)
{
    s->found[f] = error == 0;
    fmt_to(s->detail[f], sizeof(s->detail[f]), "%s", error ? strerrorname_np(error) : "");
}

/* ---- in children ---- */

struct report {
    uint32_t feature;
    int32_t error;
};

static void tell(int fd, enum feature f, int error)
{
    struct report r = {.feature = f, .error = error};
    fd_write_full(fd, &r, sizeof(r));
}

/* Innermost: pid 1 of new namespaces, as a sandbox's child is. */
static void __attribute__((noreturn)) try_mounts(int fd)
{
    struct err e = {0};
    tell(fd, FEATURE_MOUNTNS, 0);
    tell(fd, FEATURE_PIDNS, 0);
    int tree = mnt_clone_tree(AT_FDCWD, "/dev", MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID, &e);
    tell(fd, FEATURE_MOUNT_SETATTR, tree < 0 ? e.code : 0);
    int r = mnt_proc("/proc", MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC, &e);
    tell(fd, FEATURE_PROC_SUBSET, r < 0 ? e.code : 0);
    tell(fd, FEATURE_NO_NEW_PRIVS, prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? errno : 0);
    uint32_t action = SECCOMP_RET_KILL_PROCESS;
    tell(fd, FEATURE_SECCOMP, syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) < 0 ? errno : 0);
    _exit(0);
}

/* A child that has to be waited for, in these namespaces. */
static int clone_and_wait(uint64_t flags, int cgroup_fd, void (*body)(int fd), int fd)
{
    int pidfd = -1, status;
    pid_t pid = ns_clone(flags, cgroup_fd, &pidfd);
    if (pid == 0)
        body(fd);
    if (pid < 0)
        return pid;
    pidfd_reap(pidfd, true, &status);
    fd_close(&pidfd);
    return 0;
}

static void __attribute__((noreturn)) just_exit(int fd)
{
    (void)fd;
    _exit(0);
}

/* In a new user namespace: every other kind by itself, so that each missing one is named. */
static void __attribute__((noreturn)) try_namespaces(int fd)
{
    static const struct {
        enum feature feature;
        uint64_t flag;
    } kinds[] = {{FEATURE_NETNS, CLONE_NEWNET},
                 {FEATURE_IPCNS, CLONE_NEWIPC},
                 {FEATURE_UTSNS, CLONE_NEWUTS},
                 {FEATURE_CGROUPNS, CLONE_NEWCGROUP}};
    tell(fd, FEATURE_USERNS, 0);
    for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        tell(fd, kinds[i].feature, -ns_unshare(kinds[i].flag, NULL));
    int both = clone_and_wait(CLONE_NEWNS | CLONE_NEWPID, -1, try_mounts, fd);
    if (both < 0) {
        tell(fd, FEATURE_MOUNTNS, -clone_and_wait(CLONE_NEWNS, -1, just_exit, fd));
        tell(fd, FEATURE_PIDNS, -clone_and_wait(CLONE_NEWPID, -1, just_exit, fd));
    }
    _exit(0);
}

/* A chroot'ed process may make no user namespace (user_namespaces(7)), but one started in a chroot can still serve: the base tree's builder leaves it
 * as this child does (base.c). */
static void __attribute__((noreturn)) leave_chroot_and_try(int fd)
{
    struct err e;
    mnt_leave_chroot(&e); /* where it fails, the next call tells */
    int r = clone_and_wait(CLONE_NEWUSER, -1, try_namespaces, fd);
    if (r < 0)
        tell(fd, FEATURE_USERNS, -r);
    _exit(0);
}

/* ---- the parent's side ---- */

static void collect(struct feature_set *s, int fd)
{
    struct report r;
    while (fd_read_full(fd, &r, sizeof(r)) == (ssize_t)sizeof(r))
        if (r.feature < FEATURE_COUNT)
            record(s, r.feature, r.error);
}

static int probe_processes(struct feature_set *s, struct err *e)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return err_set(e, errno, "make a pipe");
    scoped_fd in = ends[0], out = ends[1];
    int plain = clone_and_wait(0, -1, just_exit, -1);
    record(s, FEATURE_CLONE3, -plain);
    record(s, FEATURE_PIDFD, -plain); /* one call gives both */
    static const enum feature by_children[] = {FEATURE_USERNS,       FEATURE_MOUNTNS,       FEATURE_PIDNS,
                                               FEATURE_NETNS,        FEATURE_IPCNS,         FEATURE_UTSNS,
                                               FEATURE_CGROUPNS,     FEATURE_MOUNT_SETATTR, FEATURE_PROC_SUBSET,
                                               FEATURE_NO_NEW_PRIVS, FEATURE_SECCOMP};
    int r = clone_and_wait(CLONE_NEWNS, -1, leave_chroot_and_try, out);
    if (r < 0) /* not root: the user namespace comes first */
        r = clone_and_wait(CLONE_NEWUSER, -1, try_namespaces, out);
    for (unsigned i = 0; i < sizeof(by_children) / sizeof(by_children[0]); i++)
        record(s, by_children[i], r < 0 ? -r : ENOTSUP); /* until a child says better */
    fd_close(&out);
    collect(s, in);
    return 0;
}

bool feature_is_in(enum feature f, const struct cgroup_tree *groups)
{
    switch ((int)f) {
    case FEATURE_CGROUP_MEMORY:
        return cgroup_tree_has(groups, CGROUP_MEMORY);
    case FEATURE_CGROUP_PIDS:
        return cgroup_tree_has(groups, CGROUP_PIDS);
    case FEATURE_CGROUP_CPU:
        return cgroup_tree_has(groups, CGROUP_CPU);
    case FEATURE_CGROUP_CPUSET:
        return cgroup_tree_has(groups, CGROUP_CPUSET);
    case FEATURE_CGROUP_KILL:
        return cgroup_tree_has_kill(groups);
    case FEATURE_CGROUP_FREEZE:
        return cgroup_tree_has_freeze(groups);
    default:
        return true;
    }
}

static void probe_cgroups(struct feature_set *s)
{
    static const struct {
        enum feature feature;
        enum cgroup_controller controller;
    } limits[] = {{FEATURE_CGROUP_MEMORY, CGROUP_MEMORY},
                  {FEATURE_CGROUP_PIDS, CGROUP_PIDS},
                  {FEATURE_CGROUP_CPU, CGROUP_CPU},
                  {FEATURE_CGROUP_CPUSET, CGROUP_CPUSET}};
    struct cgroup_survey survey;
    cgroup_survey(&survey);
    s->limits_are_v1 = survey.limits_are_v1;
    for (unsigned i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        bool found = survey.has[limits[i].controller];
        s->found[limits[i].feature] = found;
        fmt_to(s->detail[limits[i].feature], sizeof(s->detail[0]), "%s",
               !found                                   ? survey.describe
               : survey.v2_limits[limits[i].controller] ? "v2"
                                                        : "v1");
    }
    const struct {
        enum feature feature;
        bool found;
    } others[] = {{FEATURE_CGROUP_KILL, survey.kill},
                  {FEATURE_CGROUP_FREEZE, survey.freeze},
                  {FEATURE_CGROUP_OOM_GROUP, survey.oom_group},
                  {FEATURE_SWAP_LIMIT, survey.swap_limit},
                  {FEATURE_CLONE_INTO_CGROUP, survey.clone_into}};
    for (unsigned i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        s->found[others[i].feature] = others[i].found;
        bool no_swap = others[i].feature == FEATURE_SWAP_LIMIT && others[i].found && !survey.has[CGROUP_MEMORY];
        fmt_to(s->detail[others[i].feature], sizeof(s->detail[0]), "%s", no_swap ? "no swap" : survey.describe);
    }
}

static void probe_landlock(struct feature_set *s)
{
    s->landlock_abi = landlock_abi();
    s->found[FEATURE_LANDLOCK] = s->landlock_abi > 0;
    s->found[FEATURE_LANDLOCK_NET] = s->landlock_abi >= LANDLOCK_ABI_NET;
    s->found[FEATURE_LANDLOCK_SCOPE] = s->landlock_abi >= LANDLOCK_ABI_SCOPE;
    for (enum feature f = FEATURE_LANDLOCK; f <= FEATURE_LANDLOCK_SCOPE; f++)
        fmt_to(s->detail[f], sizeof(s->detail[f]), "ABI %d", s->landlock_abi);
}

int feature_probe(struct feature_set *ret_set, struct err *e)
{
    struct feature_set s = {0};
    record_root(&s);
    int r = probe_processes(&s, e);
    if (r < 0)
        return r;
    probe_cgroups(&s);
    probe_landlock(&s);
    record(&s, FEATURE_MEMFD_NOEXEC, access("/proc/sys/vm/memfd_noexec", W_OK) < 0 ? errno : 0);
    for (enum feature f = FEATURE_EGRESS; f <= FEATURE_FORWARDING; f++)
        fmt_to(s.detail[f], sizeof(s.detail[f]), "`faasd check` looks");
    *ret_set = s;
    return 0;
}
