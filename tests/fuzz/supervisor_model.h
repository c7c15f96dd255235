/* SPDX-License-Identifier: Apache-2.0 */
/* What supervisor.c's messages meet: sandboxes, groups and processes that are only counted, in the place of all that has an effect (its line fuzz-wrap), and what a plan may be.
 * Included by it alone. */
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
    ino_t staging; /* an unpacker's directory */
    bool is_function;
    uint32_t uid;
    int setup_end, control_end, log_end, worker_end;
};

static struct supervisor super;
static struct config granting, nothing;
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
    for (uint32_t i = 0; i < super.config.grant_mount_count; i++) {
        const struct config_grant_mount *g = &super.config.grant_mounts[i];
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
        for (uint32_t i = 0; i < super.config.grant_device_count; i++)
            found |= strcmp(s->value, super.config.grant_devices[i]) == 0;
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
        assert(strcmp(s->value, super.config.runtimes[0].prefix) == 0 && super.config.runtime_count);
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
    assert(network || (spec->network_host && super.config.grant_network_host));
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

/* --- in the place of what has an effect --- */

int __wrap_sandbox_spawn(struct sandbox_base *b, struct cgroup_tree *t, const struct sandbox_spec *spec,
                         struct sandbox *ret, struct err *e)
{
    (void)b;
    (void)t;
    struct stat st = {0};
    int setup[2], control[2], log[2], worker[2] = {-1, -1};
    check_spec(spec);
    int r = check_plan(spec, e);
    if (r < 0)
        return r;
    if (process_count == PROCESSES_MAX || group_count == GROUPS_MAX)
        return err_set(e, EAGAIN, "clone");
    bool is_function = spec->kind == SANDBOX_FUNCTION || spec->kind == SANDBOX_SHELL;
    struct sandbox s = {.worker_fd = -1, .group = group_new(is_function ? spec->limits.memory_bytes : 0, false)};
    struct process *p = process_new(s.group, &s.pidfd);
    assert(pipe2(setup, O_CLOEXEC | O_NONBLOCK) == 0 && pipe2(log, O_CLOEXEC | O_NONBLOCK) == 0);
    assert(sock_pair(SOCK_SEQPACKET, control, e) == 0);
    if (spec->worker != SANDBOX_WORKER_NONE)
        assert(sock_pair(SOCK_STREAM, worker, e) == 0);
    s.pid = p->pid;
    s.error_fd = setup[0], p->setup_end = setup[1];
    s.control_fd = control[0], p->control_end = control[1];
    s.log_fd = log[0], p->log_end = log[1];
    s.worker_fd = worker[0], p->worker_end = worker[1];
    p->is_function = is_function;
    p->uid = spec->host_uid;
    if (spec->kind == SANDBOX_UNPACK && fstat(spec->code_dirfd, &st) == 0) {
        p->staging = st.st_ino;
        assert(code_count < sizeof(code) / sizeof(code[0]));
        code[code_count++] = st.st_ino;
    }
    *ret = s;
    return 0;
}

int __wrap_sandbox_verify(const struct sandbox_base *b, const struct sandbox_spec *spec, const struct sandbox *s,
                          struct err *e)
{
    (void)b;
    assert(by_fd(s->pidfd) && check_plan(spec, e) == 0);
    return setups_fail ? err_say(e, EPERM, "not as planned") : 0;
}

int __real_pidfd_reap(int fd, bool block, int *ret_status);
int __wrap_pidfd_reap(int fd, bool block, int *ret_status)
{
    const struct process *p = by_fd(fd);
    if (!p)
        return __real_pidfd_reap(fd, block, ret_status); /* who publishes */
    *ret_status = 9;
    return is_dead(p);
}

int __wrap_pidfd_kill(int fd)
{
    struct process *p = by_fd(fd);
    assert(p); /* never one that nobody has shown to be a sandbox's */
    p->group->struck |= p->group->child;
    if (p->group->child)
        die(p);
    return 0;
}

bool __wrap_pidfd_is_dead(int fd)
{
    const struct process *p = by_fd(fd);
    return !p || is_dead(p);
}

bool __wrap_pidfd_read_status(int fd, pid_t pid, int *ret_status)
{
    const struct process *p = by_fd(fd);
    assert(!p || p->pid == pid);
    *ret_status = 0;
    return p && is_dead(p);
}

int __wrap_pidfd_open(pid_t pid, unsigned flags);
int __real_pidfd_open(pid_t pid, unsigned flags);
int __wrap_pidfd_open(pid_t pid, unsigned flags)
{
    int ends[2];
    unsigned i = (unsigned)(pid - PID_FIRST);
    if (pid > PID_FOREIGN && pid < PID_FIRST)
        return __real_pidfd_open(pid, flags); /* of a child that publishes: ours by fork(2) */
    if (pid == PID_FOREIGN) {
        assert(pipe2(ends, O_CLOEXEC) == 0);
        close(ends[1]);
        return ends[0];
    }
    if (i >= process_count || is_dead(&processes[i])) {
        errno = ESRCH;
        return -1;
    }
    char path[48];
    fmt_to(path, sizeof(path), "/proc/self/fd/%d", processes[i].end);
    return open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
}

int __wrap_claim_check(const struct claim *c, struct err *e)
{
    const struct process *p = by_fd(c->pidfd);
    assert(c->group->live && c->group->child && by_fd(c->init_pidfd) && by_fd(c->init_pidfd)->pid == c->init);
    if (p && is_dead(p))
        return err_say(e, ESRCH, "it is dead");
    return p && p->group == c->group && p->pid == c->pid ? 0 : err_say(e, EPERM, "not in its group");
}

int __wrap_claim_check_dead(const struct claim *c, struct err *e)
{
    const struct process *p = by_fd(c->pidfd);
    return p && is_dead(p) && p->group == c->group ? 0 : err_say(e, EPERM, "it lives, or is another's");
}

int __wrap_prlimit(pid_t pid, enum __rlimit_resource what, const struct rlimit *limit, struct rlimit *old)
{
    assert(pid >= PID_FIRST && pid < PID_FIRST + (pid_t)process_count && what == RLIMIT_NPROC && !old);
    assert(limit->rlim_max <= (rlim_t)REQUEST_PIDS_MAX * (SANDBOX_SLOTS_MAX + 1));
    return 0;
}

int __wrap_cgroup_kill(struct cgroup *g, struct err *e)
{
    (void)e;
    assert(g->live);
    g->struck = true;
    for (unsigned i = 0; i < process_count; i++)
        if (processes[i].group == g && g->child)
            die(&processes[i]); /* sandboxes die late: by an op */
    return 0;
}

bool __wrap_cgroup_is_empty(const struct cgroup *g)
{
    assert(g->live);
    for (unsigned i = 0; i < process_count; i++)
        if (processes[i].group == g && !is_dead(&processes[i]))
            return false;
    return true;
}

int __wrap_cgroup_remove(struct cgroup *g)
{
    assert(g->live && __wrap_cgroup_is_empty(g));
    g->live = false;
    return 0;
}

void __wrap_cgroup_read_usage(struct cgroup *g, struct cgroup_usage *u)
{
    assert(g->live);
    *u = (struct cgroup_usage){0};
}

int __wrap_cgroup_oom_fd(struct cgroup *g, bool *ret_priority)
{
    assert(g->live);
    *ret_priority = false;
    return -1;
}

bool __wrap_cgroup_oom_fd_tell(struct cgroup *g)
{
    assert(g->live);
    return false;
}

int __wrap_cgroup_freeze(struct cgroup *g, bool frozen, struct err *e)
{
    (void)frozen;
    (void)e;
    assert(g->live);
    return 0;
}

bool __wrap_cgroup_has_one(const struct cgroup *g)
{
    return g->live;
}

int __wrap_cgroup_create_child(const struct cgroup *template, const char *name, const struct cgroup_limits *limits,
                               const struct cgroup_joiner *who, struct cgroup **ret_group, struct err *e)
{
    assert(template->live && !template->child && !strchr(name, '/'));
    assert(who->uid >= UID_BASE + 2 && who->uid < UID_BASE + UID_COUNT && who->gid == super.code_owner);
    assert(limits->memory_bytes == template->memory);
    if (group_count == GROUPS_MAX)
        return err_set(e, ENOSPC, "make a group");
    check_room(limits->memory_bytes);
    *ret_group = group_new(limits->memory_bytes, true);
    return 0;
}

int __wrap_cgroup_open_join(struct cgroup *g, const struct cgroup_joiner *who, int fds[CGROUP_JOIN_MAX],
                            unsigned *ret_count, struct err *e)
{
    (void)who;
    (void)e;
    assert(g->live && g->child);
    fds[0] = open("/dev/null", O_WRONLY | O_CLOEXEC);
    *ret_count = 1;
    return 0;
}

int __wrap_cgroup_park(struct cgroup *g, const struct cgroup_usage *used)
{
    (void)used;
    assert(g->live && g->child);
    g->struck = true; /* it counts for nobody */
    return 0;
}

int __wrap_cgroup_renew(struct cgroup *g, const struct cgroup_limits *limits)
{
    assert(g->live && g->child && limits->memory_bytes == g->memory);
    check_room(limits->memory_bytes);
    g->struck = false;
    return 0;
}

void __wrap_ahead_put_off(struct ahead *a)
{
    (void)a;
}

void __wrap_log_error(const char *format, ...)
{
    assert(format);
}
void __wrap_log_warn(const char *format, ...)
{
    assert(format);
}
void __wrap_log_info(const char *format, ...)
{
    assert(format);
}

void __wrap_gateway_process_kill(struct gateway_process *g)
{
    g->state = GATEWAY_KILLED;
    g->was_killed = true;
    must_restart = true;
}

static void open_gateway(void)
{
    int ends[2];
    struct err e;
    fd_close(&gateway_end);
    assert(sock_pair(SOCK_SEQPACKET, ends, &e) == 0);
    gateway_end = ends[0];
    channel_open(&super.channel, ends[1]);
    super.gateway.state = GATEWAY_GREETING;
    super.gateway.was_killed = false;
}

void __wrap_gateway_process_restart(struct gateway_process *g)
{
    (void)g;
    open_gateway();
}

/* --- the world --- */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    remove(path);
    return 0;
}

