/* SPDX-License-Identifier: Apache-2.0 */
/* Plans are data: their order and contents are tested without making a sandbox. */
#include "sandbox/plan.h"

#include "sandbox/child.h"

#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

#include <cmocka.h>

struct fixture {
    struct config config;
    struct feature_set features;
    struct plan base;
    struct sandbox_spec spec;
};

static int make_fixture(void **state)
{
    struct err e;
    struct fixture *f = calloc(1, sizeof(*f));
    if (!f)
        return -1;
    strcpy(f->config.etc[f->config.etc_count++], "ld.so.cache");
    memset(f->features.found, true, sizeof(f->features.found));
    f->spec = (struct sandbox_spec){
        .kind = SANDBOX_FUNCTION, .name = "unit", .hostname = "unit", .host_uid = 200002, .tmp_bytes = 64 << 20};
    *state = f;
    return plan_build_base(&f->base, &f->config, "/scratch", &e);
}

static int free_fixture(void **state)
{
    struct fixture *f = *state;
    plan_fini(&f->base);
    free(f);
    return 0;
}

static struct plan build(struct fixture *f)
{
    struct plan p;
    struct err e;
    assert_int_equal(plan_build_sandbox(&p, &(struct plan_input){&f->base, &f->features, &f->spec, 200001}, &e), 0);
    return p;
}

static unsigned position(const struct plan *p, enum step_op op)
{
    for (unsigned i = 0; i < p->count; i++)
        if (p->steps[i].op == op)
            return i;
    fail_msg("no step '%s'", step_name(op));
    return 0;
}

static bool has(const struct plan *p, enum step_op op, const char *path)
{
    for (unsigned i = 0; i < p->count; i++)
        if (p->steps[i].op == op && (!path || (p->steps[i].path && strcmp(p->steps[i].path, path) == 0)))
            return true;
    return false;
}

static void every_step_has_a_name_and_a_reason(void **state)
{
    struct fixture *f = *state;
    struct plan p = build(f);
    const struct plan *plans[] = {&f->base, &p};
    for (unsigned k = 0; k < 2; k++)
        for (unsigned i = 0; i < plans[k]->count; i++) {
            assert_non_null(step_name(plans[k]->steps[i].op));
            assert_true(strlen(plans[k]->steps[i].reason) > 0);
        }
    plan_fini(&p);
}

static void power_is_given_up_in_an_order_that_works(void **state)
{
    struct fixture *f = *state;
    struct plan p = build(f);
    static const enum step_op order[] = {STEP_KEEP_FDS,      STEP_NETWORK,      STEP_UNSHARE,      STEP_RLIMIT,
                                         STEP_DROP_BOUNDING, STEP_WAIT_PARENT,  STEP_JOIN_CGROUPS, STEP_WRITE,
                                         STEP_BECOME,        STEP_TMPFS,        STEP_CHECK_ROOT,   STEP_DROP_CAPS,
                                         STEP_KEYRING,       STEP_DEATH_SIGNAL, STEP_NO_NEW_PRIVS, STEP_STDIO,
                                         STEP_LANDLOCK,      STEP_SECCOMP,      STEP_EXEC_INIT};
    for (unsigned i = 1; i < sizeof(order) / sizeof(order[0]); i++)
        assert_true(position(&p, order[i - 1]) < position(&p, order[i]));
    assert_int_equal(position(&p, STEP_EXEC_INIT), p.count - 1);
    plan_fini(&p);
}

