/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The outside check: what the kernel says about a live sandbox against what was planned. It trusts nothing that the child reported, reads only
 * /proc/PID of the still unreaped init, and fails closed.
 */
#include "base/fdio.h"
#include "base/fmt.h"
#include "base/str.h"
#include "os/pidfd.h"
#include "sandbox/base.h"
#include "sandbox/init_protocol.h"

#include <assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

enum { MOUNTINFO_MAX = 256 * 1024, STATUS_MAX = 16384, MOUNTS_SEEN_MAX = 1024 };

struct check {
    int proc_fd; /* /proc/PID */
    const struct sandbox_base *base;
    const struct sandbox_spec *spec;
    const struct sandbox *sandbox;
    struct plan plan; /* made anew: what should be */
};

/* ---- status ---- */

static struct str status_field(const char *status, const char *name)
{
    struct str rest = str_from(status);
    while (rest.n) {
        struct str line = str_cut(rest, '\n', &rest, NULL);
        struct str key = str_cut(line, ':', &line, NULL);
        if (str_is(key, name))
            return str_trim(line);
    }
    return (struct str){0};
}

static int expect_field(const char *status, const char *name, const char *wanted, struct err *e)
{
    struct str found = status_field(status, name);
    if (!str_is(found, wanted))
        return err_say(e, EPERM, "%s is '%.*s', planned '%s'", name, (int)found.n, found.p ? found.p : "", wanted);
    return 0;
}

static int check_status(const struct check *c, struct err *e)
{
    static const char none[] = "0000000000000000";
    static const char chroot_only[] = "0000000000040000";
    static_assert(1 << CAP_SYS_CHROOT == 0x40000, "the capability's bit");
    const char *caps = c->spec->slots > 0 ? chroot_only : none;
    char status[STATUS_MAX], ids[64];
    ssize_t n = fd_read_file_at(c->proc_fd, "status", status, sizeof(status), e);
    if (n < 0)
        return (int)n;
    unsigned id = c->plan.idmap.entries[c->plan.idmap.count - 1].outside;
    fmt_to(ids, sizeof(ids), "%u\t%u\t%u\t%u", id, id, id, id);
    const struct {
        const char *name, *wanted;
    } fields[] = {{"Uid", ids},     {"Gid", ids},     {"Groups", ""},   {"NoNewPrivs", "1"}, {"Seccomp", "2"},
                  {"CapInh", caps}, {"CapPrm", caps}, {"CapEff", caps}, {"CapBnd", caps},    {"CapAmb", caps}};
    int r = 0;
    for (unsigned i = 0; i < sizeof(fields) / sizeof(fields[0]) && r == 0; i++)
        r = expect_field(status, fields[i].name, fields[i].wanted, e);
    return r;
}

/* ---- namespaces ---- */

static int check_namespaces(const struct check *c, struct err *e)
{
    static const char *const kinds[] = {"user", "mnt", "pid", "ipc", "uts", "net", "cgroup"};
    for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        char theirs[32], ours[40];
        struct stat a, b;
        fmt_to(theirs, sizeof(theirs), "ns/%s", kinds[i]);
        fmt_to(ours, sizeof(ours), "/proc/self/ns/%s", kinds[i]);
        if (fstatat(c->proc_fd, theirs, &a, 0) < 0 || stat(ours, &b) < 0)
            return err_set(e, errno, "look at the %s namespace", kinds[i]);
        bool shared = (strcmp(kinds[i], "net") == 0 && c->spec->network_host) ||
                      (strcmp(kinds[i], "cgroup") == 0 && !c->base->features.found[FEATURE_CGROUPNS]);
        if ((a.st_ino == b.st_ino && a.st_dev == b.st_dev) != shared)
            return err_say(e, EPERM, "the %s namespace is %s", kinds[i],
                           shared ? "not the host's, as was granted" : "the host's");
    }
    return 0;
}

/* ---- mounts ---- */

static uint64_t parse_attributes(struct str options)
{
    uint64_t bits = 0;
    while (options.n) {
        struct str option = str_cut(options, ',', &options, NULL);
        if (str_is(option, "ro"))
            bits |= MOUNT_ATTR_RDONLY;
        else if (str_is(option, "nosuid"))
            bits |= MOUNT_ATTR_NOSUID;
        else if (str_is(option, "nodev"))
            bits |= MOUNT_ATTR_NODEV;
        else if (str_is(option, "noexec"))
            bits |= MOUNT_ATTR_NOEXEC;
    }
    return bits;
}

static bool lies_beneath(struct str path, const char *dir)
{
    size_t n = strcmp(dir, "/") == 0 ? 0 : strlen(dir);
    return path.n > n && memcmp(path.p, dir, n) == 0 && path.p[n] == '/';
}

/* The attributes that a plan gives the mount at `path`, later steps over earlier ones; false when none puts one there. What was bound from the host
 * brings the host's mounts beneath it along, with the same attributes. */
