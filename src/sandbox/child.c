/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The interpreter of plans, and the steps that are about the process; those of the file system are in child_files.c. Both run in a process made by clone3 from
 * the supervisor's memory, so whatever they call must be async-signal-safe; they know no policy: what is done, in which order and why stands in the plan.
 */
#include "sandbox/child.h"

#include "base/fdio.h"
#include "base/fmt.h"
#include "os/caps.h"
#include "os/keyring.h"
#include "os/netif.h"
#include "os/ns.h"
#include "os/rlimit.h"
#include "os/sock.h"
#include "sandbox/child_files.h"
#include "sandbox/init_protocol.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

enum { FIRST_FREE_FD = INIT_FD_WORKER + 1, LISTEN_BACKLOG = 128 };

void child_init(struct child *c, struct plan *plan, const struct plan_input *input)
{
    *c = (struct child){.plan = plan, .input = input, .root = plan->root};
    for (unsigned i = 0; i < SLOT_COUNT; i++)
        c->fd[i] = -1;
}

/* ---- process ---- */

static int do_fresh_signals(struct child *c, const struct step *s, struct err *e)
{
    (void)c, (void)s, (void)e;
    /* The clone reset the handlers (CLONE_CLEAR_SIGHAND); it leaves ignored signals ignored, but the supervisor ignores none, and init looks
     * once more. A loop over all of them here cost every start 60 us. */
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    umask(022);
    return 0;
}

static void close_between(unsigned first, unsigned last)
{
    if (first <= last)
        close_range(first, last, 0);
}

/* Descriptors that the plan uses move above those that init will have, then everything between them is closed. */
static int do_keep_fds(struct child *c, const struct step *s, struct err *e)
{
    (void)s;
    for (unsigned i = 0; i < SLOT_COUNT; i++) {
        if (c->fd[i] < 0 || c->fd[i] >= FIRST_FREE_FD)
            continue;
        c->fd[i] = fcntl(c->fd[i], F_DUPFD_CLOEXEC, FIRST_FREE_FD);
        if (c->fd[i] < 0)
            return err_set(e, errno, "move a descriptor");
    }
    unsigned next = 0;
    for (;;) {
        unsigned lowest = UINT_MAX;
        for (unsigned i = 0; i < SLOT_COUNT; i++)
            if (c->fd[i] >= 0 && (unsigned)c->fd[i] >= next && (unsigned)c->fd[i] < lowest)
                lowest = (unsigned)c->fd[i];
        if (lowest == UINT_MAX)
            break;
        if (lowest > 0)
            close_between(next, lowest - 1);
        next = lowest + 1;
    }
    close_between(next, UINT_MAX);
    return 0;
}

static int do_join_cgroups(struct child *c, const struct step *s, struct err *e)
{
    (void)s;
    for (unsigned i = 0; i < c->task_count; i++) {
        int r = fd_write_full(c->tasks[i], "0", 1);
        if (r < 0)
            return err_set(e, -r, "join cgroup %u", i);
    }
    cgroup_close_tasks(c->tasks, c->task_count);
    c->task_count = 0;
    return 0;
}

static int do_write(struct child *c, const struct step *s, struct err *e)
{
    size_t n = strlen(s->value);
    /* At offset 0: the descriptor is the supervisor's, all children share its position, and a write to a sysctl anywhere else is ignored
     * without an error (sysctl_writes_strict, Documentation/admin-guide/sysctl/kernel.rst). */
    ssize_t written;
    do
        written = pwrite(c->fd[s->slot], s->value, n, 0);
    while (written < 0 && errno == EINTR);
    if (written != (ssize_t)n)
        return err_set(e, written < 0 ? errno : EIO, "write '%s' to %s", s->value, s->path);
    return 0;
}

static int do_unshare(struct child *c, const struct step *s, struct err *e)
{
    (void)c;
    return ns_unshare(s->number, e);
}

static int do_wait_parent(struct child *c, const struct step *s, struct err *e)
{
    (void)s;
    char byte;
    struct sock_record record;
    struct pollfd p = {.fd = c->fd[SLOT_SYNC], .events = POLLIN};
    while (poll(&p, 1, -1) < 0)
        ;
    int r = sock_receive(c->fd[SLOT_SYNC], &byte, sizeof(byte), &record);
    if (r < 0)
        return err_set(e, -r, "hear from the supervisor");
    if (record.size != 1 || record.fd_count > CGROUP_TASKS_MAX)
        return err_say(e, ECANCELED, "the supervisor gave up");
    c->task_count = record.fd_count;
    memcpy(c->tasks, record.fds, record.fd_count * sizeof(record.fds[0]));
    return 0;
}

