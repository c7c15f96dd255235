/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parent's half of a start, by the supervisor. It opens and checks everything that comes from the host (the code, grants, devices) and hands it to the child
 * as detached mounts, so that the child resolves no host path. Then it steps into the base tree's mount namespace and a network namespace made ahead,
 * clones, steps back, and, while the child is busy with what needs no id map, makes the v1 groups and writes the maps. It does not wait for the rest: error_fd tells.
 */
#include "sandbox/spawn.h"

#include "base/fdio.h"
#include "base/fmt.h"
#include "os/mnt.h"
#include "os/netif.h"
#include "os/pidfd.h"
#include "os/sock.h"
#include "sandbox/base.h"
#include "sandbox/child.h"
#include "sandbox/init_protocol.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>

/* One start under way: what the child gets, what the caller gets, what both need until the clone. */
struct start {
    struct sandbox_base *base;
    const struct sandbox_spec *spec;
    struct plan plan;
    struct child child;
    struct sandbox made;
    struct seccomp_program sealed; /* the spec's own, where it is strict */
    int sync_fd;                   /* our end: one record lets the child go on */
};

static void start_init(struct start *s, struct sandbox_base *b, const struct sandbox_spec *spec)
{
    *s = (struct start){.base = b, .spec = spec, .sync_fd = -1};
    s->made = (struct sandbox){.pid = -1, .pidfd = -1, .error_fd = -1, .control_fd = -1, .log_fd = -1, .worker_fd = -1};
}

static bool slot_is_borrowed(unsigned slot)
{
    return slot == SLOT_INIT || slot == SLOT_MEMFD_NOEXEC;
}

/* The child has its own copies by now, or there is none. */
static void close_child_ends(struct start *s)
{
    for (unsigned i = 0; i < SLOT_COUNT; i++)
        if (!slot_is_borrowed(i))
            fd_close(&s->child.fd[i]);
}

static void close_parent_ends(struct start *s)
{
    fd_close(&s->made.pidfd);
    fd_close(&s->made.error_fd);
    fd_close(&s->made.control_fd);
    fd_close(&s->made.log_fd);
    fd_close(&s->made.worker_fd);
    fd_close(&s->sync_fd);
}

/* ---- channels ---- */

static int make_pipe(int *ret_read, int *ret_write, const char *what, struct err *e)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return err_set(e, errno, "make the %s pipe", what);
    *ret_read = ends[0];
    *ret_write = ends[1];
    return 0;
}

static int make_pair(int type, int *ret_ours, int *ret_theirs, const char *what, struct err *e)
{
    int ends[2];
    if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends) < 0)
        return err_set(e, errno, "make the %s socket", what);
    *ret_ours = ends[0];
    *ret_theirs = ends[1];
    return 0;
}

