/* SPDX-License-Identifier: Apache-2.0 */
/* What supervisor.c judges by: which sandboxes, groups and processes there are, only counted, and what a plan and its limits may be. Included by it alone. */
#ifndef FAASD_TESTS_FUZZ_SUPERVISOR_MODEL_H
#define FAASD_TESTS_FUZZ_SUPERVISOR_MODEL_H

#include "base/fdio.h"
#include "base/fmt.h"
#include "codec/secret.h"
#include "os/pidfd.h"
#include "os/sock.h"
#include "sandbox/plan.h"
#include "supervisor/box_internal.h"
#include "supervisor/core.h"

#include <assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    PID_FIRST = 1 << 23, /* above any pid of the host */
    PID_FOREIGN = 7,     /* a process that is no child of anybody's here */
    PROCESSES_MAX = 256,
    GROUPS_MAX = 256,
    DIGESTS = 6, /* that a gateway names; the first DEPLOYED are deployed at the start */
    DEPLOYED = 3,
    UNPACKED_MAX = 64,
    TURNS_MAX = 20000,
};
enum { BUDGET = 1 << 30, INSTANCES = 8, UID_BASE = 700000, UID_COUNT = 40 };

/* --- the model --- */

struct cgroup {
    bool live, child, struck;
    uint64_t memory;
};
struct process {
    pid_t pid;
    int end; /* the pidfd's other end: closed = dead; -1 */
    ino_t inode;
    struct cgroup *group;
    ino_t staging;                     /* an unpacker's directory */
    const struct egress_instance *way; /* out, of network egress */
    const struct config *grants;
    bool is_function;
    uint32_t uid;
    int setup_end, control_end, log_end, worker_end;
};

static struct supervisor super;
static struct config granting, nothing;
static const struct config *grants; /* when the sandbox at hand was asked for: a reload changes nothing for it */
static struct plan base_plan;
static struct feature_set features;
static struct supervisor_options options = {.quiet = true, .ready_fd = -1};
static struct secret_keys keys;
static struct process processes[PROCESSES_MAX];
static struct cgroup groups[GROUPS_MAX];
static unsigned process_count, group_count;
static int gateway_end = -1; /* what the gateway would hold */
static bool must_restart, setups_fail;
static ino_t code[DEPLOYED + UNPACKED_MAX]; /* trees that may be run: deployed, or of an unpacker */
static unsigned code_count;
static ino_t empty_tree;
static const struct egress_instance *newest_way;
static unsigned ways;                                /* that are asked for and not given back */
static struct egress_instance *asked[PROCESSES_MAX]; /* of these, that have no network yet; the oldest first */
static unsigned asked_count;
static char top[] = "/dev/shm/faasd-fuzz-XXXXXX";
static char bucket[64];

static const char *digest_of(unsigned i)
{
    static char text[DIGESTS][MESSAGE_DIGEST_MAX];
    if (i == DIGESTS)
        return MESSAGE_NO_CODE;
    memset(text[i], "abcdef"[i], MESSAGE_DIGEST_MAX - 1);
    return text[i];
}

static struct process *by_fd(int fd)
{
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0)
        return NULL;
    for (unsigned i = 0; i < process_count; i++)
        if (processes[i].inode == st.st_ino)
            return &processes[i];
    return NULL;
}

static struct process *process_new(struct cgroup *g, int *ret_pidfd)
{
    int ends[2];
    struct stat st;
    assert(process_count < PROCESSES_MAX && pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0 && fstat(ends[0], &st) == 0);
    struct process *p = &processes[process_count];
    *p = (struct process){.pid = PID_FIRST + (pid_t)process_count++,
                          .end = ends[1],
                          .inode = st.st_ino,
                          .group = g,
                          .setup_end = -1,
                          .control_end = -1,
                          .log_end = -1,
                          .worker_end = -1};
    *ret_pidfd = ends[0];
    return p;
}

static bool is_dead(const struct process *p)
{
    return p->end < 0;
}