/* Raw calls: libc's would first tell threads that this copy of the process doesn't have. */
static int do_become(struct child *c, const struct step *s, struct err *e)
{
    (void)c;
    long id = (long)s->number;
    if (s->slot != PLAN_KEEP_GROUPS && syscall(SYS_setgroups, 0, NULL) < 0)
        return err_set(e, errno, "drop supplementary groups");
    if (syscall(SYS_setresgid, id, id, id) < 0)
        return err_set(e, errno, "become group %ld", id);
    if (syscall(SYS_setresuid, id, id, id) < 0)
        return err_set(e, errno, "become user %ld", id);
    return 0;
}

static int do_hostname(struct child *c, const struct step *s, struct err *e)
{
    (void)c;
    if (sethostname(s->value, strlen(s->value)) < 0)
        return err_set(e, errno, "set the host name '%s'", s->value);
    return 0;
}

static int do_network(struct child *c, const struct step *s, struct err *e)
{
    if (c->has_network)
        return 0;
    int r = ns_unshare(CLONE_NEWNET, e);
    return r < 0 || s->number == PLAN_LOOPBACK_DOWN ? r : netif_loopback_up(e);
}

/* Made in the sandbox's network, served by the gateway, which never enters it: the descriptor goes out, and nothing of the channel stays. */
static int do_listen(struct child *c, const struct step *s, struct err *e)
{
    scoped_fd fd = sock_listen_loopback((unsigned)s->number, LISTEN_BACKLOG, e);
    if (fd < 0)
        return fd;
    int r = sock_send(c->fd[s->slot], "", 1, &fd, 1);
    if (r < 0)
        return err_set(e, -r, "hand the listening socket over");
    fd_close(&c->fd[s->slot]);
    return 0;
}

/* ---- giving up power ---- */

static int do_rlimit(struct child *c, const struct step *s, struct err *e)
{
    (void)c;
    return rlimit_set((int)s->slot, s->number, e);
}

static int do_session(struct child *c, const struct step *s, struct err *e)
{
    (void)c, (void)s;
    if (setsid() < 0)
        return err_set(e, errno, "start a session");
    return 0;
}

static int do_keyring(struct child *c, const struct step *s, struct err *e)
{
    (void)c, (void)s;
    return keyring_join_fresh(e);
}

static int do_drop_bounding(struct child *c, const struct step *s, struct err *e)
{
    (void)c;
    return s->number == PLAN_KEEP_CHROOT ? caps_drop_bounding_but(CAPS_BIT(CAP_SYS_CHROOT), e) : caps_drop_bounding(e);
}

static int do_drop_caps(struct child *c, const struct step *s, struct err *e)
{
    (void)c;
    return s->number == PLAN_KEEP_CHROOT ? caps_keep_across_exec(CAPS_BIT(CAP_SYS_CHROOT), e) : caps_drop_all(e);
}

/* The parent may have died before the signal was set. getppid() is 0 in a new pid namespace either way, but the error pipe knows: without a
 * reader its write end reports an error. */
static int do_death_signal(struct child *c, const struct step *s, struct err *e)
{
    (void)s;
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
        return err_set(e, errno, "ask for the death signal");
    struct pollfd p = {.fd = c->fd[SLOT_ERROR]};
    if (poll(&p, 1, 0) == 1 && p.revents & (POLLERR | POLLNVAL))
        return err_say(e, ECANCELED, "the supervisor is gone");
    return 0;
}

static int do_no_new_privs(struct child *c, const struct step *s, struct err *e)
{
    (void)c, (void)s;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return err_set(e, errno, "set no_new_privs");
    return 0;
}

static int do_landlock(struct child *c, const struct step *s, struct err *e)
{
    (void)s;
    const struct landlock_spec spec = {.paths = c->plan->landlock,
                                       .path_count = c->plan->landlock_count,
                                       .deny_tcp = c->plan->deny_tcp,
                                       .scope = true};
    return landlock_restrict(&spec, e);
}

static int place(int fd, int number, struct err *e)
{
    if (dup2(fd, number) < 0)
        return err_set(e, errno, "put descriptor %d in place", number);
    return 0;
}

static int do_stdio(struct child *c, const struct step *s, struct err *e)
{
    (void)s;
    int null = open("/dev/null", O_RDONLY); /* 0 is the lowest free number; and it stays open across exec */
    if (null < 0)
        return err_set(e, errno, "open '/dev/null'");
    int r = null == STDIN_FILENO ? 0 : err_say(e, EBADF, "descriptor 0 is taken");
    for (int number = STDOUT_FILENO; number <= STDERR_FILENO && r == 0; number++)
        r = place(c->fd[SLOT_LOG], number, e);
    if (r == 0)
        r = place(c->fd[SLOT_CONTROL], INIT_FD_CONTROL, e);
    if (r == 0 && c->fd[SLOT_WORKER] >= 0)
        r = place(c->fd[SLOT_WORKER], INIT_FD_WORKER, e);
    if (r == 0 && close_range(FIRST_FREE_FD, UINT_MAX, CLOSE_RANGE_CLOEXEC) < 0)
        r = err_set(e, errno, "close descriptors at exec");
    return r;
}

