/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The outside check: what the kernel says about a live sandbox against what was planned. It trusts nothing that the child reported, reads only
 * /proc/PID of the still unreaped init, and fails closed.
 *
 * A helper does it: it opens with power what nobody else may open, reads links, and judges all of it when its power is gone (os/helper.h).
 */
#include "base/fdio.h"
#include "base/fmt.h"
#include "base/str.h"
#include "os/helper.h"
#include "os/pidfd.h"
#include "sandbox/base.h"
#include "sandbox/child.h"
#include "sandbox/init_protocol.h"

#include <assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

enum {
    MOUNTINFO_MAX = 256 * 1024,
    STATUS_MAX = 16384,
    MOUNTS_SEEN_MAX = 1024,
    DESCRIPTORS_MAX = 64, /* the planned ones, and what init opens: a dozen */
    TARGET_MAX = 256,
    TIMEOUT_MS = 5000,
};

enum text { TEXT_STATUS, TEXT_MOUNTS, TEXT_TCP, TEXT_GROUPS, TEXTS };
static const char *const text_files[TEXTS] = {
    [TEXT_STATUS] = "status", [TEXT_MOUNTS] = "mountinfo", [TEXT_TCP] = "net/tcp", [TEXT_GROUPS] = "cgroup"};

enum { NAMESPACES = 7 };
static const char *const namespaces[NAMESPACES] = {"user", "mnt", "pid", "ipc", "uts", "net", "cgroup"};

struct descriptor {
    uint64_t number;
    struct stat leads_to; /* zeros: gone */
    char target[TARGET_MAX];
};

struct check {
    const struct sandbox_base *base;
    const struct sandbox_spec *spec;
    const struct sandbox *sandbox;
    int proc_fd; /* /proc/PID */
    int text_fds[TEXTS];
    struct stat namespaces[NAMESPACES];
    unsigned descriptor_count;
    struct descriptor descriptors[DESCRIPTORS_MAX];
    struct plan plan; /* made anew: what should be */
};

/* ---- with power: what is ---- */

static int look_at_descriptors(struct check *c, struct err *e)
{
    int fd = openat(c->proc_fd, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir)
        return err_set(e, errno, "list descriptors");
    for (struct dirent *entry; (errno = 0, entry = readdir(dir));) {
        struct descriptor *d = &c->descriptors[c->descriptor_count];
        if (!str_to_u64(str_from(entry->d_name), &d->number))
            continue; /* "." and ".." */
        ssize_t n = readlinkat(fd, entry->d_name, d->target, sizeof(d->target) - 1);
        if (n < 0 && errno == ENOENT)
            continue;
        if (n < 0)
            return err_set(e, errno, "read descriptor %s", entry->d_name);
        fstatat(fd, entry->d_name, &d->leads_to, 0);
        d->target[n] = '\0';
        if (++c->descriptor_count == DESCRIPTORS_MAX)
            return err_say(e, EPERM, "%d descriptors are open", DESCRIPTORS_MAX);
    }
    return errno ? err_set(e, errno, "list descriptors") : 0;
}

static int look(struct check *c, struct err *e)
{
    for (unsigned i = 0; i < TEXTS; i++)
        if ((c->text_fds[i] = openat(c->proc_fd, text_files[i], O_RDONLY | O_CLOEXEC)) < 0 && errno != ENOENT)
            return err_set(e, errno, "open '%s'", text_files[i]);
    for (unsigned i = 0; i < NAMESPACES; i++) {
        char theirs[32];
        fmt_to(theirs, sizeof(theirs), "ns/%s", namespaces[i]);
        if (fstatat(c->proc_fd, theirs, &c->namespaces[i], 0) < 0)
            return err_set(e, errno, "look at the %s namespace", namespaces[i]);
    }
    return look_at_descriptors(c, e);
}

static ssize_t read_text(const struct check *c, enum text which, char *out, size_t cap, struct err *e)
{
    ssize_t n = fd_read_full(c->text_fds[which], out, cap - 1);
    if (n < 0)
        return err_set(e, (int)-n, "read '%s'", text_files[which]);
    if ((size_t)n == cap - 1)
        return err_say(e, EPERM, "'%s' is longer than %zu bytes", text_files[which], cap - 1);
    out[n] = '\0';
    return n;
}

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
    ssize_t n = read_text(c, TEXT_STATUS, status, sizeof(status), e);
    if (n < 0)
        return (int)n;
    unsigned id = c->plan.idmap.entries[c->plan.idmap.count - 1].outside;
    fmt_to(ids, sizeof(ids), "%u\t%u\t%u\t%u", id, id, id, id);
    const struct {
        const char *name, *wanted;
    } fields[] = {{"Uid", ids},     {"Gid", ids},     {"Groups", ""},   {"NoNewPrivs", "1"}, {"Seccomp", "2"},
                  {"CapInh", caps}, {"CapPrm", caps}, {"CapEff", caps}, {"CapBnd", caps},    {"CapAmb", caps}};
    int r = 0;
    bool keeps_groups = c->base->code_owner == 0; /* the plan's PLAN_KEEP_GROUPS */
    for (unsigned i = 0; i < sizeof(fields) / sizeof(fields[0]) && r == 0; i++)
        if (!keeps_groups || strcmp(fields[i].name, "Groups") != 0)
            r = expect_field(status, fields[i].name, fields[i].wanted, e);
    return r;
}

/* ---- namespaces ---- */