static void die(struct process *p)
{
    fd_close(&p->end);
    fd_close(&p->setup_end);
    fd_close(&p->control_end);
    fd_close(&p->log_end);
    fd_close(&p->worker_end);
}

static struct cgroup *group_new(uint64_t memory, bool child)
{
    assert(group_count < GROUPS_MAX);
    struct cgroup *g = &groups[group_count++];
    *g = (struct cgroup){.live = true, .child = child, .memory = memory};
    return g;
}

/* --- what the plan may be --- */

static bool is_plain(const char *name)
{
    return *name && *name != '.' &&
           strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-") == strlen(name);
}

/* No unpacker that lives can change it any more. */
static void check_code(int fd)
{
    struct stat st;
    assert(fstat(fd, &st) == 0 && S_ISDIR(st.st_mode));
    if (st.st_ino == empty_tree)
        return;
    bool known = false;
    for (unsigned i = 0; i < code_count; i++)
        known |= code[i] == st.st_ino;
    assert(known);
    for (unsigned i = 0; i < process_count; i++)
        assert(processes[i].staging != st.st_ino || is_dead(&processes[i]));
    char link[32], path[256] = "", place[96];
    fmt_to(link, sizeof(link), "/proc/self/fd/%d", fd);
    assert(readlink(link, path, sizeof(path) - 1) > 0);
    fmt_to(place, sizeof(place), "%s/state/versions/", top);
    assert(strncmp(path, place, strlen(place)) == 0);
}

static bool is_granted(const char *source, bool writable)
{
    for (uint32_t i = 0; i < grants->grant_mount_count; i++) {
        const struct config_grant_mount *g = &grants->grant_mounts[i];
        size_t n = strlen(g->source);
        if (strncmp(source, g->source, n) == 0 && (!source[n] || source[n] == '/') && (g->writable || !writable))
            return !strstr(source, "/../") && strcmp(source + strlen(source) - 2, "..") != 0;
    }
    return false;
}

static void check_attach(const struct sandbox_spec *spec, const struct step *s)
{
    bool is_function = spec->kind == SANDBOX_FUNCTION || spec->kind == SANDBOX_SHELL;
    bool writable = !(s->number & MOUNT_ATTR_RDONLY);
    assert(s->number & MOUNT_ATTR_NOSUID);
    if (s->slot >= SLOT_DEVICES) {
        bool found = false;
        for (uint32_t i = 0; i < grants->grant_device_count; i++)
            found |= strcmp(s->value, grants->grant_devices[i]) == 0;
        assert(is_function && found && strcmp(s->path, s->value) == 0);
        return;
    }
    assert(s->number & MOUNT_ATTR_NODEV);
    if (s->slot >= SLOT_MOUNTS)
        assert(is_function && is_granted(s->value, writable));
    else if (s->slot == SLOT_CODE)
        assert(writable == !is_function);
    else
        assert(!writable);
    if (s->slot == SLOT_RUNTIME)
        assert(strcmp(s->value, grants->runtimes[0].prefix) == 0 && grants->runtime_count);
    static const char *const own[] = {"/proc", "/dev", "/tmp", "/etc", "/usr", "/bin", "/lib", "/run/secrets", "/sys"};
    for (unsigned i = 0; i < sizeof(own) / sizeof(own[0]) && s->slot >= SLOT_MOUNTS; i++)
        assert(strcmp(s->path, own[i]) != 0 && !plan_is_above(own[i], s->path) && !plan_is_above(s->path, own[i]));
}

