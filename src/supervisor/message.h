/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything that supervisor and gateway say to each other: fixed-size messages on one SOCK_SEQPACKET pair. This enum is the
 * supervisor's whole attack surface towards a gateway that was taken over; each message is length-checked before use, and what
 * it may ask for is what the root-owned configuration grants. The only header that both sides include.
 */
#ifndef FAASD_SUPERVISOR_MESSAGE_H
#define FAASD_SUPERVISOR_MESSAGE_H

#include "base/err.h"
#include "codec/config.h"
#include "codec/secret.h"
#include "codec/settings.h"
#include "supervisor/message_steps.h"

enum {
    MESSAGE_DIGEST_MAX = 65, /* 64 lower-case hex digits and a NUL */
    MESSAGE_FDS_MAX = 8,
    MESSAGE_SLOTS_MAX = 16,
    MESSAGE_LAYERS_MAX = 5,
    MESSAGE_SECRETS_MAX = SETTINGS_SECRETS_MAX + 1, /* a function's own, and its role's */
    MESSAGE_CALL_WORDS = 8,                         /* 512 system call numbers */
    MESSAGE_KEY_MAX = 1025,                         /* an object's key and a NUL */
    MESSAGE_STATUS_UNKNOWN = -1,                    /* in place of a wait status */
    MESSAGE_HELPER_MEMORY_MAX = 256 << 20,          /* of an unpacker or deleter, which memory_budget does not count */
};

/* The digest of no code: /var/task is an empty directory. No tree has it: it would be a SHA-256 of zeros. */
#define MESSAGE_NO_CODE "0000000000000000000000000000000000000000000000000000000000000000"

enum message_type {
    /* gateway -> supervisor */
    MESSAGE_HELLO = 1, /* the gateway accepts requests: message_plain */
    MESSAGE_SPAWN,     /* message_spawn, and a descriptor where it has secrets */
    MESSAGE_KILL,      /* message_plain: id of the instance; answered by MESSAGE_EXITED */
    MESSAGE_USAGE,     /* message_plain: id of the instance; answered by MESSAGE_USAGE_IS */
    MESSAGE_PUBLISH,   /* message_tree: staging/ID -> versions/DIGEST, durably; answered by MESSAGE_DONE */
    MESSAGE_DISCARD,   /* message_tree: staging/ID -> trash; answered by MESSAGE_DONE */
    MESSAGE_RETIRE,    /* message_tree: versions/DIGEST -> trash; answered by MESSAGE_DONE */
    MESSAGE_PREPARE, /* message_prepare: groups for a template's child; answered by SPAWNED (fds: the files to join by, or none: the last child's) or SPAWN_FAILED */
    MESSAGE_ADOPT, /* message_adopt: the child is in its groups; where it is not what it claims to be it is killed, and EXITED follows. No other answer */
    MESSAGE_FREEZE, /* message_plain: nothing of the instance runs until THAW or KILL. Nothing where the host can't. No answer */
    MESSAGE_THAW,  /* message_plain. No answer */
    MESSAGE_PONG,  /* message_plain, id 0: the answer to PING */
    MESSAGE_STEPS, /* message_steps: when the steps of an instance's start were done; answered by MESSAGE_STEPS_ARE */
    MESSAGE_OPEN_OBJECT, /* message_object: a file of a code_bucket; answered by DONE with its descriptor, or ENXIO: no such bucket, ENOENT: no such file */
    MESSAGE_CONFIG_TAKEN, /* message_plain, id 0: the answer to CONFIG, in use from here on */
    MESSAGE_CONFIG_KEPT,  /* the other one: the former stays, and the log says why */
    /* supervisor -> gateway */
    MESSAGE_SPAWNED = 64, /* message_spawned + fds */
    MESSAGE_SPAWN_FAILED, /* message_failed: no such instance (any more); `text` is for the person who deployed. Ends the id: no EXITED follows. */
    MESSAGE_EXITED,       /* message_exited: every process of the instance is dead. Ends the id. */
    MESSAGE_USAGE_IS,     /* message_exited, status 0 */
    MESSAGE_DONE,         /* message_failed; code 0 = done */
    MESSAGE_DRAIN,        /* message_plain: finish what runs, refuse the rest, then exit 0 */
    MESSAGE_CONFIG,    /* message_plain + fd: memfd with a new struct config; answered by CONFIG_TAKEN or CONFIG_KEPT */
    MESSAGE_PING,      /* message_plain, id 0: does the loop still turn? */
    MESSAGE_STEPS_ARE, /* message_steps_are. Ends the id. */
};