/* A function's list is in front of the filter that it takes from. */
static int attach_both(const struct child *c, struct err *e)
{
    uint64_t calls[SECCOMP_CALL_WORDS];
    for (unsigned i = 0; i < SECCOMP_CALL_WORDS; i++)
        calls[i] = c->calls[i] | c->always[i];
    scoped_fd fd = seccomp_attach_calls(calls, e);
    int r = fd < 0 ? fd : seccomp_attach(c->filter, e);
    return r < 0 ? r : fd_take(&fd);
}

static int do_seccomp(struct child *c, const struct step *s, struct err *e)
{
    (void)s;
    if (!c->is_listened_to)
        return seccomp_attach(c->filter, e);
    /* Nothing from here to init's first breath is told: whoever is to answer does not know of this sandbox yet. */
    scoped_fd fd = c->calls ? attach_both(c, e) : seccomp_attach_listening(c->filter, e);
    if (fd < 0)
        return fd;
    const struct init_head head = {.type = INIT_NOTICES, .size = sizeof(head), .request = c->answer};
    int r = sock_send(c->fd[SLOT_CONTROL], &head, sizeof(head), &fd, 1);
    return r < 0 ? err_set(e, -r, "hand the filter's descriptor over") : 0;
}

static int do_exec_init(struct child *c, const struct step *s, struct err *e)
{
    char key[INIT_KEY_DIGITS + 1];
    fmt_to(key, sizeof(key), "%lx", (unsigned long)c->exec_key);
    char *argv[] = {(char[]){"init"}, (char *)(uintptr_t)s->value, c->exec_key ? key : NULL, NULL}, *envp[] = {NULL};
    /* the sixth is for the filter of a sandbox that has a key (sandbox/profile.h); the kernel knows five */
    syscall(SYS_execveat, c->fd[SLOT_INIT], "", argv, envp, AT_EMPTY_PATH, c->exec_key);
    return err_set(e, errno, "execute init");
}

/* ---- the tables ---- */

static const char *const names[STEP_OPS] = {
    [STEP_FRESH_SIGNALS] = "signals",
    [STEP_KEEP_FDS] = "close fds",
    [STEP_JOIN_CGROUPS] = "cgroups",
    [STEP_WRITE] = "sysctl",
    [STEP_UNSHARE] = "unshare",
    [STEP_WAIT_PARENT] = "wait",
    [STEP_BECOME] = "become",
    [STEP_HOSTNAME] = "hostname",
    [STEP_NETWORK] = "network",
    [STEP_LISTEN] = "listen",
    [STEP_PRIVATE] = "propagation",
    [STEP_TMPFS] = "tmpfs",
    [STEP_PROC] = "proc",
    [STEP_CHDIR] = "chdir",
    [STEP_DIR] = "dir",
    [STEP_FILE] = "file",
    [STEP_POINT] = "mount point",
    [STEP_TEXT] = "text",
    [STEP_SECRET] = "secret",
    [STEP_COPY] = "copy",
    [STEP_SYMLINK] = "link",
    [STEP_NODE] = "device",
    [STEP_BIND] = "bind",
    [STEP_REBIND] = "rebind",
    [STEP_ATTACH] = "mount",
    [STEP_ATTRIBUTES] = "attributes",
    [STEP_CLONE_ROOT] = "clone root",
    [STEP_SLOT] = "slot",
    [STEP_LEAVE_CHROOT] = "leave chroot",
    [STEP_PIVOT] = "pivot",
    [STEP_CHECK_ROOT] = "check root",
    [STEP_RLIMIT] = "limit",
    [STEP_SESSION] = "session",
    [STEP_KEYRING] = "keyring",
    [STEP_DROP_BOUNDING] = "bounding set",
    [STEP_DROP_CAPS] = "capabilities",
    [STEP_DEATH_SIGNAL] = "death signal",
    [STEP_NO_NEW_PRIVS] = "no new privs",
    [STEP_LANDLOCK] = "landlock",
    [STEP_STDIO] = "fds 0-4",
    [STEP_SECCOMP] = "seccomp",
    [STEP_EXEC_INIT] = "exec",
};

const char *step_name(enum step_op op)
{
    return names[op];
}

