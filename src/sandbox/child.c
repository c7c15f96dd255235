/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The interpreter of plans. It runs in a process made by clone3 from the supervisor's memory, so whatever it calls must be async-signal-safe; it
 * knows no policy: what is done, in which order and why stands in the plan.
 */
#include "sandbox/child.h"

#include "base/fdio.h"
#include "base/fmt.h"
#include "os/caps.h"
#include "os/keyring.h"
#include "os/mnt.h"
#include "os/netif.h"
#include "os/ns.h"
#include "os/rlimit.h"
#include "os/sock.h"
#include "sandbox/init_protocol.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

enum { CHILD_PATH_MAX = 1024, FIRST_FREE_FD = INIT_FD_WORKER + 1, COPY_CHUNK = 16384, LISTEN_BACKLOG = 128 };

void child_init(struct child *c, struct plan *plan, const struct plan_input *input)
{
    *c = (struct child){.plan = plan, .input = input, .root = plan->root};
    for (unsigned i = 0; i < SLOT_COUNT; i++)
        c->fd[i] = -1;
}

/* Where the step's path is at the moment. */
static const char *at(const struct child *c, const struct step *s, char out[CHILD_PATH_MAX])
{
    fmt_to(out, CHILD_PATH_MAX, "%s%s", c->root, s->path);
    return out;
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

/* ---- files ---- */

static int do_private(struct child *c, const struct step *s, struct err *e)
{
    (void)c, (void)s;
    return mnt_make_private(e);
}

static int do_tmpfs(struct child *c, const struct step *s, struct err *e)
{
    char path[CHILD_PATH_MAX];
    return mnt_tmpfs(at(c, s, path), s->number, s->value, e);
}

static int do_proc(struct child *c, const struct step *s, struct err *e)
{
    char path[CHILD_PATH_MAX];
    return mnt_proc(at(c, s, path), s->number, e);
}

static int do_chdir(struct child *c, const struct step *s, struct err *e)
{
    char path[CHILD_PATH_MAX];
    if (chdir(at(c, s, path)) < 0)
        return err_set(e, errno, "enter '%s'", path);
    return 0;
}

static int do_dir(struct child *c, const struct step *s, struct err *e)
{
    char path[CHILD_PATH_MAX];
    if (mkdir(at(c, s, path), 0755) < 0 && errno != EEXIST)
        return err_set(e, errno, "make directory '%s'", path);
    return 0;
}

static int make_file(const char *path, struct err *e)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (fd < 0)
        return err_set(e, errno, "make file '%s'", path);
    return fd;
}

static int do_file(struct child *c, const struct step *s, struct err *e)
{
    char path[CHILD_PATH_MAX];
    scoped_fd fd = make_file(at(c, s, path), e);
    return fd < 0 ? fd : 0;
}

static int do_point(struct child *c, const struct step *s, struct err *e)
{
    struct stat st;
    if (fstat(c->fd[s->slot], &st) < 0)
        return err_set(e, errno, "look at what '%s' is to be", s->path);
    return S_ISDIR(st.st_mode) ? do_dir(c, s, e) : do_file(c, s, e);
}

static int do_text(struct child *c, const struct step *s, struct err *e)
{
    char path[CHILD_PATH_MAX];
    scoped_fd fd = make_file(at(c, s, path), e);
    if (fd < 0)
        return fd;
    int r = fd_write_full(fd, s->value, s->number);
    return r < 0 ? err_set(e, -r, "write '%s'", path) : 0;
}

/* What this process has of it ends here; the page cache of the sandbox's own tmpfs is all that is left. */
static int do_secret(struct child *c, const struct step *s, struct err *e)
{
    char path[CHILD_PATH_MAX];
    const struct sandbox_secret *from = &c->secrets[s->slot];
    int made = open(at(c, s, path), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0400);
    scoped_fd fd = made;
    if (fd < 0)
        return err_set(e, errno, "make file '%s'", path);
    int r = from->bytes ? fd_write_full(fd, from->bytes, from->size) : -ENODATA;
    if (from->bytes)
        explicit_bzero(from->bytes, from->size);
    if (r == 0 && fchown(fd, c->plan->inside_id, c->plan->inside_id) < 0)
        r = -errno;
    return r < 0 ? err_set(e, -r, "write '%s'", path) : 0;
}

