/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A sandbox as data: an ordered list of steps, each with its reason. Two plans exist. The base plan builds, once, the read-only tree that all sandboxes
 * share, as the root of a mount namespace of its own with nothing else in it. A sandbox's plan starts in a copy of that namespace, so the host's
 * files were never within its reach, and adds what is its own. child.c executes plans, print.c prints them, verify.c compares a live process with them.
 * The supervisor plans no more of it than what is done with power over the host (plan.c); the rest is planned where that power is gone (plan_inside.c).
 */
#ifndef FAASD_SANDBOX_PLAN_H
#define FAASD_SANDBOX_PLAN_H

#include "os/idmap.h"
#include "os/landlock.h"
#include "sandbox/spawn.h"

enum {
    PLAN_UID_INSIDE = 1000, /* functions and their init */
    PLAN_LANDLOCK_MAX = 5 + SETTINGS_MOUNTS_MAX + SANDBOX_SLOTS_MAX,
};

/*
 * Templates. A worker that others are forked from needs one thing more than a worker: a way for each child into a root with a /tmp of its own. It gets
 * CAP_SYS_CHROOT in its own user namespace, alone, and prepared roots to use it on. A template that the function's code has taken over can do this with it:
 * - Become root-like through set-id files under an /etc of its making: there are none, each mount is nosuid, no_new_privs is set for good.
 * - Get out of the sandbox: chroot(2) moves only within the mount namespace, whose topmost directory is the sandbox's own root. The classic escape (keep a
 *   descriptor, chroot below it, fchdir, "..") ends there, because what is above was never mounted in this namespace (sandbox/base.c).
 * - Get past a read-only mount, a size limit or Landlock: those hold inodes and mounts, whichever root they are reached from.
 * - Make a user namespace: refused by the filter, and by the kernel to whoever is chrooted.
 * - Trick its own children: yes. They run its code and share its ids; who shares a template trusts it (one version of one function).
 * A child gives the capability up for good before it serves: it stays in the bounding set, as dropping it there takes CAP_SETPCAP, where it is worth nothing (no file
 * carries capabilities on a nosuid mount). Whether children do so is the runtime's matter and no promise of faasd's: what holds them apart from the host, other functions
 * and their limits doesn't depend on it.
 */
enum { PLAN_KEEP_CHROOT = 1 };

enum { PLAN_LOOPBACK_DOWN = 1 };

/* Of STEP_BECOME: whoever mapped his own ids alone can give no group up (user_namespaces(7)). */
enum { PLAN_KEEP_GROUPS = 1 };

/* `path` is as seen inside; while a tree is being built, the interpreter puts the plan's `root` before it. */
enum step_op {
    STEP_FRESH_SIGNALS, /* empty mask, umask 022; actions were reset by the clone */
    STEP_KEEP_FDS,      /* closes all descriptors but the plan's */
    STEP_JOIN_CGROUPS,  /* writes "0" to each descriptor that STEP_WAIT_PARENT brought */
    STEP_WRITE,         /* `value` to the descriptor in `slot`; path: for people */
    STEP_UNSHARE,       /* number: CLONE_NEW* */
    STEP_WAIT_PARENT,   /* one record from SLOT_SYNC: the maps are written; with it come the v1 groups' `tasks` */
    STEP_BECOME,        /* number: uid and gid, no supplementary groups; slot: 0 or PLAN_KEEP_GROUPS */
    STEP_HOSTNAME,      /* value */
    STEP_NETWORK, /* a network namespace, unless the clone was made in one (sandbox/network.h); number: 0 = lo up, or PLAN_LOOPBACK_DOWN */
    STEP_LISTEN,  /* on 127.0.0.1, number: port; the socket goes out through `slot`, which is closed */
    STEP_PRIVATE, /* no mount event in or out */
    STEP_TMPFS,   /* path, value: options, number: attributes */
    STEP_PROC,    /* path, number: attributes */
    STEP_CHDIR,   /* path */
    STEP_DIR,     /* path; one that is there already is fine */
    STEP_FILE,    /* path: an empty one, to mount on */
    STEP_POINT,   /* path: a directory or an empty file, as what is in `slot` is one */
    STEP_TEXT,    /* path, value: its contents, number: their length */
    STEP_SECRET, /* path, slot: which of the spec's secrets; readable by the instance's own id alone, its bytes wiped afterwards */
    STEP_COPY,    /* path, value: a small file on the host */
    STEP_SYMLINK, /* path, value: target */
    STEP_NODE,    /* path, value: device on the host, number: its dev_t */
    STEP_BIND,    /* path, value: on the host, number: attributes; with all mounts beneath it */
    STEP_REBIND,  /* path, from the same path of the base tree, as it is there */
    STEP_ATTACH, /* path, the detached mount in `slot`; value: where it comes from, for people; number: its attributes */
    STEP_ATTRIBUTES, /* path, number */
    STEP_CLONE_ROOT, /* number: so many detached copies of all that is mounted now, for as many STEP_SLOTs */
    STEP_SLOT,       /* path, slot: which of the copies; number: the attributes that its root has */
    STEP_LEAVE_CHROOT,
    STEP_PIVOT,      /* the working directory becomes the root */
    STEP_CHECK_ROOT, /* the working directory is "/" */
    STEP_RLIMIT,     /* slot: RLIMIT_x, number */
    STEP_SESSION,
    STEP_KEYRING,
    STEP_DROP_BOUNDING, /* number: PLAN_KEEP_CHROOT or 0, as of the next */
    STEP_DROP_CAPS,
    STEP_DEATH_SIGNAL, /* then looks whether the parent is still there */
    STEP_NO_NEW_PRIVS,
    STEP_LANDLOCK,
    STEP_STDIO, /* fds 0-4 as sandbox/init_protocol.h, all others close at exec */
    STEP_SECCOMP,
    STEP_EXEC_INIT, /* value: its argument, or NULL */
    STEP_OPS
};