/* All that can be done while the host's root stands behind this process. */
static child_step *const first_ops[STEP_OPS] = {
    [STEP_FRESH_SIGNALS] = do_fresh_signals,
    [STEP_KEEP_FDS] = do_keep_fds,
    [STEP_NETWORK] = do_network,
    [STEP_UNSHARE] = do_unshare,
    [STEP_HOSTNAME] = do_hostname,
    [STEP_RLIMIT] = do_rlimit,
    [STEP_SESSION] = do_session,
    [STEP_DROP_BOUNDING] = do_drop_bounding,
    [STEP_WAIT_PARENT] = do_wait_parent,
    [STEP_JOIN_CGROUPS] = do_join_cgroups,
    [STEP_WRITE] = do_write,
    [STEP_BECOME] = do_become,
};

/* All that can be done while the base tree is built, at the daemon's start, by its root. */
static child_step *const base_ops[STEP_OPS] = {
    [STEP_FRESH_SIGNALS] = do_fresh_signals,
    [STEP_PRIVATE] = child_private,
    [STEP_TMPFS] = child_tmpfs,
    [STEP_PROC] = child_proc,
    [STEP_CHDIR] = child_chdir,
    [STEP_DIR] = child_dir,
    [STEP_FILE] = child_file,
    [STEP_TEXT] = child_text,
    [STEP_COPY] = child_copy,
    [STEP_SYMLINK] = child_symlink,
    [STEP_NODE] = child_node,
    [STEP_BIND] = child_bind,
    [STEP_ATTRIBUTES] = child_attributes,
    [STEP_LEAVE_CHROOT] = child_leave_chroot,
    [STEP_PIVOT] = child_pivot,
};

/* All that can be done behind STEP_BECOME, without power over the host. */
static child_step *const inside_ops[STEP_OPS] = {
    [STEP_LISTEN] = do_listen,
    [STEP_TMPFS] = child_tmpfs,
    [STEP_PROC] = child_proc,
    [STEP_CHDIR] = child_chdir,
    [STEP_DIR] = child_dir,
    [STEP_FILE] = child_file,
    [STEP_POINT] = child_point,
    [STEP_TEXT] = child_text,
    [STEP_SECRET] = child_secret,
    [STEP_COPY] = child_copy,
    [STEP_SYMLINK] = child_symlink,
    [STEP_NODE] = child_node,
    [STEP_BIND] = child_bind,
    [STEP_REBIND] = child_rebind,
    [STEP_ATTACH] = child_attach,
    [STEP_ATTRIBUTES] = child_attributes,
    [STEP_CLONE_ROOT] = child_clone_root,
    [STEP_SLOT] = child_slot,
    [STEP_PIVOT] = child_pivot,
    [STEP_CHECK_ROOT] = child_check_root,
    [STEP_BECOME] = do_become, /* the own id of the instance, from root of its user namespace */
    [STEP_KEYRING] = do_keyring,
    [STEP_DROP_CAPS] = do_drop_caps,
    [STEP_DEATH_SIGNAL] = do_death_signal,
    [STEP_NO_NEW_PRIVS] = do_no_new_privs,
    [STEP_LANDLOCK] = do_landlock,
    [STEP_STDIO] = do_stdio,
    [STEP_SECCOMP] = do_seccomp,
    [STEP_EXEC_INIT] = do_exec_init,
};

/* Those that the plan has by now, from where it stopped. */
static int run_steps(struct child *c, child_step *const ops[STEP_OPS], struct err *e)
{
    for (; c->done < c->plan->count; c->done++) {
        const struct step *s = &c->plan->steps[c->done];
        int r = ops[s->op] ? ops[s->op](c, s, e) : err_say(e, EPERM, "not with the power that is there");
        if (r < 0) {
            err_wrap(e, "sandbox step %u (%s)", c->done + 1, step_name(s->op));
            return r;
        }
        step_clock_mark_child(c->clock, s);
    }
    return 0;
}

int child_build_base(struct child *c, struct err *e)
{
    return run_steps(c, base_ops, e);
}

/* Behind STEP_BECOME this process is an unprivileged id of the host, with capabilities in its own user namespace alone, and holds no descriptors but its plan's. */
static int run_without_power(struct child *c, struct err *e)
{
    int r = plan_go_on(c->plan, c->input, e);
    c->root = c->plan->root;
    return r < 0 ? r : run_steps(c, inside_ops, e);
}

void child_main(struct child *c)
{
    struct err e = {0};
    step_clock_begin_child(c->clock);
    int r = run_steps(c, first_ops, &e);
    if (r == 0)
        r = run_without_power(c, &e);
    if (r == 0)
        _exit(0);
    fd_write_full(c->fd[SLOT_ERROR], &e, sizeof(e));
    _exit(127);
}