static int make_pty(struct start *s, struct err *e)
{
    s->made.worker_fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (s->made.worker_fd < 0 || unlockpt(s->made.worker_fd) < 0)
        return err_set(e, errno, "make a terminal");
    int slave = s->child.fd[SLOT_WORKER] = ioctl(s->made.worker_fd, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (slave < 0)
        return err_set(e, errno, "open the terminal's slave");
    if (fchown(slave, s->spec->host_uid, s->spec->host_uid) < 0 || fchmod(slave, 0600) < 0)
        return err_set(e, errno, "hand the terminal over");
    return 0;
}

static int make_worker(struct start *s, struct err *e)
{
    switch (s->spec->worker) {
    case SANDBOX_WORKER_SOCKET:
    case SANDBOX_WORKER_LISTENER:
        return make_pair(SOCK_STREAM, &s->made.worker_fd, &s->child.fd[SLOT_WORKER], "worker's", e);
    case SANDBOX_WORKER_PTY:
        return make_pty(s, e);
    case SANDBOX_WORKER_NONE:
        break;
    }
    return 0;
}

static int make_channels(struct start *s, struct err *e)
{
    int r = make_pair(SOCK_SEQPACKET, &s->sync_fd, &s->child.fd[SLOT_SYNC], "start", e);
    if (r == 0)
        r = make_pipe(&s->made.error_fd, &s->child.fd[SLOT_ERROR], "error", e);
    if (r == 0)
        r = make_pipe(&s->made.log_fd, &s->child.fd[SLOT_LOG], "log", e);
    if (r == 0)
        r = make_pair(SOCK_SEQPACKET, &s->made.control_fd, &s->child.fd[SLOT_CONTROL], "control", e);
    if (r == 0)
        r = make_worker(s, e);
    if (r < 0)
        return r;
    /* The instance owns its log pipe, so that a shell's `> /dev/stderr`, which opens it anew, works. */
    if (fchown(s->child.fd[SLOT_LOG], s->spec->host_uid, s->spec->host_uid) < 0)
        return err_set(e, errno, "hand the log pipe over");
    const int ours[] = {s->made.error_fd, s->made.log_fd, s->made.control_fd, s->made.worker_fd};
    for (unsigned i = 0; i < sizeof(ours) / sizeof(ours[0]) && r == 0; i++)
        if (ours[i] >= 0)
            r = fd_set_nonblock(ours[i]);
    return r < 0 ? err_set(e, -r, "make a channel non-blocking") : 0;
}

/* ---- what comes from the host ---- */

/* A grant was checked by its name; a link on the way would make the name mean something else. */
static int open_grant(const char *source, bool device, uint64_t attributes, struct err *e)
{
    scoped_fd fd = mnt_open_path(source, e);
    if (fd < 0)
        return fd;
    struct stat st;
    if (fstat(fd, &st) < 0)
        return err_set(e, errno, "look at '%s'", source);
    bool is_device = S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode);
    if (is_device != device || S_ISFIFO(st.st_mode))
        return err_say(e, EINVAL, device ? "'%s' is not a device" : "'%s' is neither a directory nor a file", source);
    return mnt_clone_tree(fd, "", attributes, e);
}

/* The configuration is root's, but whoever may write along the way could put a link to anything there. */
static int open_runtime(const char *prefix, uint64_t attributes, struct err *e)
{
    scoped_fd fd = mnt_open_path(prefix, e);
    if (fd < 0)
        return fd;
    struct stat st;
    if (fstat(fd, &st) < 0)
        return err_set(e, errno, "look at '%s'", prefix);
    if (!S_ISDIR(st.st_mode))
        return err_say(e, ENOTDIR, "the runtime's prefix '%s' is not a directory", prefix);
    return mnt_clone_tree(fd, "", attributes, e);
}

/* -1: the spec has nothing for the slot. */
static int open_source(const struct start *s, unsigned slot, int *ret_fd, struct err *e)
{
    const struct sandbox_spec *spec = s->spec;
    const uint64_t attributes = plan_attributes(spec, slot);
    const char *prefix = slot == SLOT_RUNTIME ? plan_prefix(&s->base->plan, spec) : NULL;
    if (slot == SLOT_CODE)
        *ret_fd = mnt_clone_tree(spec->code_dirfd, "", attributes, e);
    else if (slot == SLOT_SELF && !plan_is_function(spec))
        *ret_fd = mnt_clone_tree(s->base->self_fd, "", attributes, e);
    else if (slot == SLOT_RESOLV && spec->network_host) /* often a link, and the administrator's own */
        *ret_fd = mnt_clone_tree(AT_FDCWD, "/etc/resolv.conf", attributes, e);
    else if (prefix)
        *ret_fd = open_runtime(prefix, attributes, e);
    else if (slot >= SLOT_DEVICES && slot - SLOT_DEVICES < spec->device_count)
        *ret_fd = open_grant(spec->devices[slot - SLOT_DEVICES], true, attributes, e);
    else if (slot >= SLOT_MOUNTS && slot - SLOT_MOUNTS < spec->mount_count && slot < SLOT_DEVICES)
        *ret_fd = open_grant(spec->mounts[slot - SLOT_MOUNTS].source, false, attributes, e);
    else if (slot >= SLOT_LAYERS && slot - SLOT_LAYERS < spec->layer_count && slot < SLOT_MOUNTS)
        *ret_fd = mnt_clone_tree(spec->layer_dirfds[slot - SLOT_LAYERS], "", attributes, e);
    else
        return 0;
    return *ret_fd < 0 ? *ret_fd : 0;
}

