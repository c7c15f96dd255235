/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making sandboxes: the parent's half. Called by the supervisor's one thread (the death signal fires when the *thread* that cloned ends).
 * What is done inside stands in sandbox/plan.c as data; sandbox/child.c interprets it between clone and exec.
 */
#ifndef FAASD_SANDBOX_SPAWN_H
#define FAASD_SANDBOX_SPAWN_H

#include "base/buf.h"
#include "base/err.h"
#include "codec/config.h"
#include "os/cgroup.h"
#include "sandbox/feature.h"

#include <sys/types.h>

struct step_clock;

enum sandbox_kind { SANDBOX_FUNCTION, SANDBOX_SHELL, SANDBOX_UNPACK, SANDBOX_DELETE };
/* LISTENER: a listening socket on 127.0.0.1:SANDBOX_LISTENER_PORT of the sandbox's network, sent over the worker's socket with one byte by its set-up, which then
 * closes its end: init has no INIT_FD_WORKER. Not with the host's network. */
enum sandbox_worker { SANDBOX_WORKER_NONE, SANDBOX_WORKER_SOCKET, SANDBOX_WORKER_PTY, SANDBOX_WORKER_LISTENER };

enum {
    SANDBOX_SLOTS_MAX = 16, /* of a template: its children alive at one time */
    SANDBOX_LISTENER_PORT = 9001,
    SANDBOX_LAYERS_MAX = 5,
    SANDBOX_SECRETS_MAX = SETTINGS_SECRETS_MAX + 1, /* a function's own, and its role's */
};

struct sandbox_mount {
    const char *source; /* on the host, checked against the grants by the caller */
    const char *target;
    bool writable;
};

/* A file beneath /run/secrets. The bytes are in the caller's memory until sandbox_spawn() returns: the child has a copy of its own, which it wipes. */
struct sandbox_secret {
    const char *file;
    uint8_t *bytes; /* NULL: only its place is described (sandbox_verify, sandbox_print_plan) */
    size_t size;
};

/* What one sandbox is to be. Strings are borrowed for the call. */
struct sandbox_spec {
    enum sandbox_kind kind;
    enum sandbox_worker worker;
    const char *name;     /* of its cgroup: unique among the living */
    const char *hostname; /* inside */
    int code_dirfd;       /* FUNCTION, SHELL: the version's tree; UNPACK: staging; DELETE: the trash. Borrowed */
    /* FUNCTION, SHELL: at most one, shown at /opt; UNPACK: at /layers/0 and on. Borrowed; -1: only its place is described */
    unsigned layer_count;
    int layer_dirfds[SANDBOX_LAYERS_MAX];
    uint32_t host_uid; /* the instance's own uid and gid on the host; UNPACK and DELETE: the code owner's */
    uint64_t tmp_bytes;
    bool tmp_exec;
    bool network_host;
    bool network_egress;    /* the namespace in network_fd, a way out in it: entered by the clone, or the start fails */
    int network_fd;         /* borrowed for the call; -1: only described */
    uint64_t network_inode; /* of network_fd, for sandbox_verify() */
    bool learning;          /* FUNCTION: the gateway is told of each system call, and lets it go on */
    const uint64_t
        *calls; /* FUNCTION: a bit for each that is allowed (sandbox/profile.h); NULL = as the profile has it */
    bool
        strict; /* FUNCTION with a worker's socket and without slots: profile strict, no /proc, lo down, no TCP by Landlock */
    unsigned
        slots; /* FUNCTION: a template with this many roots for its children, /run/slots/0 and on, each with a /tmp of its own */
    const char *runtime_prefix; /* a directory of the host shown read-only at the same path; NULL or "" = none */
    struct cgroup_limits limits;
    unsigned mount_count, device_count, secret_count;
    struct sandbox_mount mounts[SETTINGS_MOUNTS_MAX];
    const char *devices[SETTINGS_DEVICES_MAX];
    struct sandbox_secret secrets[SANDBOX_SECRETS_MAX]; /* FUNCTION, SHELL */
    struct step_clock *clock; /* begun, in memory that a child shares (sandbox/step_clock.h); NULL = none */
};

/* The parts that all sandboxes share, made once: the read-only base tree, the seccomp programs, the sealed memfd with init. */
struct sandbox_base;

struct sandbox_base_options {
    const struct config *config;
    const struct feature_set *features;
    const char *
        scratch_dir; /* an existing directory to build the base tree on, in its own namespace: run/base stays empty for all others */
    uint32_t code_owner; /* host id that versions belong to; shown as root inside */
    int self_fd;         /* the faasd program, for UNPACK and DELETE. Borrowed for the call */
};
/* The tree is the root of a mount namespace of its own (sandbox/base.c); the caller stays in its namespace and sees no mount more. */
int sandbox_base_open(struct sandbox_base **ret_base, const struct sandbox_base_options *o, struct err *e);
void sandbox_base_close(struct sandbox_base *b);

/* What is made ahead, of empty things that any sandbox may get (sandbox/network.h); without it a start makes its own. Never called in the path of a start:
 * one call blocks for 0.3 ms. */
bool sandbox_base_has_stock(const struct sandbox_base *b);
int sandbox_base_make_stock(struct sandbox_base *b, struct err *e); /* one piece, only when some is missing */

struct sandbox {
    pid_t pid; /* init, on the host */
    int pidfd; /* readable when init, and with it every process of the sandbox, is dead */
    int error_fd; /* one struct err from the child, or end of file: then init runs and the sandbox is complete. Non-blocking */
    int control_fd;       /* our end of init's control socket */
    int log_fd;           /* read end */
    int worker_fd;        /* our end of the worker's socket, or the pty's master; -1 */
    struct cgroup *group; /* owned by the caller from then on */
};
/* Everything CLOEXEC and non-blocking. On failure nothing is left behind, cgroup included. */
int sandbox_spawn(struct sandbox_base *b, struct cgroup_tree *t, const struct sandbox_spec *spec,
                  struct sandbox *ret_sandbox, struct err *e);

/* After error_fd's end of file: reads /proc/PID from outside and compares with what was planned: ids, NoNewPrivs, Seccomp, capabilities,
 * namespaces, mounts, descriptors, cgroup. -EPERM with what differs. */
int sandbox_verify(const struct sandbox_base *b, const struct sandbox_spec *spec, const struct sandbox *s,
                   struct err *e);

/* The plan as text, one step a line, for `faasd run --plan`. */
int sandbox_print_plan(const struct config *c, const struct feature_set *features, const struct sandbox_spec *spec,
                       struct buf *out, struct err *e);

#endif