static int check_namespaces(const struct check *c, struct err *e)
{
    for (unsigned i = 0; i < NAMESPACES; i++) {
        const char *kind = namespaces[i];
        const struct stat *theirs = &c->namespaces[i];
        char path[40];
        struct stat ours;
        fmt_to(path, sizeof(path), "/proc/self/ns/%s", kind);
        if (stat(path, &ours) < 0)
            return err_set(e, errno, "look at '%s'", path);
        bool is_net = strcmp(kind, "net") == 0;
        bool shared = (is_net && c->spec->network_host) ||
                      (strcmp(kind, "cgroup") == 0 && !c->base->features.found[FEATURE_CGROUPNS]);
        if (is_net && c->spec->network_egress && theirs->st_ino != c->spec->network_inode)
            return err_say(e, EPERM, "the network namespace is not the one that was made for it");
        if ((theirs->st_ino == ours.st_ino && theirs->st_dev == ours.st_dev) != shared)
            return err_say(e, EPERM, "the %s namespace is %s", kind,
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
        } else if (s->op == STEP_NODE && same) { /* where none may be made: the host's, bound (child_files.c) */
            *ret_bits = CHILD_NODE_ATTRIBUTES;
            found = true;
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
    ssize_t n = read_text(c, TEXT_MOUNTS, text, MOUNTINFO_MAX, e);
    if (n < 0)
        return (int)n;
    struct str seen[MOUNTS_SEEN_MAX] = {0}, rest = str_from(text);
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

static bool is_pty(const struct descriptor *d)
{
    unsigned device = major(d->leads_to.st_rdev);
    return S_ISCHR(d->leads_to.st_mode) && device >= PTS_MAJOR_FIRST && device <= PTS_MAJOR_LAST;
}

/* Init makes pipes and sockets of its own as soon as it runs, so above the planned ones only what has no name in a file system may be open. */
static bool fd_is_fine(const struct check *c, const struct descriptor *d)
{
    bool socket = strncmp(d->target, "socket:", 7) == 0, pipe = strncmp(d->target, "pipe:", 5) == 0;
    switch (d->number) {
    case 0:
        return strcmp(d->target, "/dev/null") == 0;
    case 1:
    case 2:
        return pipe;
    case INIT_FD_CONTROL:
        return socket;
    case INIT_FD_WORKER:
        if (c->spec->worker == SANDBOX_WORKER_PTY)
            return is_pty(d);
        if (c->spec->worker == SANDBOX_WORKER_SOCKET)
            return socket;
        break;
    default:
        break;
    }
    return d->target[0] != '/' && d->target[0] != '(';
}

static int check_fds(const struct check *c, struct err *e)
{
    unsigned seen = 0;
    for (unsigned i = 0; i < c->descriptor_count; i++) {
        const struct descriptor *d = &c->descriptors[i];
        if (!fd_is_fine(c, d))
            return err_say(e, EPERM, "descriptor %llu is '%s'", (unsigned long long)d->number, d->target);
        if (d->number <= INIT_FD_WORKER)
            seen |= 1u << d->number;
    }
    const unsigned first_four = 0xf;
    return (seen & first_four) == first_four ? 0 : err_say(e, EPERM, "descriptors 0 to 3 are not all open");
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
    ssize_t n = read_text(c, TEXT_TCP, text, sizeof(text), e);
    if (n < 0)
        return (int)n;
    return strstr(text, wanted) ? 0 : err_say(e, EPERM, "nobody listens on 127.0.0.1:%d", SANDBOX_LISTENER_PORT);
}

/* ---- groups ---- */

static int check_groups(const struct check *c, struct err *e)
{
    char text[STATUS_MAX];
    ssize_t n = read_text(c, TEXT_GROUPS, text, sizeof(text), e);
    return n < 0 ? (int)n : cgroup_verify_member(c->sandbox->group, c->sandbox->pid, text, e);
}

/* ---- all of it ---- */

/* Behind helper_give_up_power: this process is an ordinary user without capabilities. */
static int judge(struct check *c, struct err *e)
{
    static int (*const checks[])(const struct check *, struct err *) = {check_status, check_namespaces, check_mounts,
                                                                        check_fds,    check_listener,   check_groups};
    const struct plan_input in = {
        .base = &c->base->plan, .features = &c->base->features, .spec = c->spec, .code_owner = c->base->code_owner};
    int r = plan_build_sandbox(&c->plan, &in, e);
    for (unsigned i = 0; i < sizeof(checks) / sizeof(checks[0]) && r == 0; i++)
        r = checks[i](c, e);
    return r;
}

static void answer(void *owner, int out)
{
    struct check *c = owner;
    struct err e;
    int r = look(c, &e);
    if (r == 0)
        r = helper_give_up_power(c->base->code_owner, &e);
    if (r == 0)
        r = judge(c, &e);
    if (r == 0)
        e.code = 0;
    fd_write_full(out, &e, sizeof(e));
}

int sandbox_verify(const struct sandbox_base *b, const struct sandbox_spec *spec, const struct sandbox *s,
                   struct err *e)
{
    struct helper h = {.what = "the child that looks at a sandbox"};
    struct check c = {.base = b, .spec = spec, .sandbox = s};
    struct err said;
    char path[32];
    fmt_to(path, sizeof(path), "/proc/%d", s->pid);
    scoped_fd proc = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (proc < 0)
        return err_set(e, errno, "open '%s'", path);
    c.proc_fd = proc;
    int r = helper_start(&h, TIMEOUT_MS, answer, &c, e);
    if (r < 0)
        return r;
    r = helper_read(&h, &said, sizeof(said), e);
    helper_end(&h);
    if (pidfd_is_dead(s->pidfd)) /* then what was read says nothing */
        return err_say(e, ESRCH, "the sandbox ended while it was being checked");
    if (r < 0 || said.code == 0)
        return r;
    said.text[sizeof(said.text) - 1] = '\0';
    said.code = said.code > 0 ? said.code : EPROTO;
    *e = said;
    return err_wrap(e, "the sandbox is not what was planned");
}
