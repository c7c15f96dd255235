/* SPDX-License-Identifier: Apache-2.0 */
/* The plan of the base tree: the host's programs read-only, a synthetic /etc, a minimal /dev, and empty places to mount on. */
#include "base/fdio.h"
#include "base/fmt.h"
#include "init_image.h"
#include "runtime_files.h"
#include "sandbox/plan.h"

#include <glob.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

/* A copy of a file is memory that all sandboxes share, a bind is one more mount that each start copies (1 us). */
enum { COPY_BYTES_MAX = 1024 * 1024, MATCHES_MAX = 256, STEPS_MAX = 256 /* without `etc` */ };

static const uint64_t host_tree = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;

static void add_dirs(struct plan *p)
{
    static const struct {
        const char *path, *reason;
    } dirs[] = {
        {"/layers", "holds the trees that are merged"},
        {"/proc", "for the sandbox's own"},
        {"/tmp", "for the sandbox's own"},
        {"/dev", "a few harmless devices"},
        {"/etc", "what programs look up, little of it the host's"},
        {"/home", "empty"},
        {"/home/faas", "empty"},
        {"/opt", "empty: where programs look for layers"},
        {"/run", "holds the next"},
        {"/run/secrets", "for the sandbox's own"},
        {"/run/slots", "the roots of a template's children"},
        {"/staging", "where unpackers write"},
        {"/trash", "where deleters delete"},
        {"/var", "holds the next"},
        {"/var/runtime", "the bootstraps of runtimes"},
        {"/var/runtime/node", "the bootstrap of Node functions"},
        {"/var/runtime/python", "the bootstrap of Python functions"},
        {"/var/task", "the function's code"},
    };
    for (unsigned i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
        plan_add(p, STEP_DIR, dirs[i].path, dirs[i].reason);
    plan_add(p, STEP_SYMLINK, "/var/tmp", "one temporary directory, one limit")->value = "/tmp";
    plan_add(p, STEP_SYMLINK, "/var/run", "as everywhere")->value = "/run";
    plan_add(p, STEP_FILE, "/faasd", "the program of unpackers and deleters");
    for (unsigned i = 0; i < SANDBOX_LAYERS_MAX; i++)
        plan_add(p, STEP_DIR, plan_text(p, "/layers/%u", i), "a place to mount one");
    for (unsigned i = 0; i < SANDBOX_SLOTS_MAX; i++)
        plan_add(p, STEP_DIR, plan_text(p, "/run/slots/%u", i), "a place to mount one");
}

static void add_bind(struct plan *p, const char *path, const char *reason)
{
    plan_add(p, STEP_DIR, path, reason);
    struct step *s = plan_add(p, STEP_BIND, path, reason);
    s->value = path;
    s->number = host_tree;
}

/* A link of the host, kept as it is. */
static void add_link(struct plan *p, const char *path, const char *reason)
{
    char target[SETTINGS_PATH_MAX];
    ssize_t n = readlink(path, target, sizeof(target) - 1);
    p->is_short = p->is_short || n < 0;
    if (n > 0)
        plan_add(p, STEP_SYMLINK, path, reason)->value = plan_text(p, "%.*s", (int)n, target);
}

static void add_programs(struct plan *p)
{
    static const char *const top[] = {"/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"};
    add_bind(p, "/usr", "the host's programs and libraries, read-only");
    for (unsigned i = 0; i < sizeof(top) / sizeof(top[0]); i++) {
        struct stat st;
        if (lstat(top[i], &st) < 0)
            p->is_short = p->is_short || errno != ENOENT;
        else if (S_ISLNK(st.st_mode))
            add_link(p, top[i], "as on the host");
        else if (S_ISDIR(st.st_mode))
            add_bind(p, top[i], "the host's programs and libraries, read-only");
    }
}

static void add_text(struct plan *p, const char *path, const unsigned char *bytes, size_t n, const char *reason)
{
    struct step *s = plan_add(p, STEP_TEXT, path, reason);
    s->value = (const char *)bytes;
    s->number = n;
}

/* By which AWS's SDKs read a role's credentials in functions of runtime provided: gateway/role.h. */
static void add_aws_config(struct plan *p)
{
    static const unsigned char text[] =
        "[default]\ncredential_process = /usr/bin/cat /run/secrets/aws-role-credentials\n";
    add_text(p, "/var/runtime/aws-config", text, sizeof(text) - 1, "how SDKs find a role's credentials");
}

static void add_synthetic_etc(struct plan *p, const struct config *c)
{
    add_text(p, "/etc/passwd", etc_passwd, sizeof(etc_passwd), "the two ids that exist inside");
    add_text(p, "/etc/group", etc_group, sizeof(etc_group), "their groups");
    add_text(p, "/etc/hosts", etc_hosts, sizeof(etc_hosts), "localhost");
    add_text(p, "/etc/nsswitch.conf", etc_nsswitch, sizeof(etc_nsswitch), "files first, no daemons");
    add_text(p, "/etc/resolv.conf", etc_resolv, sizeof(etc_resolv), "no name server of the host's");
    if (!c->egress.range[0]) /* no configuration that was read: nobody leaves by it */
        return;
    uint32_t a = config_egress_gateway(c);
    const char *text = plan_text(p, "nameserver %u.%u.%u.%u\noptions timeout:3 attempts:2\n", a >> 24, a >> 16 & 255,
                                 a >> 8 & 255, a & 255);
    add_text(p, "/etc/resolv.egress", (const unsigned char *)text, strlen(text), "the same with network egress");
}

/* Directories on the way to `path` that are not there yet. */
static void add_parents(struct plan *p, const char *path, const char *reason)
{
    for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        const char *dir = plan_text(p, "%.*s", (int)(slash - path), path);
        if (!plan_makes(p, dir))
            plan_add(p, STEP_DIR, dir, reason);
    }
}