/* What the supervisor plans ends with the step that leaves its power behind, whatever was asked for. */
static void a_plan_begins_with_what_needs_power_and_no_more(void **state)
{
    struct fixture *f = *state;
    struct plan begun;
    struct err e;
    f->spec.mount_count = 1;
    f->spec.mounts[0] = (struct sandbox_mount){.source = "/usr", .target = "/data"};
    for (int kind = SANDBOX_FUNCTION; kind <= SANDBOX_DELETE; kind++)
        for (int worker = SANDBOX_WORKER_NONE; worker <= SANDBOX_WORKER_LISTENER; worker++)
            for (unsigned slots = 0; slots <= SANDBOX_SLOTS_MAX; slots += SANDBOX_SLOTS_MAX) {
                f->spec.kind = (enum sandbox_kind)kind;
                f->spec.worker = (enum sandbox_worker)worker;
                f->spec.slots = slots;
                const struct plan_input in = {&f->base, &f->features, &f->spec, 200001};
                assert_int_equal(plan_begin(&begun, &in, &e), 0);
                const struct step *last = &begun.steps[begun.count - 1];
                assert_int_equal(last->op, STEP_BECOME);
                assert_int_equal(position(&begun, STEP_BECOME), begun.count - 1);
                assert_int_equal(last->slot, 0);
                for (unsigned i = 0; i < begun.count; i++)
                    assert_true(begun.steps[i].op < STEP_LISTEN || begun.steps[i].op == STEP_RLIMIT ||
                                begun.steps[i].op == STEP_SESSION || begun.steps[i].op == STEP_DROP_BOUNDING);
                plan_fini(&begun);
            }
}

static void strict_has_no_proc_no_loopback_and_no_tcp(void **state)
{
    struct fixture *f = *state;
    f->features.found[FEATURE_PROC_SUBSET] = true;
    f->spec.worker = SANDBOX_WORKER_SOCKET;
    struct plan plain = build(f);
    f->spec.strict = true;
    struct plan strict = build(f);
    assert_true(has(&plain, STEP_PROC, "/proc") && !has(&strict, STEP_PROC, NULL));
    assert_int_equal(plain.steps[position(&plain, STEP_NETWORK)].number, 0);
    assert_int_equal(strict.steps[position(&strict, STEP_NETWORK)].number, PLAN_LOOPBACK_DOWN);
    assert_true(strict.deny_tcp && !plain.deny_tcp);
    plan_fini(&plain);
    plan_fini(&strict);
    struct err e;
    const struct plan_input in = {.base = &f->base, .features = &f->features, .spec = &f->spec, .code_owner = 200001};
    f->spec.slots = 1;
    assert_int_equal(plan_build_sandbox(&strict, &in, &e), -EINVAL);
    f->spec.slots = 0;
    f->spec.network_egress = true;
    assert_int_equal(plan_build_sandbox(&strict, &in, &e), -EINVAL);
    f->spec.network_egress = false;
    f->spec.worker = SANDBOX_WORKER_NONE;
    assert_int_equal(plan_build_sandbox(&strict, &in, &e), -EINVAL);
}

static void egress_has_a_network_of_its_own_and_asks_the_resolver_for_names(void **state)
{
    struct fixture *f = *state;
    struct plan plain = build(f);
    f->spec.network_egress = true;
    struct plan egress = build(f);
    assert_false(has(&plain, STEP_BIND, "/etc/resolv.conf"));
    assert_true(has(&egress, STEP_BIND, "/etc/resolv.conf") && has(&egress, STEP_NETWORK, NULL));
    plan_fini(&plain);
    plan_fini(&egress);
}

static void a_function_maps_its_own_id_and_the_code_owner(void **state)
{
    struct fixture *f = *state;
    struct plan p = build(f);
    char maps[IDMAP_TEXT_MAX];
    idmap_format(&p.idmap, maps);
    assert_string_equal(maps, "0 200001 1\n1000 200002 1\n");
    assert_int_equal(p.inside_id, PLAN_UID_INSIDE);
    plan_fini(&p);
}

static void with_one_id_for_all_a_function_has_the_code_owners_and_keeps_its_groups(void **state)
{
    struct fixture *f = *state;
    struct plan p;
    struct err e;
    char maps[IDMAP_TEXT_MAX];
    f->spec.host_uid = 0;
    assert_int_equal(plan_build_sandbox(&p, &(struct plan_input){&f->base, &f->features, &f->spec, 0}, &e), 0);
    idmap_format(&p.idmap, maps);
    assert_string_equal(maps, "0 0 1\n");
    assert_int_equal(p.inside_id, 0);
    unsigned becomes = 0;
    for (unsigned i = 0; i < p.count; i++) {
        if (p.steps[i].op != STEP_BECOME)
            continue;
        becomes++;
        assert_int_equal(p.steps[i].slot, PLAN_KEEP_GROUPS);
        assert_int_equal(p.steps[i].number, 0);
    }
    assert_int_equal(becomes, 1);
    assert_true(has(&p, STEP_DROP_CAPS, NULL));
    plan_fini(&p);
    p = build(f);
    for (unsigned i = 0; i < p.count; i++)
        assert_true(p.steps[i].op != STEP_BECOME || p.steps[i].slot == 0);
    plan_fini(&p);
}

