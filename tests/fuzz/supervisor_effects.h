/* SPDX-License-Identifier: Apache-2.0 */
/* What supervisor.c has in the place of all that has an effect (its line fuzz-wrap): it is held against the model, and only counted. Included by it alone. */
#ifndef FAASD_TESTS_FUZZ_SUPERVISOR_EFFECTS_H
#define FAASD_TESTS_FUZZ_SUPERVISOR_EFFECTS_H

#include "supervisor_model.h"

/* --- in the place of what has an effect --- */

int __wrap_egress_ask(struct egress *g, struct box *x, const struct message_spawn *m,
                      struct egress_instance **ret_instance, struct err *e)
{
    (void)g;
    assert(m->network == SETTINGS_NETWORK_EGRESS && super.config.grant_network_egress &&
           m->allow_count <= EGRESS_RULES_MAX);
    for (uint32_t i = 0; i < m->allow_count; i++)
        assert(egress_rule_is_valid(&m->allow[i]) &&
               egress_check_grant(&m->allow[i], &super.config.egress.grants, e) == 0);
    if (setups_fail || asked_count == PROCESSES_MAX)
        return err_say(e, EPERM, "no way out");
    struct egress_instance *i = calloc(1, sizeof(*i));
    assert(i);
    i->box = x;
    ways++;
    asked[asked_count++] = *ret_instance = i;
    return 0;
}

static void forget_asked(const struct egress_instance *i)
{
    unsigned k = 0;
    while (k < asked_count && asked[k] != i)
        k++;
    if (k < asked_count)
        memmove(&asked[k], &asked[k + 1], (--asked_count - k) * sizeof(asked[0]));
}

/* As the network process does, for who has waited longest: a namespace, or why there is none. What was granted when it was asked for is granted. */
static void bring_network(bool made)
{
    static struct config now;
    struct err e = {.code = EPERM, .text = "no network"};
    struct stat st;
    if (!asked_count)
        return;
    struct egress_instance *i = asked[0];
    int fd = made ? open("/dev/null", O_RDONLY | O_CLOEXEC) : -1;
    forget_asked(i);
    assert(!made || fstat(fd, &st) == 0);
    i->namespace = made ? st.st_ino : 0;
    newest_way = i;
    now = super.config;
    super.config = granting;
    box_on_network(i->box, fd, &e);
    super.config = now;
    fd_close(&fd);
}

/* Its address may be another's from now on. */
void __wrap_egress_detach(struct egress *g, struct egress_instance *i)
{
    (void)g;
    for (unsigned k = 0; i && k < process_count; k++)
        assert(processes[k].way != i || is_dead(&processes[k]));
    if (!i)
        return;
    ways--;
    forget_asked(i);
    free(i);
}

int __wrap_sandbox_spawn(struct sandbox_base *b, struct cgroup_tree *t, const struct sandbox_spec *spec,
                         struct sandbox *ret, struct err *e)
{
    (void)b;
    (void)t;
    struct stat st = {0};
    int setup[2], control[2], log[2], worker[2] = {-1, -1};
    grants = super.config.grant_network_host ? &granting : &nothing;
    check_spec(spec);
    assert(!spec->network_egress ||
           (fstat(spec->network_fd, &st) == 0 && st.st_ino == spec->network_inode && newest_way));
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
    p->grants = grants;
    p->way = spec->network_egress ? newest_way : NULL;
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
    assert(by_fd(s->pidfd));
    grants = by_fd(s->pidfd)->grants;
    assert(check_plan(spec, e) == 0);
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

#endif