/* Plain files in the tree's own memory, once for all sandboxes: another mount would cost each start. */
static void add_runtimes(struct plan *p)
{
    static const char reason[] = "between a runtime and the frames of faasd";
    for (unsigned i = 0; runtime_files[i].path; i++) {
        add_parents(p, runtime_files[i].path, reason);
        add_text(p, runtime_files[i].path, runtime_files[i].bytes, runtime_files[i].size, reason);
    }
}

/* One file, directory or link under /etc that the configuration names. Only what everyone may read on the host is copied, as the copy is made by root. */
static void add_etc_entry(struct plan *p, const char *path)
{
    static const char reason[] = "the configuration's `etc` list";
    struct stat st;
    if (lstat(path, &st) < 0)
        p->is_short = true; /* it was there just now */
    if (p->is_short || plan_makes(p, path) || plan_covers(p, path))
        return;
    add_parents(p, path, reason);
    const char *kept = plan_text(p, "%s", path);
    if (S_ISLNK(st.st_mode)) {
        add_link(p, kept, reason);
    } else if (S_ISDIR(st.st_mode)) {
        add_bind(p, kept, reason);
    } else if (S_ISREG(st.st_mode) && st.st_mode & S_IROTH) {
        bool small = st.st_size <= COPY_BYTES_MAX;
        if (!small)
            plan_add(p, STEP_FILE, kept, reason);
        struct step *s = plan_add(p, small ? STEP_COPY : STEP_BIND, kept, reason);
        s->value = kept;
        s->number = small ? 0 : host_tree;
    }
}

static int add_etc(struct plan *p, const struct config *c, struct err *e)
{
    for (unsigned i = 0; i < c->etc_count; i++) {
        if (c->etc[i][0] == '\0' || strstr(c->etc[i], ".."))
            return err_say(e, EINVAL, "etc entry '%s' must be a name or pattern beneath /etc", c->etc[i]);
        char pattern[SETTINGS_PATH_MAX];
        fmt_to(pattern, sizeof(pattern), "/etc/%s", c->etc[i]);
        glob_t matches;
        int r = glob(pattern, 0, NULL, &matches);
        p->is_short = p->is_short || (r != 0 && r != GLOB_NOMATCH); /* that one is absent here */
        for (size_t m = 0; r == 0 && m < matches.gl_pathc && m < MATCHES_MAX; m++)
            add_etc_entry(p, matches.gl_pathv[m]);
        if (r == 0)
            globfree(&matches);
    }
    return 0;
}

static void add_devices(struct plan *p)
{
    static const struct {
        const char *path;
        unsigned minor;
    } nodes[] = {{"/dev/null", 3}, {"/dev/zero", 5}, {"/dev/full", 7}, {"/dev/random", 8}, {"/dev/urandom", 9}};
    static const struct {
        const char *path, *target;
    } links[] = {{"/dev/fd", "/proc/self/fd"},
                 {"/dev/stdin", "/proc/self/fd/0"},
                 {"/dev/stdout", "/proc/self/fd/1"},
                 {"/dev/stderr", "/proc/self/fd/2"}};
    struct step *s = plan_add(p, STEP_TMPFS, "/dev", "the one mount with devices");
    s->number = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC;
    s->value = "size=64k,nr_inodes=64,mode=755";
    for (unsigned i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++) {
        s = plan_add(p, STEP_NODE, nodes[i].path, "no terminal, no disk, no kernel log");
        s->value = nodes[i].path;
        s->number = makedev(1, nodes[i].minor); /* Documentation/admin-guide/devices.txt: 1 is memory devices */
    }
    for (unsigned i = 0; i < sizeof(links) / sizeof(links[0]); i++)
        plan_add(p, STEP_SYMLINK, links[i].path, "what shells write to")->value = links[i].target;
}

int plan_build_base(struct plan *p, const struct config *c, const char *scratch_dir, struct err *e)
{
    plan_init(p, scratch_dir, STEPS_MAX + c->etc_count * 2 * MATCHES_MAX);
    plan_add(p, STEP_FRESH_SIGNALS, NULL, "modes as written here");
    plan_add(p, STEP_PRIVATE, NULL, "nothing mounted here shows on the host");
    struct step *s = plan_add(p, STEP_TMPFS, "", "the root of the tree");
    s->number = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
    s->value = "size=16m,nr_inodes=4k,mode=755";
    plan_add(p, STEP_CHDIR, "", "to pivot to it");
    add_dirs(p);
    add_programs(p);
    add_synthetic_etc(p, c);
    add_runtimes(p);
    add_aws_config(p);
    int r = add_etc(p, c, e);
    if (r < 0) {
        plan_fini(p);
        return r;
    }
    add_devices(p);
    plan_add(p, STEP_PROC, "/proc",
             "of a process namespace that is empty from now on: the kernel lets a sandbox mount its own only where one "
             "is visible")
        ->number = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
    plan_add(p, STEP_LEAVE_CHROOT, NULL, "a daemon started in a chroot can serve too");
    plan_add(p, STEP_PIVOT, NULL, "the tree becomes the namespace's root, and the host's files leave it");
    plan_add(p, STEP_ATTRIBUTES, "/dev", "read-only: written to through its nodes only")->number = MOUNT_ATTR_RDONLY;
    plan_add(p, STEP_ATTRIBUTES, "/", "read-only from now on")->number = MOUNT_ATTR_RDONLY;
    r = plan_finish(p, e);
    if (r < 0)
        plan_fini(p);
    return r;
}
