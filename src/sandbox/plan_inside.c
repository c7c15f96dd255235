/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rest of a sandbox's plan, from the moment when it has no power over the host any more: its files, and what it gives up of the power over itself. The child plans it by
 * itself, in memory that was made ready before the clone (plan_begin): a mistake here is a mistake of the sandbox's own.
 */
#include "sandbox/plan.h"

#include "base/fmt.h"

#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

enum {
    TMP_BYTES_MIN = 4096,
    TMP_INODES_MIN = 1024,
    TMP_INODES_MAX = 65536,
    TMP_BYTES_PER_INODE = 4096,
    PAGE_BYTES = 4096,
};

bool plan_is_mount(enum step_op op)
{
    return op == STEP_TMPFS || op == STEP_PROC || op == STEP_BIND || op == STEP_REBIND || op == STEP_ATTACH ||
           op == STEP_SLOT;
}

bool plan_makes_path(enum step_op op)
{
    return op == STEP_DIR || op == STEP_FILE || op == STEP_POINT || op == STEP_TEXT || op == STEP_COPY ||
           op == STEP_SYMLINK || op == STEP_NODE || op == STEP_SECRET;
}

bool plan_makes(const struct plan *p, const char *path)
{
    for (unsigned i = 0; i < p->count; i++)
        if (plan_makes_path(p->steps[i].op) && strcmp(p->steps[i].path, path) == 0)
            return true;
    return false;
}

struct builder {
    struct plan *plan;
    const struct plan *base;
    const struct feature_set *features;
    const struct sandbox_spec *spec;
    const char *prefix; /* of the runtime, when the base tree doesn't show it already; else NULL */
    bool private_root;  /* there are grants, or a prefix: their mount points need a root that can be written to */
};

/* A long-lived process answers requests, rather than one program each. */
static bool has_worker(const struct sandbox_spec *spec)
{
    return spec->worker == SANDBOX_WORKER_SOCKET || spec->worker == SANDBOX_WORKER_LISTENER;
}

/* What needs a mount point of its own: the runtime's prefix, then the grants. */
struct target {
    const char *path;
    unsigned slot;
};

static unsigned target_count(const struct builder *b)
{
    return (b->prefix ? 1 : 0) + b->spec->mount_count + b->spec->device_count;
}

static struct target target_at(const struct builder *b, unsigned index)
{
    const struct sandbox_spec *spec = b->spec;
    if (b->prefix && index-- == 0)
        return (struct target){b->prefix, SLOT_RUNTIME};
    if (index < spec->mount_count)
        return (struct target){spec->mounts[index].target, SLOT_MOUNTS + index};
    index -= spec->mount_count;
    return (struct target){spec->devices[index], SLOT_DEVICES + index};
}

/* A directory of the base tree that has to be taken apart, because a grant's mount point goes somewhere beneath it. */
static bool is_taken_apart(const struct builder *b, const char *path)
{
    if (strcmp(path, "/var/task") == 0 || plan_covers(b->base, path))
        return false;
    for (unsigned i = 0; i < target_count(b); i++)
        if (plan_is_above(path, target_at(b, i).path))
            return true;
    return false;
}

static bool parent_is_taken_apart(const struct builder *b, const char *path)
{
    char parent[SETTINGS_PATH_MAX];
    fmt_to(parent, sizeof(parent), "%s", path);
    *strrchr(parent, '/') = '\0';
    return parent[0] == '\0' || is_taken_apart(b, parent);
}

/* What the base tree has at `s->path`, made again in the private root: plain directories that grants reach into by name, all else by a bind. */
static void remake(const struct builder *b, const struct step *s)
{
    static const char why[] = "as in the base tree";
    struct plan *p = b->plan;
    if (!plan_makes_path(s->op) || !parent_is_taken_apart(b, s->path))
        return;
    if (s->op == STEP_SYMLINK) {
        plan_add(p, STEP_SYMLINK, s->path, why)->value = s->value;
        return;
    }
    plan_add(p, s->op == STEP_DIR ? STEP_DIR : STEP_FILE, s->path, why);
    bool own = strcmp(s->path, "/tmp") == 0 || strcmp(s->path, "/proc") == 0; /* mounted for each sandbox */
    if (!own && !(s->op == STEP_DIR && is_taken_apart(b, s->path)))
        plan_add(p, STEP_REBIND, s->path, why);
}