static bool planned_attributes(const struct plan *p, struct str path, uint64_t *ret_bits)
{
    bool found = false;
    for (unsigned i = 0; i < p->count; i++) {
        const struct step *s = &p->steps[i];
        const char *at = s->path && s->path[0] ? s->path : "/";
        bool same = str_is(path, at);
        if (s->op == STEP_ATTRIBUTES && same) {
            *ret_bits |= s->number;
        } else if (plan_is_mount(s->op) && s->op != STEP_REBIND &&
                   (same || ((s->op == STEP_BIND || s->op == STEP_ATTACH) && lies_beneath(path, at)))) {
            *ret_bits = s->number;
            found = true;
        }
    }
    return found;
}

/* Rebound parts are as the base tree has them: its own mounts at that path, or plain parts of its root or of its /dev. */
static bool rebound_attributes(const struct plan *p, const struct plan *base, struct str path, uint64_t *ret_bits)
{
    for (unsigned i = 0; i < p->count; i++) {
        const struct step *s = &p->steps[i];
        if (s->op != STEP_REBIND || (!str_is(path, s->path) && !lies_beneath(path, s->path)))
            continue;
        if (planned_attributes(base, path, ret_bits))
            return true;
        return str_is(path, s->path) &&
               planned_attributes(base, str_from(lies_beneath(path, "/dev") ? "/dev" : "/"), ret_bits);
    }
    return false;
}

/* Where `path` lies for the child whose root it belongs to; `path` itself outside of all slots. */
static struct str path_in_slot(const struct check *c, struct str path)
{
    for (unsigned i = 0; i < c->spec->slots; i++) {
        char slot[32];
        fmt_to(slot, sizeof(slot), "/run/slots/%u", i);
        if (lies_beneath(path, slot))
            return str_skip(path, strlen(slot));
    }
    return path;
}

static bool base_attributes(const struct check *c, struct str path, uint64_t *ret_bits)
{
    return c->plan.root[0] ? rebound_attributes(&c->plan, &c->base->plan, path, ret_bits)
                           : planned_attributes(&c->base->plan, path, ret_bits);
}

static int check_mount(const struct check *c, struct str path, struct str options, struct err *e)
{
    uint64_t wanted = 0, found = parse_attributes(options);
    struct str inside = path_in_slot(c, path);
    bool planned = planned_attributes(&c->plan, path, &wanted) || planned_attributes(&c->plan, inside, &wanted) ||
                   base_attributes(c, inside, &wanted);
    if (!planned)
        return err_say(e, EPERM, "a mount at '%.*s' was not planned", (int)path.n, path.p);
    if ((found & wanted) != wanted)
        return err_say(e, EPERM, "the mount at '%.*s' is '%.*s', planned 0x%llx", (int)path.n, path.p, (int)options.n,
                       options.p, (unsigned long long)wanted);
    return 0;
}

/* Every mount that the plan itself makes must be among those seen. */
static int check_all_seen(const struct plan *p, const struct str *seen, unsigned count, struct err *e)
{
    for (unsigned i = 0; i < p->count; i++) {
        const struct step *s = &p->steps[i];
        if (!plan_is_mount(s->op))
            continue;
        bool found = false;
        for (unsigned k = 0; k < count && !found; k++)
            found = str_is(seen[k], s->path[0] ? s->path : "/");
        if (!found)
            return err_say(e, EPERM, "no mount at '%s'", s->path);
    }
    return 0;
}

static int check_mounts(const struct check *c, struct err *e)
{
    scoped_free char *text = malloc(MOUNTINFO_MAX);
    if (!text)
        return err_set(e, ENOMEM, "read mountinfo");
    ssize_t n = fd_read_file_at(c->proc_fd, "mountinfo", text, MOUNTINFO_MAX, e);
    if (n < 0)
        return (int)n;
    struct str seen[MOUNTS_SEEN_MAX], rest = str_from(text);
    unsigned count = 0;
    while (rest.n) {
        struct str line = str_cut(rest, '\n', &rest, NULL), field[6];
        for (unsigned i = 0; i < 6; i++)
            field[i] = str_cut(line, ' ', &line, NULL);
        if (count == MOUNTS_SEEN_MAX)
            return err_say(e, EPERM, "more than %d mounts", MOUNTS_SEEN_MAX);
        seen[count++] = field[4];
        int r = check_mount(c, field[4], field[5], e);
        if (r < 0)
            return r;
    }
    int r = c->plan.root[0] ? 0 : check_all_seen(&c->base->plan, seen, count, e);
    return r < 0 ? r : check_all_seen(&c->plan, seen, count, e);
}

/* ---- descriptors ---- */

enum { PTS_MAJOR_FIRST = 136, PTS_MAJOR_LAST = 143 }; /* Documentation/admin-guide/devices.txt */