/* Descriptors that the parent opens and the child's steps use. */
enum plan_slot {
    SLOT_LOG,
    SLOT_CONTROL,
    SLOT_WORKER,
    SLOT_ERROR,
    SLOT_SYNC,
    SLOT_INIT,
    SLOT_MEMFD_NOEXEC,
    SLOT_CODE,
    SLOT_SELF,
    SLOT_RESOLV,
    SLOT_RUNTIME,
    SLOT_LAYERS,
    SLOT_MOUNTS = SLOT_LAYERS + SANDBOX_LAYERS_MAX,
    SLOT_DEVICES = SLOT_MOUNTS + SETTINGS_MOUNTS_MAX,
    SLOT_COUNT = SLOT_DEVICES + SETTINGS_DEVICES_MAX
};

struct step {
    enum step_op op;
    unsigned slot;
    uint64_t number;
    const char *path; /* borrowed from the plan, the spec or the program, as are the next two */
    const char *value;
    const char *reason;
};

struct plan {
    const char *root; /* where the tree is being built: "" = it is the process's root already */
    unsigned count, room;
    struct step *steps; /* owned, and with them the room for strings that are made for this plan */
    char *text;         /* the next one's place */
    size_t text_room;
    bool is_short; /* something had no room, or the kernel did not tell what the host has */
    struct idmap idmap;
    uint32_t inside_id; /* what init runs as */
    bool deny_tcp;      /* by STEP_LANDLOCK */
    unsigned landlock_count;
    struct landlock_path landlock[PLAN_LANDLOCK_MAX];
};

/* All memory that it will have: adding to it allocates nothing. */
void plan_init(struct plan *p, const char *root, unsigned steps_max);
void plan_fini(struct plan *p);

/* Adding never fails at once: plan_finish tells whether something was short on the way. */
struct step *plan_add(struct plan *p, enum step_op op, const char *path, const char *reason);
const char *plan_text(struct plan *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
int plan_finish(const struct plan *p, struct err *e);

/* Whether some step makes `path` (a directory, file, link or mount); ret_covered: or lies beneath something bound from the host. */
bool plan_makes(const struct plan *p, const char *path);
bool plan_covers(const struct plan *p, const char *path);
bool plan_is_mount(enum step_op op);
bool plan_makes_path(enum step_op op);
bool plan_is_above(const char *dir, const char *path); /* "/usr" is above "/usr/lib", not above "/usrlocal" or itself */
bool plan_is_function(const struct sandbox_spec *spec); /* a function's sandbox, or a shell's in one */
/* Of the mount in a slot from SLOT_CODE on: the supervisor makes it with them, the child attaches it. */
uint64_t plan_attributes(const struct sandbox_spec *spec, unsigned slot);

int plan_build_base(struct plan *p, const struct config *c, const char *scratch_dir, struct err *e);

struct plan_input {
    const struct plan *base;
    const struct feature_set *features;
    const struct sandbox_spec *spec;
    uint32_t code_owner;
};
/* What plan_go_on checks first (sandbox/plan_check.c): -EINVAL with what is wrong. */
int plan_check(const struct plan *base, const struct sandbox_spec *spec, struct err *e);
/* The prefix of the spec's runtime when it has to be mounted; NULL when there is none, or the base tree shows it. */
const char *plan_prefix(const struct plan *base, const struct sandbox_spec *spec);

/* The steps up to and with the one that gives up the host's root, and room for the others: what the supervisor does of a plan. */
int plan_begin(struct plan *p, const struct plan_input *in, struct err *e);
/* The others, by who has become the sandbox's own root by then. Checks first; allocates nothing. */
int plan_go_on(struct plan *p, const struct plan_input *in, struct err *e);
/* Both: to look at, or to compare with. */
int plan_build_sandbox(struct plan *p, const struct plan_input *in, struct err *e);

#endif