static void add_target_point(const struct builder *b, unsigned index)
{
    static const char why[] = "a mount point for what is granted or needed";
    struct target t = target_at(b, index);
    for (const char *slash = strchr(t.path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        const char *dir = plan_text(b->plan, "%.*s", (int)(slash - t.path), t.path);
        if (plan_covers(b->base, dir) || strcmp(dir, "/var/task") == 0 || (b->prefix && strcmp(dir, b->prefix) == 0))
            return; /* inside what is bound: the point must be there already */
        if (!plan_makes(b->plan, dir))
            plan_add(b->plan, STEP_DIR, dir, why);
    }
    if (!plan_makes(b->plan, t.path))
        plan_add(b->plan, STEP_POINT, t.path, why)->slot = t.slot;
}

static void add_private_root(const struct builder *b)
{
    struct step *s = plan_add(b->plan, STEP_TMPFS, "", "a root of its own, where further mount points can be made");
    s->number = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
    s->value = "size=1m,nr_inodes=1k,mode=755";
    plan_add(b->plan, STEP_CHDIR, "", "to pivot to it later");
    for (unsigned i = 0; i < b->base->count; i++)
        remake(b, &b->base->steps[i]);
    for (unsigned i = 0; i < target_count(b); i++)
        add_target_point(b, i);
}

static void add_attach(const struct builder *b, unsigned slot, const char *path, const char *from, const char *reason)
{
    struct step *s = plan_add(b->plan, STEP_ATTACH, path, reason);
    s->slot = slot;
    s->value = from;
    s->number = plan_attributes(b->spec, slot);
}

static void add_code(const struct builder *b)
{
    struct plan *p = b->plan;
    if (plan_is_function(b->spec)) {
        add_attach(b, SLOT_CODE, "/var/task", "the version's directory",
                   "the function's code; no request can change it");
        if (b->spec->layer_count)
            add_attach(b, SLOT_LAYERS, "/opt", "the tree of its layers", "made once for all who have the same layers");
        return;
    }
    for (unsigned i = 0; i < b->spec->layer_count; i++)
        add_attach(b, SLOT_LAYERS + i, plan_text(p, "/layers/%u", i), "a layer's tree", "one of those to be merged");
    if (b->spec->kind == SANDBOX_UNPACK)
        add_attach(b, SLOT_CODE, "/staging", "the staging directory", "the one place the archive may write to");
    else
        add_attach(b, SLOT_CODE, "/trash", "the trash directory", "the one place to delete from");
    add_attach(b, SLOT_SELF, "/faasd", "the faasd program", "the program that does it");
}

/* Before the grants, which may lie inside. */
static void add_runtime(const struct builder *b)
{
    if (b->prefix)
        add_attach(b, SLOT_RUNTIME, b->prefix, b->prefix, "the function's interpreter, outside of what all see");
}

static void add_grants(const struct builder *b)
{
    static const char why[] = "granted by the configuration";
    const struct sandbox_spec *spec = b->spec;
    for (unsigned i = 0; i < spec->mount_count; i++)
        add_attach(b, SLOT_MOUNTS + i, spec->mounts[i].target, spec->mounts[i].source, why);
    for (unsigned i = 0; i < spec->device_count; i++)
        add_attach(b, SLOT_DEVICES + i, spec->devices[i], spec->devices[i], why);
}

static void add_tmp(const struct builder *b, const char *path, const char *reason)
{
    uint64_t bytes =
        b->spec->tmp_bytes < TMP_BYTES_MIN ? TMP_BYTES_MIN : b->spec->tmp_bytes; /* size=0 would mean no limit */
    uint64_t inodes = bytes / TMP_BYTES_PER_INODE;
    inodes = inodes < TMP_INODES_MIN ? TMP_INODES_MIN : inodes > TMP_INODES_MAX ? TMP_INODES_MAX : inodes;
    struct step *s = plan_add(b->plan, STEP_TMPFS, path, reason);
    s->number = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | (b->spec->tmp_exec ? 0 : MOUNT_ATTR_NOEXEC);
    /* Root's, so that a program cannot leave its mode or an attribute of /tmp itself to the next request. */
    s->value = plan_text(b->plan, "size=%llu,nr_inodes=%llu,mode=1777,uid=0,gid=0", (unsigned long long)bytes,
                         (unsigned long long)inodes);
}

/* Copies of the root as it is by now, each with a /tmp of its own: 20 us apiece for the copy and as much for the tmpfs. */
static void add_slots(const struct builder *b)
{
    struct plan *p = b->plan;
    if (b->spec->slots == 0)
        return;
    plan_add(p, STEP_CLONE_ROOT, "/", "before /tmp and before the first is attached: none holds another's")->number =
        b->spec->slots;
    for (unsigned i = 0; i < b->spec->slots; i++) {
        struct step *s = plan_add(p, STEP_SLOT, plan_text(p, "/run/slots/%u", i), "the root of one child at a time");
        s->slot = i;
        s->number = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
        add_tmp(b, plan_text(p, "/run/slots/%u/tmp", i), "its own, emptied by the next child; charged to who writes");
    }
}

/* In memory of the sandbox's own: the child writes them when it is in its cgroup, so they are charged to its limit, and never swapped as nothing of it is. */
static void add_secrets(const struct builder *b)
{
    static const char where[] = "/run/secrets";
    const struct sandbox_spec *spec = b->spec;
    struct plan *p = b->plan;
    uint64_t bytes = PAGE_BYTES;
    if (spec->secret_count == 0)
        return;
    for (unsigned i = 0; i < spec->secret_count; i++)
        bytes += (spec->secrets[i].size + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
    struct step *s = plan_add(p, STEP_TMPFS, where, "what the function was granted, gone with the sandbox");
    s->number = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
    s->value =
        plan_text(p, "size=%llu,nr_inodes=%u,mode=755,uid=0,gid=0", (unsigned long long)bytes, spec->secret_count + 1);
    for (unsigned i = 0; i < spec->secret_count; i++)
        plan_add(p, STEP_SECRET, plan_text(p, "%s/%s", where, spec->secrets[i].file),
                 "opened by the supervisor, which has forgotten it by now; its id's alone (0400)")
            ->slot = i;
    plan_add(p, STEP_ATTRIBUTES, where, "no request leaves something there for the next")->number = MOUNT_ATTR_RDONLY;
}

/* Scripts written for Lambda's images begin with #!/bin/sh and expect the bash that Amazon Linux has there; the documentation's own bootstrap does. */
static void add_shell(const struct builder *b)
{
    char name[32];
    ssize_t n = readlink("/usr/bin/sh", name, sizeof(name));
    if (b->spec->worker != SANDBOX_WORKER_LISTENER || n <= 0 || (size_t)n == sizeof(name) ||
        memchr(name, '/', (size_t)n) || access("/usr/bin/bash", X_OK) < 0)
        return;
    const char *sh = plan_text(b->plan, "/usr/bin/%.*s", (int)n, name);
    if (strcmp(sh, "/usr/bin/bash") == 0)
        return;
    struct step *s = plan_add(b->plan, STEP_BIND, sh, "what /bin/sh leads to is bash, as on Amazon Linux");
    s->value = "/usr/bin/bash";
    s->number = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
}

static void add_listener(const struct builder *b)
{
    if (b->spec->worker != SANDBOX_WORKER_LISTENER)
        return;
    struct step *s = plan_add(b->plan, STEP_LISTEN, NULL,
                              "the Runtime API, which the gateway serves: nothing of its listens on the host");
    s->slot = SLOT_WORKER;
    s->number = SANDBOX_LISTENER_PORT;
}

static void add_mounts(const struct builder *b)
{
    struct plan *p = b->plan;
    if (b->private_root)
        add_private_root(b);
    if (b->features->found[FEATURE_PROC_SUBSET] && !b->spec->strict)
        plan_add(p, STEP_PROC, "/proc",
                 "its own processes and nothing of the kernel's (subset=pid: no list of masked paths to get wrong)")
            ->number = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
    add_code(b);
    add_runtime(b);
    add_grants(b);
    add_secrets(b);
    if (b->spec->network_host)
        add_attach(b, SLOT_RESOLV, "/etc/resolv.conf", "/etc/resolv.conf", "names resolve as on the host");
    if (b->private_root) {
        plan_add(p, STEP_PIVOT, NULL, "the base tree under it is let go");
        plan_add(p, STEP_ATTRIBUTES, "/", "nothing is written outside /tmp and writable grants")->number =
            MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
    }
    if (b->spec->network_egress) {
        struct step *s = plan_add(p, STEP_BIND, "/etc/resolv.conf", "faasd's resolver, which knows what is allowed");
        s->value = "/etc/resolv.egress";
        s->number = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
    }
    add_shell(b);
    add_slots(b);
    add_tmp(b, "/tmp", "private, sized (else ENOSPC would come as an out-of-memory kill), gone with the sandbox");
    plan_add(p, STEP_CHECK_ROOT, NULL, "a working directory outside of the root would be a way out");
}

static void allow(struct plan *p, const char *path, unsigned rights)
{
    p->landlock[p->landlock_count++] = (struct landlock_path){.path = path, .rights = rights};
}

static void add_surrender(const struct builder *b)
{
    struct plan *p = b->plan;
    bool template = b->spec->slots > 0;
    if (p->inside_id != 0)
        plan_add(p, STEP_BECOME, NULL, "the instance's own id")->number = p->inside_id;
    plan_add(p, STEP_DROP_CAPS, NULL,
             template ? "one left, in its own user namespace and for the worker too: each child moves into its root"
                      : "none left")
        ->number = template ? PLAN_KEEP_CHROOT : 0;
    plan_add(p, STEP_KEYRING, NULL,
             "keyrings belong to no namespace; after the id change, so that it is charged to the instance");
    plan_add(p, STEP_DEATH_SIGNAL, NULL, "dies with the supervisor; a change of ids clears the setting, so after them");
    plan_add(p, STEP_NO_NEW_PRIVS, NULL, "set-id files are without effect, and the filter may be loaded");
    plan_add(p, STEP_STDIO, NULL,
             "0 /dev/null, 1 and 2 the log, 3 control, 4 the worker's socket or terminal, nothing else");
    plan_add(
        p, STEP_LANDLOCK, NULL,
        "a second layer: reads and executes anywhere, writes to /tmp, /dev and writable grants, signals only inside");
    p->deny_tcp = b->spec->strict;
    allow(p, "/", LANDLOCK_RIGHT_READ | LANDLOCK_RIGHT_EXECUTE);
    allow(p, "/tmp", LANDLOCK_RIGHT_READ | LANDLOCK_RIGHT_WRITE);
    allow(p, "/dev", LANDLOCK_RIGHT_READ | LANDLOCK_RIGHT_WRITE);
    for (unsigned i = 0; i < b->spec->slots; i++)
        allow(p, plan_text(p, "/run/slots/%u/tmp", i), LANDLOCK_RIGHT_READ | LANDLOCK_RIGHT_WRITE);
    for (unsigned i = 0; i < b->spec->mount_count; i++)
        if (b->spec->mounts[i].writable)
            allow(p, b->spec->mounts[i].target, LANDLOCK_RIGHT_READ | LANDLOCK_RIGHT_WRITE);
    if (!plan_is_function(b->spec))
        allow(p, b->spec->kind == SANDBOX_UNPACK ? "/staging" : "/trash", LANDLOCK_RIGHT_READ | LANDLOCK_RIGHT_WRITE);
    if (b->spec->worker == SANDBOX_WORKER_PTY)
        allow(p, "/proc/self/fd/4",
              LANDLOCK_RIGHT_READ | LANDLOCK_RIGHT_WRITE); /* `> /dev/stderr` opens the terminal anew */
    plan_add(p, STEP_SECCOMP, NULL, "last, as it takes away what the steps before it need");
    plan_add(p, STEP_EXEC_INIT, NULL,
             "pid 1: a tiny program from a sealed memory file, no way back to the host's (CVE-2019-5736)")
        ->value = has_worker(b->spec) ? "worker" : NULL;
}

int plan_go_on(struct plan *p, const struct plan_input *in, struct err *e)
{
    struct builder b = {.plan = p,
                        .base = in->base,
                        .features = in->features,
                        .spec = in->spec,
                        .prefix = plan_prefix(in->base, in->spec)};
    int r = plan_check(in->base, in->spec, e);
    if (r < 0)
        return r;
    b.private_root = target_count(&b) > 0;
    p->root = b.private_root ? "/tmp" : "";
    add_listener(&b);
    add_mounts(&b);
    add_surrender(&b);
    return plan_finish(p, e);
}

int plan_build_sandbox(struct plan *p, const struct plan_input *in, struct err *e)
{
    int r = plan_begin(p, in, e);
    if (r < 0)
        return r;
    r = plan_go_on(p, in, e);
    if (r < 0)
        plan_fini(p);
    return r;
}
