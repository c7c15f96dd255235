/* SPDX-License-Identifier: Apache-2.0 */
/* Plans as text: the same steps that child.c executes, one a line. */
#include "base/fmt.h"
#include "sandbox/child.h"
#include "sandbox/identity.h"
#include "sandbox/plan.h"

#include "os/rlimit.h"

#include <sched.h>
#include <string.h>
#include <sys/mount.h>

enum { DETAIL_MAX = 400, DETAIL_COLUMN = 48 };

struct bit_name {
    uint64_t bit;
    const char *name;
};

static const struct bit_name attribute_names[] = {{MOUNT_ATTR_RDONLY, "ro"},
                                                  {MOUNT_ATTR_NOSUID, "nosuid"},
                                                  {MOUNT_ATTR_NODEV, "nodev"},
                                                  {MOUNT_ATTR_NOEXEC, "noexec"},
                                                  {0, NULL}};
static const struct bit_name namespace_names[] = {
    {CLONE_NEWIPC, "ipc"}, {CLONE_NEWUTS, "uts"}, {CLONE_NEWCGROUP, "cgroup"}, {0, NULL}};

static size_t add_bits(char *out, size_t n, const struct bit_name *names, uint64_t bits)
{
    const char *gap = "";
    for (; names->name; names++) {
        if (!(bits & names->bit))
            continue;
        n = fmt_at(out, DETAIL_MAX, n, "%s%s", gap, names->name);
        gap = ",";
    }
    return n;
}

/* What the step acts on, without its reason. */
static void describe(const struct step *s, char out[DETAIL_MAX])
{
    unsigned long long number = s->number;
    const char *path = s->path && s->path[0] ? s->path : "/";
    size_t n = 0;
    out[0] = '\0';
    switch (s->op) {
    case STEP_BECOME:
        fmt_to(out, DETAIL_MAX, "uid %llu gid %llu", number, number);
        return;
    case STEP_HOSTNAME:
        fmt_to(out, DETAIL_MAX, "%s", s->value);
        return;
    case STEP_WRITE:
        fmt_to(out, DETAIL_MAX, "%s = %s", path, s->value);
        return;
    case STEP_RLIMIT:
        fmt_to(out, DETAIL_MAX, "%s %llu", rlimit_name((int)s->slot), number);
        return;
    case STEP_UNSHARE:
        add_bits(out, 0, namespace_names, s->number);
        return;
    case STEP_LISTEN:
        fmt_to(out, DETAIL_MAX, "127.0.0.1:%llu", number);
        return;
    case STEP_CLONE_ROOT:
        fmt_to(out, DETAIL_MAX, "%s %llu times", path, number);
        return;
    case STEP_DROP_BOUNDING:
    case STEP_DROP_CAPS:
        fmt_to(out, DETAIL_MAX, "%s", number == PLAN_KEEP_CHROOT ? "all but sys_chroot" : "all");
        return;
    case STEP_EXEC_INIT:
        fmt_to(out, DETAIL_MAX, "init%s%s", s->value ? " " : "", s->value ? s->value : "");
        return;
    case STEP_TMPFS:
    case STEP_PROC:
    case STEP_ATTRIBUTES:
    case STEP_SLOT:
        n = fmt_to(out, DETAIL_MAX, "%s ", path);
        n = add_bits(out, n, attribute_names, s->number);
        if (s->value)
            fmt_at(out, DETAIL_MAX, n, " %s", s->value);
        return;
    case STEP_BIND:
    case STEP_ATTACH:
        n = fmt_to(out, DETAIL_MAX, "%s from %s ", path, s->value);
        add_bits(out, n, attribute_names, s->number);
        return;
    case STEP_SYMLINK:
        fmt_to(out, DETAIL_MAX, "%s -> %s", path, s->value);
        return;
    case STEP_TEXT:
        fmt_to(out, DETAIL_MAX, "%s (%llu bytes)", path, number);
        return;
    default:
        if (s->path)
            fmt_to(out, DETAIL_MAX, "%s", path);
    }
}

static int print_steps(const struct plan *p, struct buf *out)
{
    int r = 0;
    for (unsigned i = 0; i < p->count && r == 0; i++) {
        const struct step *s = &p->steps[i];
        char detail[DETAIL_MAX];
        describe(s, detail);
        r = buf_addf(out, "%3u  %-14s %-*s  # %s\n", i + 1, step_name(s->op), DETAIL_COLUMN, detail, s->reason);
    }
    return r;
}

/* The parent's half has no steps: it is the same for all sandboxes (spawn.c). */
static int print_parent(const struct plan *p, const struct feature_set *f, const struct sandbox_spec *spec,
                        struct buf *out)
{
    const struct cgroup_limits *l = &spec->limits;
    char maps[IDMAP_TEXT_MAX];
    idmap_format(&p->idmap, maps);
    for (char *c = maps; *c; c++)
        if (*c == '\n')
            *c = c[1] ? ';' : '\0';
    int r = buf_addf(
        out,
        "  -  %-14s %s: memory %llu bytes and no swap, %u pids, %u/1000 cpus (0: no quota), weight %u, cpuset %s\n",
        "cgroup", spec->name, (unsigned long long)l->memory_bytes, l->pids, l->cpus_milli, l->cpu_weight,
        l->cpuset && l->cpuset[0] ? l->cpuset : "any");
    if (r == 0)
        r = buf_addf(out, "  -  %-14s user,mnt,pid of the base tree%s%s\n", "clone3",
                     spec->network_host     ? ""
                     : spec->network_egress ? ", in the network that was made for it, with its way out"
                                            : ", in an empty network where one was made ahead",
                     f->found[FEATURE_CLONE_INTO_CGROUP] ? ", into its cgroup" : "");
    if (r == 0)
        r = buf_addf(out, "  -  %-14s inside outside count: %s\n", "id maps", maps);
    if (r == 0)
        r = buf_addf(out, "  -  %-14s 1000\n", "oom_score_adj");
    return r;
}

int sandbox_print_plan(const struct config *c, const struct feature_set *features, const struct sandbox_spec *spec,
                       struct buf *out, struct err *e)
{
    struct plan base, plan;
    int r = plan_build_base(&base, c, "", e);
    if (r < 0)
        return r;
    const struct plan_input in = {
        .base = &base, .features = features, .spec = spec, .code_owner = identity_code_owner(c)};
    r = plan_build_sandbox(&plan, &in, e);
    if (r < 0) {
        plan_fini(&base);
        return r;
    }
    r = buf_add_text(out, "base tree, built once and shared by all sandboxes\n");
    if (r == 0)
        r = print_steps(&base, out);
    if (r == 0)
        r = buf_add_text(out, "sandbox, the supervisor's half\n");
    if (r == 0)
        r = print_parent(&plan, features, spec, out);
    if (r == 0)
        r = buf_add_text(out, "sandbox, between clone and exec\n");
    if (r == 0)
        r = print_steps(&plan, out);
    plan_fini(&plan);
    plan_fini(&base);
    return r < 0 ? err_set(e, -r, "print the plan") : 0;
}
