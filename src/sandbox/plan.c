/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What all plans are made with, and how a sandbox's begins: the steps that are taken with the host's root behind them, which is up to the first STEP_BECOME. They are few, and
 * no list or path of whoever asked for the sandbox is looked at for them. What follows is planned by the child itself when that power is gone (plan_inside.c).
 */
#include "sandbox/plan.h"

#include "base/fmt.h"

#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>

enum {
    TEXT_PER_STEP = 64,
    STEPS_MAX = 256, /* of a sandbox without grants: those of a template with all its slots and secrets are 120 */
    STEPS_OF_TARGETS =
        2560, /* mount points: as many directories as SETTINGS_PATH_MAX has room for, for each grant and a prefix */
};

void plan_init(struct plan *p, const char *root, unsigned steps_max)
{
    size_t text = (size_t)steps_max * TEXT_PER_STEP;
    *p = (struct plan){.root = root, .inside_id = PLAN_UID_INSIDE};
    p->steps = malloc(steps_max * sizeof(*p->steps) + text);
    if (!p->steps)
        return; /* no room: plan_finish tells */
    p->room = steps_max;
    p->text = (char *)(p->steps + steps_max);
    p->text_room = text;
}

void plan_fini(struct plan *p)
{
    free(p->steps);
    *p = (struct plan){.root = ""};
}

/* Without room the step lands in a spare that nobody runs: plan_finish refuses the plan. */
struct step *plan_add(struct plan *p, enum step_op op, const char *path, const char *reason)
{
    static struct step spare;
    if (p->count == p->room) {
        p->is_short = true;
        return &spare;
    }
    struct step *s = &p->steps[p->count++];
    *s = (struct step){.op = op, .path = path, .reason = reason};
    return s;
}

const char *plan_text(struct plan *p, const char *format, ...)
{
    if (p->text_room == 0)
        return "";
    char *text = p->text;
    va_list ap;
    va_start(ap, format);
    size_t n = fmt_v(text, p->text_room, format, ap) + 1;
    va_end(ap);
    p->is_short = p->is_short || n == p->text_room; /* cut off, perhaps */
    p->text += n;
    p->text_room -= n;
    return text;
}

int plan_finish(const struct plan *p, struct err *e)
{
    return p->is_short || !p->steps ? err_set(e, ENOMEM, "plan a sandbox") : 0;
}

bool plan_covers(const struct plan *p, const char *path)
{
    for (unsigned i = 0; i < p->count; i++) {
        const struct step *s = &p->steps[i];
        if (s->op == STEP_BIND && (strcmp(s->path, path) == 0 || plan_is_above(s->path, path)))
            return true;
    }
    return false;
}

bool plan_is_above(const char *dir, const char *path)
{
    size_t n = strlen(dir);
    return strncmp(dir, path, n) == 0 && path[n] == '/';
}

const char *plan_prefix(const struct plan *base, const struct sandbox_spec *spec)
{
    const char *prefix = spec->runtime_prefix;
    return prefix && prefix[0] && !plan_covers(base, prefix) ? prefix : NULL;
}

bool plan_is_function(const struct sandbox_spec *spec)
{
    return spec->kind == SANDBOX_FUNCTION || spec->kind == SANDBOX_SHELL;
}

uint64_t plan_attributes(const struct sandbox_spec *spec, unsigned slot)
{
    const uint64_t plain = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
    bool is_data = !plan_is_function(spec);
    if (slot >= SLOT_DEVICES)
        return MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC;
    if (slot >= SLOT_MOUNTS)
        return plain | (spec->mounts[slot - SLOT_MOUNTS].writable ? 0 : MOUNT_ATTR_RDONLY);
    if (slot == SLOT_CODE && is_data)
        return plain | MOUNT_ATTR_NOEXEC;
    if (slot == SLOT_RESOLV || (slot >= SLOT_LAYERS && is_data))
        return plain | MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOEXEC;
    return plain | MOUNT_ATTR_RDONLY;
}

static void add_limits(struct plan *p)
{
    static const struct {
        int resource;
        unsigned value;
        const char *reason;
    } limits[] = {
        /* 0 says nothing to a core_pattern that is a pipe; 1 is what the kernel's own helpers have, and none is started for one that has it (do_coredump). */
        {RLIMIT_CORE, 1, "no core dump, and no host helper started for one"},
        {RLIMIT_NOFILE, 1024, "open files are the kernel's memory"},
        {RLIMIT_MEMLOCK, 65536, "locked memory"},
        {RLIMIT_MSGQUEUE, 0, "POSIX message queues"},
        {RLIMIT_SIGPENDING, 256, "queued signals and timers"},
        {RLIMIT_NICE, 0, "no higher priority"},
        {RLIMIT_RTPRIO, 0, "no real-time priority"},
    };
    for (unsigned i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        struct step *s = plan_add(p, STEP_RLIMIT, NULL, limits[i].reason);
        s->slot = (unsigned)limits[i].resource;
        s->number = limits[i].value;
    }
}