static int open_sources(struct start *s, struct err *e)
{
    int r = 0;
    for (unsigned slot = SLOT_CODE; slot < SLOT_COUNT && r == 0; slot++)
        r = open_source(s, slot, &s->child.fd[slot], e);
    return r < 0 ? err_wrap(e, "open what the sandbox shows") : 0;
}

/* ---- the process ---- */

/* One of the stock, which this start uses up whatever comes of it. Without one, or when the kernel refuses it, the child makes its own. */
static bool enter_network(struct start *s, struct err *e)
{
    struct err unused;
    if (s->spec->network_egress)
        return ns_enter_network(s->spec->network_fd, e) == 0;
    scoped_fd fd = s->spec->network_host ? -1 : network_stock_take(&s->base->networks);
    if (fd < 0 || ns_enter_network(fd, &unused) < 0)
        return false;
    if (!s->spec->strict || netif_loopback_bare(&unused) == 0)
        return true;
    ns_home_return_network(&s->base->home);
    return false;
}

static int clone_inside(struct start *s, const struct cgroup_tree *t, struct err *e)
{
    const uint64_t flags = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID;
    int cwd, group_fd = cgroup_tree_has_clone_into(t) ? cgroup_clone_fd(s->made.group) : -1;
    int r = ns_enter_mount(s->base->tree_fd, &cwd, e);
    if (r < 0)
        return r;
    s->child.has_network = enter_network(s, e);
    if (s->spec->network_egress && !s->child.has_network) {
        ns_home_return(&s->base->home, &cwd);
        return -e->code;
    }
    pid_t pid = ns_clone(flags, group_fd, &s->made.pidfd);
    bool apart = pid < 0 && group_fd >= 0;
    if (apart)
        pid = ns_clone(flags, -1, &s->made.pidfd);
    if (pid == 0)
        child_main(&s->child);
    if (s->child.has_network)
        ns_home_return_network(&s->base->home);
    ns_home_return(&s->base->home, &cwd);
    if (pid < 0)
        return err_set(e, -pid, "clone a sandbox");
    s->made.pid = pid;
    return apart ? cgroup_attach(s->made.group, pid, e) : 0;
}

/* While the child does what needs no ids. The out-of-memory killer of the host is to take any instance before the supervisor. */
static int release(struct start *s, struct err *e)
{
    char path[48];
    int tasks[CGROUP_TASKS_MAX];
    unsigned count = 0;
    int r = cgroup_create_rest(s->made.group, &s->spec->limits, e);
    if (r == 0)
        r = idmap_write(s->made.pid, &s->plan.idmap, e);
    if (r < 0)
        return r;
    fmt_to(path, sizeof(path), "/proc/%d/oom_score_adj", s->made.pid);
    r = fd_write_file_at(AT_FDCWD, path, "1000", e);
    if (r == 0)
        r = cgroup_open_tasks(s->made.group, tasks, &count, e);
    if (r < 0)
        return r;
    r = sock_send(s->sync_fd, "", 1, tasks, count);
    cgroup_close_tasks(tasks, count);
    return r < 0 ? err_set(e, -r, "let the child go on") : 0;
}

static void kill_child(struct start *s)
{
    if (s->made.pid >= 0)
        pidfd_end(s->made.pidfd);
}

/* A child that failed before it was let go has said why, which is more than that nobody listens any more. */
static int hear_child(const struct start *s, int failed, struct err *e)
{
    struct err said;
    if (read(s->made.error_fd, &said, sizeof(said)) != (ssize_t)sizeof(said) || said.code <= 0)
        return failed;
    said.text[sizeof(said.text) - 1] = '\0';
    *e = said;
    return -said.code;
}