static void remove_top(void)
{
    nftw(top, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void write_file(const char *dir, const char *name, const char *text)
{
    char path[256];
    fmt_to(path, sizeof(path), "%s/%s", dir, name);
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
    assert(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
}

static void make_bucket(void)
{
    char path[256], outside[256];
    fmt_to(bucket, sizeof(bucket), "%s/bucket", top);
    assert(mkdir(bucket, 0755) == 0);
    write_file(bucket, "code.zip", "in the bucket");
    write_file(top, "outside", "not in the bucket");
    fmt_to(path, sizeof(path), "%s/link", bucket);
    fmt_to(outside, sizeof(outside), "%s/outside", top);
    assert(symlink(outside, path) == 0);
    fmt_to(path, sizeof(path), "%s/up", bucket);
    assert(symlink("..", path) == 0);
}

static void make_configs(void)
{
    config_init(&nothing);
    nothing.memory_budget_bytes = BUDGET;
    nothing.instances_max = INSTANCES;
    nothing.uid_base = UID_BASE;
    nothing.uid_count = UID_COUNT;
    nothing.runtime_count = 1;
    strcpy(nothing.runtimes[0].name, "python3");
    strcpy(nothing.runtimes[0].prefix, "/srv/python");
    nothing.lambda.bucket_count = 1;
    strcpy(nothing.lambda.buckets[0].name, "code");
    strcpy(nothing.lambda.buckets[0].path, bucket);
    granting = nothing;
    granting.grant_mount_count = 2;
    strcpy(granting.grant_mounts[0].source, "/data");
    strcpy(granting.grant_mounts[1].source, "/srv/www");
    granting.grant_mounts[1].writable = true;
    granting.grant_device_count = 1;
    strcpy(granting.grant_devices[0], "/dev/video0");
    granting.grant_network_host = granting.grant_cpuset = true;
}

static void open_state(void)
{
    char path[96];
    fmt_to(path, sizeof(path), "%s/state", top);
    assert(mkdir(path, 0755) == 0);
    super.state.state_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    static const char *const names[] = {"versions", "staging", "trash"};
    int *const fds[] = {&super.state.versions_fd, &super.state.staging_fd, &super.state.trash_fd};
    for (unsigned i = 0; i < 3; i++) {
        assert(mkdirat(super.state.state_fd, names[i], 0755) == 0);
        *fds[i] = openat(super.state.state_fd, names[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert(*fds[i] >= 0);
    }
    struct stat st;
    assert(mkdirat(super.state.state_fd, "empty", 0755) == 0 && fstatat(super.state.state_fd, "empty", &st, 0) == 0);
    empty_tree = st.st_ino;
}

static void make_world(void)
{
    struct err e;
    signal(SIGPIPE, SIG_IGN); /* the supervisor blocks it (supervisor/hygiene.c) */
    assert(mkdtemp(top));
    atexit(remove_top);
    make_bucket();
    make_configs();
    super = (struct supervisor){.options = &options, .self_fd = -1, .code_owner = geteuid() ? geteuid() : UID_BASE + 1};
    state_init(&super.state);
    open_state();
    super.loop = ev_loop_new(EVFLAG_AUTO);
    assert(super.loop && secret_keys_make(&keys, &e) == 0);
    super.keys = &keys;
    for (unsigned i = 0; i < FEATURE_COUNT; i++)
        features.found[i] = true;
    plan_init(&base_plan, "");
    assert(plan_build_base(&base_plan, &nothing, top, &e) == 0);
}

/* Every directory but those that are deployed at the start, which are there. */
static void clear_directory(int fd, bool is_versions)
{
    int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fdopendir(copy);
    assert(d);
    for (struct dirent *at = readdir(d); at; at = readdir(d))
        if (at->d_name[0] != '.')
            assert(unlinkat(fd, at->d_name, AT_REMOVEDIR) == 0);
    closedir(d);
    code_count = is_versions ? 0 : code_count;
    for (unsigned i = 0; i < DEPLOYED && is_versions; i++) {
        struct stat st;
        assert(mkdirat(fd, digest_of(i), 0755) == 0 && fstatat(fd, digest_of(i), &st, 0) == 0);
        assert(fchownat(fd, digest_of(i), super.code_owner, super.code_owner, 0) == 0);
        code[code_count++] = st.st_ino;
    }
}

static void begin(void)
{
    struct err e;
    clear_directory(super.state.staging_fd, false);
    clear_directory(super.state.trash_fd, false);
    clear_directory(super.state.versions_fd, true);
    process_count = group_count = 0;
    must_restart = setups_fail = false;
    super.phase = SUPERVISOR_STARTING;
    super.config = nothing;
    super.gateway = (struct gateway_process){.supervisor = &super, .pidfd = -1};
    ev_init(&super.gateway.timer, NULL);
    ev_init(&super.gateway.on_exit, NULL);
    ev_init(&super.drain_timer, NULL);
    channel_init(&super.channel, &super);
    trees_init(&super.trees, &super);
    watchdog_init(&super.watchdog, &super);
    ahead_init(&super.ahead, &super);
    assert(boxes_init(&super.boxes, &super, &e) == 0);
    open_gateway();
}

static void check_object(const struct message_failed *m, int fd)
{
    char text[32] = "";
    assert(m->error.code == 0 && read(fd, text, sizeof(text) - 1) > 0 && strcmp(text, "in the bucket") == 0);
}

/* What the gateway would be told: whole, and of the kinds that there are. The length of the message at `p`. */
static size_t check_answer(const char *p, const struct sock_record *record, size_t left)
{
    struct message_header h;
    assert(left >= sizeof(h));
    memcpy(&h, p, sizeof(h));
    assert(h.size >= sizeof(h) && h.size <= left && h.type >= MESSAGE_SPAWNED && h.type <= MESSAGE_STEPS_ARE);
    assert(h.size == record->size ||
           (message_may_share(h.type) && !record->fd_count && record->size <= MESSAGE_RECORD_MAX));
    if (h.type == MESSAGE_DONE && record->fd_count)
        check_object((const struct message_failed *)p, record->fds[0]);
    else
        assert(!record->fd_count || h.type == MESSAGE_SPAWNED);
    return h.size;
}

static void read_answers(void)
{
    static _Alignas(struct message_failed) char room[65536];
    struct sock_record record;
    while (gateway_end >= 0 && sock_receive(gateway_end, room, sizeof(room), &record) == 0 && record.size) {
        for (size_t at = 0; at < record.size;)
            at += check_answer(room + at, &record, record.size - at);
        sock_record_close(&record);
    }
}

static void turn(void)
{
    ev_run(super.loop, EVRUN_NOWAIT);
    read_answers();
    while (super.trees.job_count) /* a real child, which is done at once */
        ev_run(super.loop, EVRUN_ONCE);
    if (must_restart) {
        must_restart = false;
        super.gateway.state = GATEWAY_ABSENT;
        supervisor_on_gateway_exit(&super, 9);
        ev_run(super.loop, EVRUN_NOWAIT);
    }
    read_answers();
}

static void end(void)
{
    supervisor_on_gateway_broken(&super, "the end of the input");
    if (super.phase == SUPERVISOR_STARTING)
        super.phase = SUPERVISOR_SERVING;
    must_restart = true;
    turn();
    for (unsigned i = 0; i < TURNS_MAX && super.boxes.living; i++) {
        for (unsigned k = 0; k < process_count; k++)
            die(&processes[k]);
        ev_run(super.loop, EVRUN_ONCE);
    }
    assert(super.boxes.living == 0 && super.boxes.counted == 0 && super.boxes.helpers == 0 &&
           super.boxes.memory_bytes == 0);
    for (unsigned i = 0; i < group_count; i++)
        assert(!groups[i].live);
    for (unsigned i = 0; i < (UID_COUNT + 63) / 64; i++)
        assert(super.boxes.uids.taken[i] == 0 || super.boxes.uids.count % 64);
    trees_fini(&super.trees);
    channel_close(&super.channel);
    watchdog_fini(&super.watchdog);
    boxes_fini(&super.boxes);
    fd_close(&gateway_end);
    for (unsigned k = 0; k < process_count; k++)
        die(&processes[k]);
}

#endif