/* What needs neither ids nor groups: it is done while the parent sees to those. The bounding set alone takes 41 calls. */
static void add_early(struct plan *p, const struct sandbox_spec *spec)
{
    bool template = spec->slots > 0;
    plan_add(p, STEP_HOSTNAME, NULL, "the host's name tells nothing")->value = spec->hostname;
    add_limits(p);
    plan_add(p, STEP_SESSION, NULL, "no terminal of the host to type into");
    plan_add(p, STEP_DROP_BOUNDING, NULL,
             template ? "no execve brings another capability back" : "no execve brings a capability back")
        ->number = template ? PLAN_KEEP_CHROOT : 0;
}

static void add_namespaces(struct plan *p, const struct plan_input *in)
{
    const struct sandbox_spec *spec = in->spec;
    plan_add(p, STEP_FRESH_SIGNALS, NULL, "a daemon's signal mask and umask are not the function's");
    plan_add(p, STEP_KEEP_FDS, NULL, "a leaked directory descriptor is a way out (CVE-2024-21626)");
    if (spec->strict)
        plan_add(p, STEP_NETWORK, NULL, "an empty one, its loopback down: there are no sockets to talk through")
            ->number = PLAN_LOOPBACK_DOWN;
    else if (spec->network_egress)
        plan_add(p, STEP_NETWORK, NULL, "its own, whose one way out is filtered: the clone brought it");
    else if (!spec->network_host)
        plan_add(p, STEP_NETWORK, NULL,
                 "an empty one, where programs talk to themselves; the clone brought it, or, when none was made ahead, "
                 "its 0.4 ms "
                 "pass while the parent makes the v1 groups and the id maps");
    plan_add(p, STEP_UNSHARE, NULL,
             spec->network_host ? "the host's network stays: the configuration grants it"
                                : "no object of the host's by System V's names, no name of the host's")
        ->number = CLONE_NEWIPC | CLONE_NEWUTS;
    add_early(p, spec);
    plan_add(p, STEP_WAIT_PARENT, NULL, "the id maps, and the way into the v1 groups");
    plan_add(p, STEP_JOIN_CGROUPS, NULL,
             "limits before anything could fork or grow; by its own hand, as a foreign pid waits 15 ms (v2: the clone "
             "did it)");
    if (in->features->found[FEATURE_CGROUPNS])
        plan_add(p, STEP_UNSHARE, NULL,
                 "no path of the host's groups; its root is fixed when it is made, so after the move")
            ->number = CLONE_NEWCGROUP;
    if (in->features->found[FEATURE_MEMFD_NOEXEC]) {
        struct step *s =
            plan_add(p, STEP_WRITE, "vm.memfd_noexec",
                     "memory files never become programs; needs the host's root, so before the ids change");
        s->slot = SLOT_MEMFD_NOEXEC;
        s->value = "2";
    }
    plan_add(p, STEP_BECOME, NULL,
             "root of this user namespace only: files made as an unmapped id would belong to nobody")
        ->slot = in->code_owner == 0 ? PLAN_KEEP_GROUPS : 0;
}

int plan_begin(struct plan *p, const struct plan_input *in, struct err *e)
{
    const struct sandbox_spec *spec = in->spec;
    bool has_targets = spec->mount_count > 0 || spec->device_count > 0 || plan_prefix(in->base, spec);
    plan_init(p, "", STEPS_MAX + (has_targets ? STEPS_OF_TARGETS + 2 * in->base->count : 0));
    p->idmap.entries[p->idmap.count++] = (struct idmap_entry){.inside = 0, .outside = in->code_owner};
    /* A daemon with one id has none for the function beside the code's (sandbox/identity.h). */
    if (plan_is_function(spec) && in->code_owner != 0)
        p->idmap.entries[p->idmap.count++] = (struct idmap_entry){.inside = PLAN_UID_INSIDE, .outside = spec->host_uid};
    else
        p->inside_id = 0;
    add_namespaces(p, in);
    int r = plan_finish(p, e);
    if (r < 0)
        plan_fini(p);
    return r;
}