static int do_copy(struct child *c, const struct step *s, struct err *e)
{
    char path[CHILD_PATH_MAX], chunk[COPY_CHUNK];
    scoped_fd from = open(s->value, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (from < 0)
        return err_set(e, errno, "open '%s'", s->value);
    scoped_fd to = make_file(at(c, s, path), e);
    if (to < 0)
        return to;
    for (;;) {
        ssize_t n = fd_read_full(from, chunk, sizeof(chunk));
        int r = n <= 0 ? (int)n : fd_write_full(to, chunk, (size_t)n);
        if (n <= 0 || r < 0)
            return r < 0 ? err_set(e, -r, "copy '%s'", s->value) : 0;
    }
}

static int do_symlink(struct child *c, const struct step *s, struct err *e)
{
    char path[CHILD_PATH_MAX];
    if (symlink(s->value, at(c, s, path)) < 0)
        return err_set(e, errno, "link '%s' to '%s'", path, s->value);
    return 0;
}

static int attach_clone(const char *source, const char *target, uint64_t attributes, struct err *e)
{
    scoped_fd tree = mnt_clone_tree(AT_FDCWD, source, attributes, e);
    return tree < 0 ? tree : mnt_attach(tree, target, e);
}

/* In a user namespace, as rootless, nobody may make a device: the host's is bound instead. */
static int do_node(struct child *c, const struct step *s, struct err *e)
{
    char path[CHILD_PATH_MAX];
    if (mknod(at(c, s, path), S_IFCHR | 0666, s->number) == 0)
        return chmod(path, 0666) < 0 ? err_set(e, errno, "set the mode of '%s'", path) : 0;
    if (errno != EPERM)
        return err_set(e, errno, "make device '%s'", path);
    int r = do_file(c, s, e);
    return r < 0 ? r : attach_clone(s->value, path, CHILD_NODE_ATTRIBUTES, e);
}

static int do_bind(struct child *c, const struct step *s, struct err *e)
{
    char path[CHILD_PATH_MAX];
    return attach_clone(s->value, at(c, s, path), s->number, e);
}

static int do_rebind(struct child *c, const struct step *s, struct err *e)
{
    char path[CHILD_PATH_MAX];
    return mnt_bind(s->path, at(c, s, path), e);
}

static int do_attach(struct child *c, const struct step *s, struct err *e)
{
    char path[CHILD_PATH_MAX];
    return mnt_attach(c->fd[s->slot], at(c, s, path), e);
}

static int do_attributes(struct child *c, const struct step *s, struct err *e)
{
    char path[CHILD_PATH_MAX];
    return mnt_set_attributes(at(c, s, path), s->number, e);
}

/* All before the first is attached: a copy holds no other. */
static int do_clone_root(struct child *c, const struct step *s, struct err *e)
{
    for (unsigned i = 0; i < s->number; i++) {
        c->roots[i] = mnt_clone_root(e);
        if (c->roots[i] < 0)
            return c->roots[i];
    }
    return 0;
}

static int do_slot(struct child *c, const struct step *s, struct err *e)
{
    char path[CHILD_PATH_MAX];
    int r = mnt_attach(c->roots[s->slot], at(c, s, path), e);
    fd_close(&c->roots[s->slot]);
    return r;
}

static int do_leave_chroot(struct child *c, const struct step *s, struct err *e)
{
    (void)c, (void)s;
    return mnt_leave_chroot(e);
}

static int do_pivot(struct child *c, const struct step *s, struct err *e)
{
    (void)s;
    c->root = "";
    return mnt_pivot(e);
}

static int do_check_root(struct child *c, const struct step *s, struct err *e)
{
    (void)c, (void)s;
    char cwd[CHILD_PATH_MAX];
    if (chdir("/") < 0)
        return err_set(e, errno, "enter '/'");
    /* The raw call answers "(unreachable)..." for a directory outside of the root. */
    if (syscall(SYS_getcwd, cwd, sizeof(cwd)) < 0 || strcmp(cwd, "/") != 0)
        return err_say(e, EPERM, "the working directory is not the root");
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

typedef int step_function(struct child *c, const struct step *s, struct err *e);

/* All that can be done while the host's root stands behind this process. */
static step_function *const first_ops[STEP_OPS] = {
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
static step_function *const base_ops[STEP_OPS] = {
    [STEP_FRESH_SIGNALS] = do_fresh_signals,
    [STEP_PRIVATE] = do_private,
    [STEP_TMPFS] = do_tmpfs,
    [STEP_PROC] = do_proc,
    [STEP_CHDIR] = do_chdir,
    [STEP_DIR] = do_dir,
    [STEP_FILE] = do_file,
    [STEP_TEXT] = do_text,
    [STEP_COPY] = do_copy,
    [STEP_SYMLINK] = do_symlink,
    [STEP_NODE] = do_node,
    [STEP_BIND] = do_bind,
    [STEP_ATTRIBUTES] = do_attributes,
    [STEP_LEAVE_CHROOT] = do_leave_chroot,
    [STEP_PIVOT] = do_pivot,
};

/* All that can be done behind STEP_BECOME, without power over the host. */
static step_function *const inside_ops[STEP_OPS] = {
    [STEP_LISTEN] = do_listen,
    [STEP_TMPFS] = do_tmpfs,
    [STEP_PROC] = do_proc,
    [STEP_CHDIR] = do_chdir,
    [STEP_DIR] = do_dir,
    [STEP_FILE] = do_file,
    [STEP_POINT] = do_point,
    [STEP_TEXT] = do_text,
    [STEP_SECRET] = do_secret,
    [STEP_COPY] = do_copy,
    [STEP_SYMLINK] = do_symlink,
    [STEP_NODE] = do_node,
    [STEP_BIND] = do_bind,
    [STEP_REBIND] = do_rebind,
    [STEP_ATTACH] = do_attach,
    [STEP_ATTRIBUTES] = do_attributes,
    [STEP_CLONE_ROOT] = do_clone_root,
    [STEP_SLOT] = do_slot,
    [STEP_PIVOT] = do_pivot,
    [STEP_CHECK_ROOT] = do_check_root,
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
static int run_steps(struct child *c, step_function *const ops[STEP_OPS], struct err *e)
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