static int spawn_in_group(struct start *s, const struct cgroup_tree *t, struct err *e)
{
    struct step_clock *clock = s->spec->clock;
    int r = make_channels(s, e);
    step_clock_mark_parent(clock, "channels");
    if (r == 0)
        r = open_sources(s, e);
    step_clock_mark_parent(clock, "code and mounts opened");
    if (r == 0)
        r = clone_inside(s, t, e);
    step_clock_mark_parent(clock, "clone");
    close_child_ends(s); /* the child has its own: only so does its end of file mean that it is gone */
    if (r == 0) {
        r = release(s, e);
        if (r < 0)
            r = hear_child(s, r, e);
    }
    step_clock_mark_parent(clock, "groups and id maps");
    if (r == 0)
        r = cgroup_name(s->made.group, e); /* for people: only now, as the child has enough to do without it */
    if (r < 0)
        kill_child(s);
    return r;
}

static enum profile filter_for(const struct sandbox_spec *spec)
{
    if (spec->kind == SANDBOX_SHELL)
        return PROFILE_SHELL;
    if (spec->strict)
        return PROFILE_STRICT;
    if (spec->learning)
        return spec->slots > 0 ? PROFILE_LEARNING_TEMPLATE : PROFILE_LEARNING;
    return spec->slots > 0 ? PROFILE_TEMPLATE : PROFILE_DEFAULT;
}

static int choose_filter(struct start *s, struct err *e)
{
    const struct seccomp_program *made = &s->base->filters[filter_for(s->spec)];
    s->child.filter = made;
    s->child.answer = s->spec->learning ? INIT_NOTICES_GO_ON : INIT_NOTICES_DENY;
    s->child.is_listened_to = s->spec->strict || s->spec->learning || s->spec->calls;
    s->child.calls = s->spec->calls;
    s->child.always = s->base->always[s->spec->slots > 0];
    if (!s->spec->strict)
        return 0;
    s->child.filter = &s->sealed;
    return profile_seal(made, &s->child.exec_key, &s->sealed, e);
}

/* The child has its own copy of key and filter. */
static void forget_filter(struct start *s)
{
    explicit_bzero(&s->child.exec_key, sizeof(s->child.exec_key));
    if (s->sealed.code)
        explicit_bzero(s->sealed.code, s->sealed.length * sizeof(*s->sealed.code));
    seccomp_program_fini(&s->sealed);
}

int sandbox_spawn(struct sandbox_base *b, struct cgroup_tree *t, const struct sandbox_spec *spec,
                  struct sandbox *ret_sandbox, struct err *e)
{
    struct start s;
    start_init(&s, b, spec);
    const struct plan_input in = {
        .base = &b->plan, .features = &b->features, .spec = spec, .code_owner = b->code_owner};
    int r = plan_begin(&s.plan, &in, e);
    if (r < 0)
        return r;
    child_init(&s.child, &s.plan, &in);
    s.child.fd[SLOT_INIT] = b->init_fd;
    s.child.fd[SLOT_MEMFD_NOEXEC] = b->memfd_noexec_fd;
    s.child.secrets = spec->secrets;
    s.child.clock = spec->clock;
    step_clock_mark_parent(spec->clock, "plan");
    r = choose_filter(&s, e);
    if (r == 0)
        r = cgroup_create_clonable(t, spec->name, &spec->limits, &s.made.group, e);
    step_clock_mark_parent(spec->clock, "group to clone into");
    if (r == 0) {
        r = spawn_in_group(&s, t, e);
        cgroup_settle(s.made.group);
        if (r < 0)
            cgroup_remove(s.made.group); /* its only process was reaped */
    }
    if (r < 0)
        close_parent_ends(&s);
    fd_close(&s.sync_fd);
    forget_filter(&s);
    plan_fini(&s.plan);
    if (r == 0)
        *ret_sandbox = s.made;
    return r;
}