static void an_unpacker_is_the_code_owner_and_sees_no_function(void **state)
{
    struct fixture *f = *state;
    f->spec.kind = SANDBOX_UNPACK;
    f->spec.host_uid = 200001;
    struct plan p = build(f);
    char maps[IDMAP_TEXT_MAX];
    idmap_format(&p.idmap, maps);
    assert_string_equal(maps, "0 200001 1\n");
    assert_int_equal(p.inside_id, 0);
    assert_true(has(&p, STEP_ATTACH, "/staging"));
    assert_true(has(&p, STEP_ATTACH, "/faasd"));
    assert_false(has(&p, STEP_ATTACH, "/var/task"));
    assert_true(has(&p, STEP_DROP_CAPS, NULL));
    plan_fini(&p);
}

static void the_hosts_network_is_a_plan_without_a_network_namespace(void **state)
{
    struct fixture *f = *state;
    struct plan p = build(f);
    assert_true(position(&p, STEP_NETWORK) < position(&p, STEP_WAIT_PARENT));
    plan_fini(&p);
    f->spec.network_host = true;
    p = build(f);
    assert_false(has(&p, STEP_NETWORK, NULL));
    for (unsigned i = 0; i < p.count; i++)
        assert_false(p.steps[i].op == STEP_UNSHARE && p.steps[i].number & CLONE_NEWNET);
    assert_true(has(&p, STEP_ATTACH, "/etc/resolv.conf"));
    plan_fini(&p);
}