#include "supervisor/message_record.h"

struct message_plain {
    struct message_header header;
};

enum message_spawn_kind {
    MESSAGE_SPAWN_FUNCTION, /* code = versions/DIGEST read-only at /var/task */
    MESSAGE_SPAWN_SHELL,    /* as FUNCTION, with a pty */
    MESSAGE_SPAWN_UNPACK,   /* staging/ID, made here, writable at /staging; the faasd program at /faasd */
    MESSAGE_SPAWN_DELETE,   /* the trash directory, writable at /trash; the faasd program at /faasd */
};

/* One of a function's secrets. */
struct message_secret {
    char name[SETTINGS_NAME_MAX]; /* what it was sealed under */
    char file[SETTINGS_NAME_MAX]; /* beneath /run/secrets */
    uint16_t reserved;            /* 0 */
    uint32_t sealed_bytes;        /* codec/secret.h; 0: there is none of that name (any more) */
};

/* With secret_count > 0 comes one descriptor: a memfd, sealed against every change, that holds the sealed secrets one after another and nothing else. Without it
 * the gateway had no descriptor free, or every sealed_bytes is 0. */
struct message_spawn {
    struct message_header header;
    uint32_t kind;
    uint32_t runtime;                 /* enum settings_runtime */
    char function[SETTINGS_NAME_MAX]; /* for names of cgroups, logs, the hostname; "" for UNPACK and DELETE */
    char digest[MESSAGE_DIGEST_MAX];  /* of the code; "" for UNPACK and DELETE */
    uint32_t layer_count; /* trees of versions/; FUNCTION, SHELL: one at /opt at most; UNPACK: /layers/0 ... */
    char layers[MESSAGE_LAYERS_MAX][MESSAGE_DIGEST_MAX];
    char revision
        [MESSAGE_DIGEST_MAX]; /* of code and settings: the sandbox of a revision is verified at its first start */
    uint64_t staging;         /* UNPACK: the staging directory's number */
    uint64_t memory_bytes, tmp_bytes;
    uint32_t pids;
    uint32_t cpus_milli;
    uint32_t cpu_weight;
    uint32_t network;     /* enum settings_network */
    uint32_t allow_count; /* EGRESS: where it leads; 0: every public address */
    struct egress_rule allow[EGRESS_RULES_MAX];
    uint32_t tmp_exec;
    uint32_t seccomp; /* enum settings_seccomp; all but DEFAULT for FUNCTION alone */
    uint32_t slots;   /* of children of a template, a root and a /tmp each; 0: it is none; MESSAGE_SLOTS_MAX at most */
    char runtime_name
        [SETTINGS_RUNTIME_MAX]; /* of an entry of config.runtimes: its prefix is mounted. "" = none needed */
    uint32_t mount_count, device_count;
    char cpuset[64];
    struct settings_mount mounts[SETTINGS_MOUNTS_MAX];
    char devices[SETTINGS_DEVICES_MAX][64];
    uint64_t
        system_calls[MESSAGE_CALL_WORDS]; /* LEARNED: a bit for each number, of which the default's count; else 0 */
    uint32_t secret_count;
    struct message_secret secrets[MESSAGE_SECRETS_MAX];
};

/* fds, in this order: control (to init, SOCK_SEQPACKET, sandbox/init_protocol.h), log (read end of the pipe that is stdout and stderr of
 * init and native workers), then for runtimes native, python and node the worker's socket (SOCK_STREAM, faasd/frame.h), for provided a stream socket whose first byte
 * brings, by SCM_RIGHTS, the listening socket of the Runtime API that the sandbox's set-up made in its network namespace, for SHELL the pty's master. All CLOEXEC, all
 * non-blocking. In answer to PREPARE: the cgroup files alone, or none when the gateway has them and the groups are the same; pid 0. Sent as soon as the process exists (its set-up still runs, a failure is SPAWN_FAILED afterwards), except at the first
 * start of a revision: then after the outside check has passed. */