static bool is_pty(int dir_fd, const char *name)
{
    struct stat st;
    return fstatat(dir_fd, name, &st, 0) == 0 && S_ISCHR(st.st_mode) && major(st.st_rdev) >= PTS_MAJOR_FIRST &&
           major(st.st_rdev) <= PTS_MAJOR_LAST;
}

/* Init makes pipes and sockets of its own as soon as it runs, so above the planned ones only what has no name in a file system may be open. */
static bool fd_is_fine(const struct check *c, int dir_fd, const char *name, unsigned number, const char *target)
{
    bool socket = strncmp(target, "socket:", 7) == 0, pipe = strncmp(target, "pipe:", 5) == 0;
    switch (number) {
    case 0:
        return strcmp(target, "/dev/null") == 0;
    case 1:
    case 2:
        return pipe;
    case INIT_FD_CONTROL:
        return socket;
    case INIT_FD_WORKER:
        if (c->spec->worker == SANDBOX_WORKER_PTY)
            return is_pty(dir_fd, name);
        if (c->spec->worker == SANDBOX_WORKER_SOCKET)
            return socket;
        break;
    default:
        break;
    }
    return target[0] != '/' && target[0] != '(';
}

static int check_one_fd(const struct check *c, int dir_fd, const char *name, unsigned *seen, struct err *e)
{
    uint64_t number;
    char target[256];
    if (!str_to_u64(str_from(name), &number))
        return 0; /* "." and ".." */
    ssize_t n = readlinkat(dir_fd, name, target, sizeof(target) - 1);
    if (n < 0)
        return errno == ENOENT ? 0 : err_set(e, errno, "read descriptor %s", name);
    target[n] = '\0';
    if (!fd_is_fine(c, dir_fd, name, (unsigned)number, target))
        return err_say(e, EPERM, "descriptor %s is '%s'", name, target);
    if (number <= INIT_FD_WORKER)
        *seen |= 1u << number;
    return 0;
}

static int check_fds(const struct check *c, struct err *e)
{
    int fd = openat(c->proc_fd, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        err_set(e, errno, "list descriptors");
        fd_close(&fd);
        return -e->code;
    }
    unsigned seen = 0;
    int r = 0;
    for (struct dirent *entry; r == 0 && (entry = readdir(dir));)
        r = check_one_fd(c, dirfd(dir), entry->d_name, &seen, e);
    closedir(dir);
    const unsigned first_four = 0xf;
    if (r == 0 && (seen & first_four) != first_four)
        r = err_say(e, EPERM, "descriptors 0 to 3 are not all open");
    return r;
}

/* ---- network ---- */

/* The one listener of the sandbox's network, as /proc/PID/net/tcp has it; its descriptor waits for the gateway in the worker's socket. */
static int check_listener(const struct check *c, struct err *e)
{
    static const char wanted[] = " 0100007F:2329 00000000:0000 0A "; /* 0A: TCP_LISTEN */
    static_assert(SANDBOX_LISTENER_PORT == 0x2329, "the port");
    char text[STATUS_MAX];
    if (c->spec->worker != SANDBOX_WORKER_LISTENER)
        return 0;
    ssize_t n = fd_read_file_at(c->proc_fd, "net/tcp", text, sizeof(text), e);
    if (n < 0)
        return (int)n;
    return strstr(text, wanted) ? 0 : err_say(e, EPERM, "nobody listens on 127.0.0.1:%d", SANDBOX_LISTENER_PORT);
}

/* ---- all of it ---- */

static int run_checks(const struct check *c, struct err *e)
{
    static int (*const checks[])(const struct check *, struct err *) = {check_status, check_namespaces, check_mounts,
                                                                        check_fds, check_listener};
    int r = 0;
    for (unsigned i = 0; i < sizeof(checks) / sizeof(checks[0]) && r == 0; i++)
        r = checks[i](c, e);
    return r < 0 ? r : cgroup_verify_member(c->sandbox->group, c->sandbox->pid, e);
}

int sandbox_verify(const struct sandbox_base *b, const struct sandbox_spec *spec, const struct sandbox *s,
                   struct err *e)
{
    struct check c = {.base = b, .spec = spec, .sandbox = s};
    char path[32];
    fmt_to(path, sizeof(path), "/proc/%d", s->pid);
    scoped_fd proc = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (proc < 0)
        return err_set(e, errno, "open '%s'", path);
    c.proc_fd = proc;
    const struct plan_input in = {
        .base = &b->plan, .features = &b->features, .spec = spec, .code_owner = b->code_owner};
    int r = plan_build_sandbox(&c.plan, &in, e);
    if (r < 0)
        return r;
    r = run_checks(&c, e);
    plan_fini(&c.plan);
    if (pidfd_is_dead(s->pidfd)) /* then what was read says nothing */
        return err_say(e, ESRCH, "the sandbox ended while it was being checked");
    return r < 0 ? err_wrap(e, "the sandbox is not what was planned") : 0;
}