/* The steps that nothing may be without, by the order in which they have to come. */
static void check_order(const struct plan *p, const struct sandbox_spec *spec)
{
    static const enum step_op wanted[] = {STEP_FRESH_SIGNALS, STEP_KEEP_FDS,  STEP_JOIN_CGROUPS, STEP_BECOME,
                                          STEP_CHECK_ROOT,    STEP_DROP_CAPS, STEP_DEATH_SIGNAL, STEP_NO_NEW_PRIVS,
                                          STEP_LANDLOCK,      STEP_SECCOMP,   STEP_EXEC_INIT};
    unsigned next = 0;
    bool network = false, bounded = false;
    for (unsigned i = 0; i < p->count; i++) {
        const struct step *s = &p->steps[i];
        if (next < sizeof(wanted) / sizeof(wanted[0]) && s->op == wanted[next])
            next++;
        network |= s->op == STEP_NETWORK;
        bounded |= s->op == STEP_DROP_BOUNDING;
        if (s->op == STEP_DROP_CAPS || s->op == STEP_DROP_BOUNDING)
            assert(s->number == (spec->slots ? PLAN_KEEP_CHROOT : 0));
        if (s->op == STEP_ATTACH)
            check_attach(spec, s);
    }
    assert(next == sizeof(wanted) / sizeof(wanted[0]) && bounded);
    assert(network || (spec->network_host && grants->grant_network_host));
    assert(network || !spec->network_egress);
}

static int check_plan(const struct sandbox_spec *spec, struct err *e)
{
    struct plan plan;
    const struct plan_input in = {
        .base = &base_plan, .features = &features, .spec = spec, .code_owner = super.code_owner};
    int r = plan_build_sandbox(&plan, &in, e);
    if (r < 0)
        return r;
    check_order(&plan, spec);
    for (unsigned i = 0; i < plan.idmap.count; i++)
        assert(plan.idmap.entries[i].outside == super.code_owner || plan.idmap.entries[i].outside == spec->host_uid);
    plan_fini(&plan);
    return 0;
}

/* Of groups that nobody has struck yet, together; what one more may have. */
static void check_room(uint64_t memory)
{
    uint64_t sum = memory;
    for (unsigned i = 0; i < group_count; i++)
        if (groups[i].live && !groups[i].struck)
            sum += groups[i].memory;
    assert(sum <= BUDGET);
}

static void check_uid(const struct sandbox_spec *spec)
{
    if (spec->kind == SANDBOX_UNPACK || spec->kind == SANDBOX_DELETE) {
        assert(spec->host_uid == super.code_owner);
        return;
    }
    assert(spec->host_uid >= UID_BASE + 2 && spec->host_uid < UID_BASE + UID_COUNT);
    for (unsigned i = 0; i < process_count; i++)
        assert(is_dead(&processes[i]) || !processes[i].is_function || processes[i].uid != spec->host_uid);
}

static void check_spec(const struct sandbox_spec *spec)
{
    bool is_function = spec->kind == SANDBOX_FUNCTION || spec->kind == SANDBOX_SHELL;
    assert(!strchr(spec->name, '/') && strlen(spec->name) < CGROUP_NAME_MAX && is_plain(spec->hostname));
    assert(spec->limits.memory_bytes > 0 && spec->limits.pids > 0 && spec->limits.pids <= REQUEST_PIDS_MAX);
    assert(spec->limits.cpus_milli > 0 && spec->limits.cpu_weight > 0 && spec->limits.cpu_weight <= 10000);
    assert(!*spec->limits.cpuset || super.config.grant_cpuset);
    assert(spec->slots <= SANDBOX_SLOTS_MAX && (!spec->slots || spec->kind == SANDBOX_FUNCTION));
    assert(!spec->network_host || super.config.grant_network_host);
    assert(!spec->network_egress ||
           (super.config.grant_network_egress && !spec->network_host && !spec->strict && is_function));
    assert(spec->layer_count <= (is_function ? 1u : SANDBOX_LAYERS_MAX));
    for (unsigned i = 0; i < spec->layer_count; i++)
        check_code(spec->layer_dirfds[i]);
    if (is_function)
        check_code(spec->code_dirfd);
    else
        assert(spec->limits.memory_bytes <= MESSAGE_HELPER_MEMORY_MAX && !spec->secret_count && !spec->mount_count);
    for (unsigned i = 0; i < spec->secret_count; i++)
        assert(spec->secrets[i].size == 5 && memcmp(spec->secrets[i].bytes, "quiet", 5) == 0 &&
               !strchr(spec->secrets[i].file, '/'));
    check_uid(spec);
    check_room(is_function ? spec->limits.memory_bytes : 0);
}

#endif
