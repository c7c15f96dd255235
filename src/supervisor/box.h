/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A box is one living sandbox as the supervisor keeps it: what the gateway calls an instance, or an unpacker, or a deleter.
 *
 *   state      valid                     moved on by                                          guarded by
 *   WAITING    trial: no process yet     box_on_network -> SETTING_UP; its error, KILL -> DYING  timer: BOX_SETUP_SECONDS -> DYING, and another network process
 *   SETTING_UP sandbox, trial if new     error_fd's end -> RUNNING; an error, KILL -> DYING   timer: BOX_SETUP_SECONDS -> DYING
 *   RUNNING    sandbox                   KILL, out of memory, the gateway's end -> DYING;     none: its life is the gateway's
 *                                        pidfd -> REMOVING
 *   DYING      sandbox                   pidfd -> REMOVING                                    timer: every second SIGKILL again
 *              nothing, where it was WAITING     timer -> freed                               that one
 *   REMOVING   sandbox.group only        the cgroup is removed -> freed                       timer: tries again, 1 ms doubling to 1 s
 *
 * A child, forked by the code in a template's box, is a box as well (box_child.c). Of its `sandbox` only the group is there, from ADOPT on also pid and
 * pidfd, of the child's first process. Init of the template's sandbox is its pid 1, so it is dead when its group is empty, not when a pid 1 is.
 *
 *   PREPARED   the group                 ADOPT -> RUNNING; an impostor, KILL, the template's end -> DYING   timer: BOX_JOIN_SECONDS -> DYING
 *   RUNNING    group, pid, pidfd         KILL, out of memory, the gateway's end, pidfd (then the rest of   none: its life is the gateway's
 *                                        the group is killed), the template's end -> DYING
 *   DYING      the group                 the group is empty -> REMOVING                       timer: kills and looks again, 1 ms doubling to 1 s
 *   REMOVING   as above, or at once freed: its groups are kept for the template's next child
 *
 * FREEZE and THAW are no states: a frozen box is RUNNING, and whatever ends it needs no thaw (os/cgroup.h).
 *
 * In every state but REMOVING a box of the present gateway is found by its id. A box of a former gateway has no id any more: it dies unheard.
 */
#ifndef FAASD_SUPERVISOR_BOX_H
#define FAASD_SUPERVISOR_BOX_H

#include "base/list.h"
#include "sandbox/spawn.h"
#include "supervisor/message.h"
#include "supervisor/start_clocks.h"
#include "supervisor/uids.h"
#include "supervisor/verified.h"

#include <ev.h>

struct supervisor;
struct egress_instance;

enum {
    BOX_SETUP_SECONDS = 10,
    BOX_JOIN_SECONDS = 10, /* from PREPARE to ADOPT */
    BOX_SPARE = 16,        /* unpackers, deleters and shells beyond instances_max */
    BOX_HELPERS_MAX = 40,  /* unpackers and deleters: memory_budget does not count them, so their number has a bound */
};

enum box_state { BOX_WAITING, BOX_SETTING_UP, BOX_PREPARED, BOX_RUNNING, BOX_DYING, BOX_REMOVING };

struct box {
    struct supervisor *supervisor;
    struct list link; /* struct boxes.all */
    struct box *next; /* hash chain of boxes.buckets, while `known` */
    uint64_t id;
    uint64_t staging;      /* UNPACK */
    uint64_t memory_bytes; /* its part of boxes.memory_bytes; 0 when it does not count */
    uint32_t kind;         /* enum message_spawn_kind */
    uint32_t host_uid;
    enum box_state state;
    bool known;               /* the present gateway knows it by its id */
    bool told;                /* SPAWNED was sent */
    bool killed;              /* a KILL came */
    uint64_t oom_shmem_bytes; /* of /tmp and shared memory when the limit was met: gone with the last process */
    int tmp_fd;  /* a function with a sandbox of its own: its /tmp, while the end may have to be told from it; -1 */
    bool counts; /* against instances_max and memory_budget: the present gateway's */
    bool is_child;
    unsigned slot;  /* a child's */
    unsigned tries; /* of what the state's timer repeats */
    int status;     /* a child's wait status, or MESSAGE_STATUS_UNKNOWN */
    struct sandbox sandbox;
    struct box_template *as_template; /* owned; NULL: nothing is forked from it */
    struct box *parent;               /* borrowed; a child's template, NULL once that is dead */
    struct list sibling;              /* struct box_template.children */
    struct egress_instance *egress;   /* owned; NULL: it has no way out of its own */
    struct box_trial *trial;          /* owned; until the sandbox has been verified */
    struct step_clock *clock;         /* borrowed from boxes.clocks while it is set up; NULL = nobody keeps it */
    struct err *failure;              /* owned; why it has to go, NULL when nothing failed */
    struct message_tree *waiting;     /* owned; PUBLISH or DISCARD of its staging directory, done when it is dead */
    ev_io on_exit, on_setup, on_oom;
    ev_timer timer;
};

struct boxes {
    struct supervisor *supervisor;
    struct list all;       /* struct box.link */
    unsigned living;       /* in `all` */
    unsigned counted;      /* boxes with `counts` */
    unsigned helpers;      /* of those, unpackers and deleters */
    uint64_t memory_bytes; /* their limits together */
    uint64_t next_serial;  /* names the cgroups: never used twice, so a dying one is in nobody's way */
    struct box **buckets;  /* owned; by id */
    size_t bucket_count;   /* a power of two */
    struct uids uids;
    struct verified verified;
    struct start_clocks clocks;
};

int boxes_init(struct boxes *b, struct supervisor *s, struct err *e);
void boxes_fini(struct boxes *b); /* none may live */

/* Answers with SPAWNED or SPAWN_FAILED, now or later. `m` was checked; secrets_fd is what came with it, borrowed, -1 = nothing. -EPROTO when the id is in use. */
int boxes_spawn(struct boxes *b, const struct message_spawn *m, int secrets_fd);
/* A child of a template: SPAWNED with the files by which it joins its groups, or SPAWN_FAILED. -EPROTO when the id is in use, or the other is no template. */
int boxes_prepare(struct boxes *b, const struct message_prepare *m);
/* It counts as the child, or it is killed. An unknown id is one whose EXITED is under way. -EPROTO for what is no child, or one that was adopted before. */
int boxes_adopt(struct boxes *b, const struct message_adopt *m);
/* Only functions, and no template while children of it live: they would be frozen with it. Nothing where the host can't. */
void boxes_freeze(struct boxes *b, uint64_t id, bool frozen);
void boxes_kill(struct boxes *b, uint64_t id);  /* an unknown id is one whose EXITED is under way */
void boxes_usage(struct boxes *b, uint64_t id); /* likewise */
void boxes_tell_steps(struct boxes *b, const struct message_steps *m); /* STEPS_ARE, empty when they are not kept */

/* The network that a WAITING one asked for (supervisor/egress.h): fd, borrowed, or -1 and why there is none. */
void box_on_network(struct box *x, int fd, const struct err *why);

/* The gateway is gone: everything of its dies unheard. */
void boxes_abandon(struct boxes *b);

/* True when a box still fills staging/ID: it is killed, and the message is carried out when it is dead, or, where another waits for that, answered with EBUSY. */
bool boxes_defer_tree(struct boxes *b, const struct message_tree *m);

#endif