struct message_spawned {
    struct message_header header;
    uint32_t fd_count;
    int32_t pid; /* of init, on the host: for people (`faasd ls`, logs) */
};

/* A child of a template shares its namespaces and ids; it has limits and groups of its own, the same as the template's. */
struct message_prepare {
    struct message_header header; /* id: the child's */
    uint64_t template;            /* the instance it will be forked from */
    uint32_t
        slot; /* below MESSAGE_SLOTS_MAX: whose groups it gets are those of the slot's last child, which its template waits for before it forks */
    uint32_t
        has_files; /* 1: the gateway still has the files of the slot's last child, so they need not be sent again */
};

struct message_adopt {
    struct message_header header;
    int32_t
        pid; /* as the kernel named the sender of its READY (SCM_CREDENTIALS): the supervisor finds exactly this process in its groups */
    uint32_t reserved;
};

struct message_failed {
    struct message_header header;
    struct err error; /* code 0: no failure */
};

struct message_exited {
    struct message_header header;
    /* Wait status of init; of a child whose ADOPT came, its own, or SIGKILL's when KILL came while it lived. MESSAGE_STATUS_UNKNOWN when none came, or the child was waited for before it could be read and
     * the kernel keeps none (before 6.15): faasd's templates wait for a child only when its slot is used again. */
    int32_t status;
    uint32_t oom_kills;   /* 0: memory was not the reason */
    uint32_t pids_denied; /* forks refused at the pids limit */
    uint32_t killed;      /* 1: a MESSAGE_KILL came first */
    uint64_t memory_peak_bytes;
    uint64_t shmem_bytes; /* /tmp and shared memory when last seen; 0 = unknown */
    uint64_t cpu_ns;
};

struct message_tree {
    struct message_header header;
    uint64_t staging;
    char digest[MESSAGE_DIGEST_MAX];
};

struct message_object {
    struct message_header header;
    char bucket[CONFIG_BUCKET_MAX];
    char key[MESSAGE_KEY_MAX]; /* a path beneath the bucket's directory */
};

/* What the gateway finds when it starts: fd 3 = the message socket, fd 4 = a memfd holding struct gateway_boot, listeners from fd 5 on. */
enum { GATEWAY_FD_LINK = 3, GATEWAY_FD_BOOT = 4, GATEWAY_FD_LISTENERS = 5 };
enum gateway_listener_kind {
    GATEWAY_LISTENER_LOOPBACK, /* TCP on 127.0.0.0/8 or ::1 */
    GATEWAY_LISTENER_REMOTE,   /* any other TCP address */
    GATEWAY_LISTENER_INVOKE,   /* invoke.sock and `--listen unix:` */
    GATEWAY_LISTENER_CONTROL,  /* control.sock */
    GATEWAY_LISTENER_METRICS,  /* metrics_listen: /metrics and /healthz, nothing else */
};

struct gateway_boot {
    uint32_t magic; /* CONFIG_MAGIC */
    uint32_t listener_count;
    uint32_t listener_kinds[CONFIG_LISTEN_MAX * 2 + 3];
    char db_dir[CONFIG_PATH_MAX], log_dir[CONFIG_PATH_MAX]; /* state/db, state/logs: owned by the gateway's uid */
    char versions_dir[CONFIG_PATH_MAX], staging_dir[CONFIG_PATH_MAX]; /* readable */
    char hostname[65];
    uint8_t secrets_key[SECRET_KEY_BYTES]; /* the public one, for who seals */
    uint32_t quiet, no_groups, shares_id;  /* 1: no info lines; sandboxes in no cgroup; one id for all processes */
    uint32_t owner;                        /* who uid 0 is on the host: 0, or the ordinary user whose daemon this is */
    unsigned char signing_key[32];         /* opens and seals the tokens' signing keys (supervisor/signing_key.h) */
    struct config config;
};

#endif