static void tmp_always_has_a_size(void **state)
{
    struct fixture *f = *state;
    f->spec.tmp_bytes = 0;
    f->spec.tmp_exec = true;
    struct plan p = build(f);
    const struct step *tmp = &p.steps[position(&p, STEP_TMPFS)];
    assert_string_equal(tmp->value, "size=4096,nr_inodes=1024,mode=1777,uid=0,gid=0");
    assert_int_equal(tmp->number, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
    plan_fini(&p);
}

static void grants_get_a_root_with_their_mount_points(void **state)
{
    struct fixture *f = *state;
    f->spec.mount_count = 2;
    f->spec.mounts[0] = (struct sandbox_mount){.source = "/srv", .target = "/data/deep", .writable = true};
    f->spec.mounts[1] = (struct sandbox_mount){.source = "/srv/app.conf", .target = "/etc/app.conf"};
    f->spec.device_count = 1;
    f->spec.devices[0] = "/dev/net/tun";
    struct plan p = build(f);
    assert_string_equal(p.root, "/tmp");
    assert_true(has(&p, STEP_DIR, "/data"));
    assert_true(has(&p, STEP_POINT, "/data/deep"));
    assert_true(has(&p, STEP_DIR, "/dev/net"));
    assert_true(has(&p, STEP_POINT, "/dev/net/tun"));
    assert_true(has(&p, STEP_REBIND, "/usr"));        /* whole */
    assert_true(has(&p, STEP_REBIND, "/etc/passwd")); /* taken apart for app.conf */
    assert_true(has(&p, STEP_REBIND, "/dev/null"));
    assert_false(has(&p, STEP_REBIND, "/etc"));
    assert_false(has(&p, STEP_REBIND, "/proc")); /* its own */
    assert_true(position(&p, STEP_PROC) < position(&p, STEP_PIVOT));
    assert_true(position(&p, STEP_PIVOT) < position(&p, STEP_ATTRIBUTES));
    plan_fini(&p);
}

static void a_mount_point_within_the_hosts_tree_is_not_made(void **state)
{
    struct fixture *f = *state;
    f->spec.mount_count = 1;
    f->spec.mounts[0] = (struct sandbox_mount){.source = "/srv", .target = "/usr/share/thing"};
    struct plan p = build(f);
    assert_false(has(&p, STEP_POINT, NULL));
    assert_true(has(&p, STEP_REBIND, "/usr"));
    plan_fini(&p);
}

static void a_grant_cannot_take_the_place_of_what_is_the_sandboxs_own(void **state)
{
    struct fixture *f = *state;
    static const char *const refused[] = {"/",          "/proc", "/proc/1",    "/tmp",  "/tmp/data", "/dev/shm",
                                          "/var/tmp/x", "data",  "/a/../proc", "/a//b", "/a/"};
    struct plan p;
    struct err e;
    f->spec.mount_count = 1;
    for (unsigned i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        f->spec.mounts[0] = (struct sandbox_mount){.source = "/srv", .target = refused[i]};
        assert_int_equal(plan_build_sandbox(&p, &(struct plan_input){&f->base, &f->features, &f->spec, 200001}, &e),
                         -EINVAL);
        assert_non_null(strstr(e.text, refused[i]));
    }
}

static int refusal(const struct fixture *f, struct err *e)
{
    struct plan p;
    return plan_build_sandbox(&p, &(struct plan_input){&f->base, &f->features, &f->spec, 200001}, e);
}

static unsigned count(const struct plan *p, enum step_op op)
{
    unsigned n = 0;
    for (unsigned i = 0; i < p->count; i++)
        n += p->steps[i].op == op;
    return n;
}

static void a_template_has_slots_and_one_capability(void **state)
{
    struct fixture *f = *state;
    struct plan p = build(f);
    assert_false(has(&p, STEP_CLONE_ROOT, NULL));
    assert_int_equal(count(&p, STEP_TMPFS), 1);
    assert_int_equal(p.steps[position(&p, STEP_DROP_BOUNDING)].number, 0);
    assert_int_equal(p.steps[position(&p, STEP_DROP_CAPS)].number, 0);
    unsigned plain_rules = p.landlock_count;
    plan_fini(&p);
    f->spec.slots = 8;
    p = build(f);
    assert_int_equal(p.steps[position(&p, STEP_CLONE_ROOT)].number, 8);
    assert_int_equal(count(&p, STEP_SLOT), 8);
    assert_int_equal(count(&p, STEP_TMPFS), 9);
    assert_true(has(&p, STEP_SLOT, "/run/slots/7"));
    assert_true(has(&p, STEP_TMPFS, "/run/slots/7/tmp"));
    assert_int_equal(p.landlock_count, plain_rules + 8);
    /* all that a child sees is mounted before the copies are made, and no /tmp of another's */
    unsigned at = position(&p, STEP_CLONE_ROOT);
    assert_true(position(&p, STEP_PROC) < at && position(&p, STEP_ATTACH) < at && at < position(&p, STEP_TMPFS));
    assert_true(position(&p, STEP_SLOT) < position(&p, STEP_CHECK_ROOT));
    const struct step *tmp = &p.steps[position(&p, STEP_TMPFS)], *last = tmp;
    for (unsigned i = 0; i < p.count; i++)
        if (p.steps[i].op == STEP_TMPFS)
            last = &p.steps[i];
    assert_string_equal(last->path, "/tmp");
    assert_string_equal(last->value, tmp->value);
    assert_int_equal(last->number, tmp->number);
    assert_int_equal(p.steps[position(&p, STEP_DROP_BOUNDING)].number, PLAN_KEEP_CHROOT);
    assert_int_equal(p.steps[position(&p, STEP_DROP_CAPS)].number, PLAN_KEEP_CHROOT);
    plan_fini(&p);
    f->spec.slots = SANDBOX_SLOTS_MAX;
    f->spec.mount_count = SETTINGS_MOUNTS_MAX;
    for (unsigned i = 0; i < SETTINGS_MOUNTS_MAX; i++)
        f->spec.mounts[i] = (struct sandbox_mount){.source = "/srv", .target = "/usr/share/a", .writable = true};
    p = build(f);
    assert_in_range(p.landlock_count, SANDBOX_SLOTS_MAX + SETTINGS_MOUNTS_MAX, PLAN_LANDLOCK_MAX);
    plan_fini(&p);
}

static void secrets_are_files_on_a_mount_of_their_own_before_the_root_is_copied(void **state)
{
    struct fixture *f = *state;
    struct plan p = build(f);
    assert_false(has(&p, STEP_SECRET, NULL));
    assert_false(has(&p, STEP_TMPFS, "/run/secrets"));
    plan_fini(&p);
    f->spec.secret_count = 2;
    f->spec.secrets[0] = (struct sandbox_secret){.file = "db", .size = 4097};
    f->spec.secrets[1] = (struct sandbox_secret){.file = "server.key", .size = 1};
    f->spec.slots = 2;
    for (unsigned grants = 0; grants < 2; grants++) { /* with a grant the root is one of the sandbox's own */
        f->spec.mount_count = grants;
        f->spec.mounts[0] = (struct sandbox_mount){.source = "/srv", .target = "/mnt/data"};
        p = build(f);
        unsigned at = position(&p, STEP_SECRET);
        assert_string_equal(p.steps[at].path, "/run/secrets/db");
        assert_string_equal(p.steps[at + 1].path, "/run/secrets/server.key");
        assert_int_equal(p.steps[at + 1].slot, 1);
        const struct step *mount = &p.steps[at - 1], *attributes = &p.steps[at + 2];
        assert_int_equal(mount->op, STEP_TMPFS);
        assert_string_equal(mount->path, "/run/secrets");
        assert_string_equal(mount->value, "size=16384,nr_inodes=3,mode=755,uid=0,gid=0");
        assert_int_equal(mount->number, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
        assert_int_equal(attributes->op, STEP_ATTRIBUTES);
        assert_string_equal(attributes->path, "/run/secrets");
        assert_int_equal(attributes->number, MOUNT_ATTR_RDONLY);
        assert_true(position(&p, STEP_JOIN_CGROUPS) < at && at < position(&p, STEP_CLONE_ROOT));
        plan_fini(&p);
    }
}

static void a_secret_of_an_unpacker_or_outside_of_its_directory_is_refused(void **state)
{
    struct fixture *f = *state;
    struct plan p;
    struct err e;
    const struct plan_input in = {&f->base, &f->features, &f->spec, 200001};
    static const char *const files[] = {"", ".", "..", "../x", "a/b", ".db"};
    f->spec.secret_count = 1;
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        f->spec.secrets[0].file = files[i];
        assert_int_equal(plan_build_sandbox(&p, &in, &e), -EINVAL);
    }
    f->spec.secrets[0].file = "db";
    f->spec.kind = SANDBOX_UNPACK;
    assert_int_equal(plan_build_sandbox(&p, &in, &e), -EINVAL);
    f->spec.kind = SANDBOX_FUNCTION;
    f->spec.secret_count = SANDBOX_SECRETS_MAX + 1;
    assert_int_equal(plan_build_sandbox(&p, &in, &e), -EINVAL);
}

static void only_a_function_has_slots_and_not_too_many(void **state)
{
    struct fixture *f = *state;
    struct err e;
    f->spec.slots = SANDBOX_SLOTS_MAX + 1;
    assert_int_equal(refusal(f, &e), -EINVAL);
    f->spec.slots = 1;
    f->spec.kind = SANDBOX_SHELL;
    assert_int_equal(refusal(f, &e), -EINVAL);
    assert_non_null(strstr(e.text, "slots"));
}

static void the_base_tree_has_a_place_for_each_slot_and_the_bootstraps(void **state)
{
    struct fixture *f = *state;
    char path[32];
    for (unsigned i = 0; i < SANDBOX_SLOTS_MAX; i++) {
        snprintf(path, sizeof(path), "/run/slots/%u", i);
        assert_true(has(&f->base, STEP_DIR, path));
    }
    static const char *const dirs[] = {"/opt", "/var/runtime", "/var/runtime/node", "/var/runtime/python"};
    for (unsigned i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
        assert_true(has(&f->base, STEP_DIR, dirs[i]));
    unsigned files = 0;
    for (unsigned i = 0; i < f->base.count; i++) {
        const struct step *s = &f->base.steps[i];
        files += s->op == STEP_TEXT && strncmp(s->path, "/var/runtime/", 13) == 0;
    }
    assert_true(files > 0);
}

static void a_listener_is_made_in_the_sandboxs_network(void **state)
{
    struct fixture *f = *state;
    struct err e;
    f->spec.worker = SANDBOX_WORKER_LISTENER;
    struct plan p = build(f);
    unsigned at = position(&p, STEP_LISTEN);
    assert_true(at > position(&p, STEP_NETWORK));
    assert_int_equal(p.steps[at].number, 9001);
    assert_int_equal(p.steps[at].slot, SLOT_WORKER);
    assert_string_equal(p.steps[position(&p, STEP_EXEC_INIT)].value, "worker");
    plan_fini(&p);
    f->spec.network_host = true;
    assert_int_equal(refusal(f, &e), -EINVAL);
    f->spec.network_host = false;
    f->spec.worker = SANDBOX_WORKER_NONE;
    p = build(f);
    assert_false(has(&p, STEP_LISTEN, NULL));
    assert_null(p.steps[position(&p, STEP_EXEC_INIT)].value);
    plan_fini(&p);
}

static void a_runtimes_prefix_is_mounted_where_the_base_tree_lacks_it(void **state)
{
    struct fixture *f = *state;
    static const char *const shown[] = {"", "/usr", "/usr/local", "/usr/lib/jvm/java"};
    for (unsigned i = 0; i < sizeof(shown) / sizeof(shown[0]); i++) {
        f->spec.runtime_prefix = shown[i];
        struct plan p = build(f);
        assert_false(has(&p, STEP_PIVOT, NULL));
        plan_fini(&p);
    }
    static const char *const mounted[] = {"/opt", "/opt/py312", "/opt/a/b", "/srv/node",
                                          "/home/me/.pyenv/versions/3.12"};
    for (unsigned i = 0; i < sizeof(mounted) / sizeof(mounted[0]); i++) {
        f->spec.runtime_prefix = mounted[i];
        struct plan p = build(f);
        unsigned at = position(&p, STEP_PIVOT);
        assert_true(has(&p, STEP_ATTACH, mounted[i]));
        for (unsigned k = 0; k < p.count; k++)
            if (p.steps[k].slot == SLOT_RUNTIME && p.steps[k].op == STEP_ATTACH) {
                assert_true(k < at);
                assert_int_equal(p.steps[k].number, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
            }
        assert_true(has(&p, STEP_REBIND, "/usr"));
        assert_true(has(&p, strcmp(mounted[i], "/opt") ? STEP_POINT : STEP_DIR, mounted[i]));
        plan_fini(&p);
    }
}

static void a_runtimes_prefix_covers_nothing_of_the_sandboxs_own(void **state)
{
    struct fixture *f = *state;
    struct err e;
    static const char *const refused[] = {
        "/",    "/proc",   "/dev/shm",    "/tmp",       "/tmp/py", "/var/task",  "/var/task/venv",
        "/etc", "/etc/py", "/var",        "/run",       "/home",   "/run/slots", "/var/runtime/python",
        "/sys", "/faasd",  "/opt/../etc", "/opt/py/..", "opt"};
    for (unsigned i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        f->spec.runtime_prefix = refused[i];
        if (refusal(f, &e) != -EINVAL)
            fail_msg("'%s' was accepted", refused[i]);
        assert_non_null(strstr(e.text, refused[i]));
    }
    f->spec.runtime_prefix = "/opt/py";
    f->spec.mount_count = 1;
    f->spec.mounts[0] = (struct sandbox_mount){.source = "/srv", .target = "/opt"};
    assert_int_equal(refusal(f, &e), -EINVAL);
    f->spec.mounts[0].target = "/opt/py/data"; /* a point that has to be there already */
    struct plan p = build(f);
    assert_false(has(&p, STEP_POINT, "/opt/py/data"));
    plan_fini(&p);
    f->spec.mounts[0].target = "/opt/data";
    p = build(f);
    assert_true(has(&p, STEP_POINT, "/opt/data"));
    plan_fini(&p);
}

static void the_base_tree_copies_nothing_secret(void **state)
{
    struct fixture *f = *state;
    struct err e;
    struct plan p;
    strcpy(f->config.etc[f->config.etc_count++], "shadow");
    strcpy(f->config.etc[f->config.etc_count++], "pass*");
    assert_int_equal(plan_build_base(&p, &f->config, "/scratch", &e), 0);
    assert_false(plan_makes(&p, "/etc/shadow"));
    assert_false(has(&p, STEP_COPY, "/etc/passwd")); /* the synthetic one came first */
    assert_true(has(&p, STEP_TEXT, "/etc/passwd"));
    plan_fini(&p);
    strcpy(f->config.etc[f->config.etc_count++], "../root");
    assert_int_equal(plan_build_base(&p, &f->config, "/scratch", &e), -EINVAL);
}

static void the_printed_plan_has_a_line_for_each_step(void **state)
{
    struct fixture *f = *state;
    struct plan p = build(f);
    struct buf out;
    struct err e;
    buf_init(&out, 0);
    assert_int_equal(sandbox_print_plan(&f->config, &f->features, &f->spec, &out, &e), 0);
    assert_int_equal(buf_add(&out, "", 1), 0);
    unsigned lines = 0;
    for (const char *c = out.data; *c; c++)
        lines += *c == '\n';
    assert_in_range(lines, f->base.count + p.count + 3, f->base.count + p.count + 10);
    assert_non_null(strstr(out.data, "seccomp"));
    assert_null(strstr(out.data, "sys_chroot"));
    assert_non_null(strstr(out.data, "/var/task from the version's directory ro,nosuid,nodev"));
    buf_fini(&out);
    plan_fini(&p);
}

static void a_printed_template_says_what_it_keeps(void **state)
{
    struct fixture *f = *state;
    struct buf out;
    struct err e;
    buf_init(&out, 0);
    f->spec.slots = 2;
    f->spec.worker = SANDBOX_WORKER_SOCKET;
    f->spec.runtime_prefix = "/opt/py312";
    assert_int_equal(sandbox_print_plan(&f->config, &f->features, &f->spec, &out, &e), 0);
    f->spec.slots = 0;
    f->spec.worker = SANDBOX_WORKER_LISTENER;
    assert_int_equal(sandbox_print_plan(&f->config, &f->features, &f->spec, &out, &e), 0);
    assert_int_equal(buf_add(&out, "", 1), 0);
    static const char *const parts[] = {"all but sys_chroot",
                                        "/run/slots/1 ro,nosuid,nodev",
                                        "/run/slots/1/tmp nosuid",
                                        "/ 2 times",
                                        "/opt/py312 from /opt/py312 ro,nosuid,nodev",
                                        "127.0.0.1:9001",
                                        "init worker"};
    for (unsigned i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        if (!strstr(out.data, parts[i]))
            fail_msg("'%s' is not in the plan", parts[i]);
    buf_fini(&out);
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, make_fixture, free_fixture)
    const struct CMUnitTest tests[] = {
        TEST(a_plan_begins_with_what_needs_power_and_no_more),
        TEST(strict_has_no_proc_no_loopback_and_no_tcp),
        TEST(egress_has_a_network_of_its_own_and_asks_the_resolver_for_names),
        TEST(every_step_has_a_name_and_a_reason),
        TEST(power_is_given_up_in_an_order_that_works),
        TEST(a_function_maps_its_own_id_and_the_code_owner),
        TEST(with_one_id_for_all_a_function_has_the_code_owners_and_keeps_its_groups),
        TEST(an_unpacker_is_the_code_owner_and_sees_no_function),
        TEST(the_hosts_network_is_a_plan_without_a_network_namespace),
        TEST(tmp_always_has_a_size),
        TEST(grants_get_a_root_with_their_mount_points),
        TEST(a_mount_point_within_the_hosts_tree_is_not_made),
        TEST(a_grant_cannot_take_the_place_of_what_is_the_sandboxs_own),
        TEST(a_template_has_slots_and_one_capability),
        TEST(secrets_are_files_on_a_mount_of_their_own_before_the_root_is_copied),
        TEST(a_secret_of_an_unpacker_or_outside_of_its_directory_is_refused),
        TEST(only_a_function_has_slots_and_not_too_many),
        TEST(the_base_tree_has_a_place_for_each_slot_and_the_bootstraps),
        TEST(a_listener_is_made_in_the_sandboxs_network),
        TEST(a_runtimes_prefix_is_mounted_where_the_base_tree_lacks_it),
        TEST(a_runtimes_prefix_covers_nothing_of_the_sandboxs_own),
        TEST(the_base_tree_copies_nothing_secret),
        TEST(the_printed_plan_has_a_line_for_each_step),
        TEST(a_printed_template_says_what_it_keeps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
