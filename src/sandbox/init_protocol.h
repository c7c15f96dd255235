/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the gateway and a sandbox's init (pid 1) say on the control socket, a SOCK_SEQPACKET pair: one message is one record, so
 * neither side ever sees half of one. Descriptors travel by SCM_RIGHTS. Included by the freestanding init: fixed-width types only.
 *
 * exec:   init -> READY (stdout, stderr of the next request); gateway -> EXEC (stdin); init -> DONE, when every process of the request is dead and
 *         /tmp is empty again (of a program that failed: before, as what /tmp held may be why); init -> READY, when it is empty ...
 * worker: gateway -> START; the worker itself says READY on its own socket; init -> WORKER_EXITED once, and init exits.
 *         With INIT_COMMAND_AGAIN: the worker's processes are killed when it has ended, /tmp stays, init waits for another START; INIT_STOP
 *         kills what runs, WORKER_EXITED follows. With INIT_COMMAND_TEMPLATE: init stays while children of the worker live.
 * shell:  gateway -> EXEC with the pty; init -> DONE.
 */
#ifndef FAASD_SANDBOX_INIT_PROTOCOL_H
#define FAASD_SANDBOX_INIT_PROTOCOL_H

#include <stdint.h>

enum {
    INIT_FD_CONTROL = 3,
    INIT_FD_WORKER = 4,       /* worker: handed to the first one as its fd 3; shell: the pty's slave */
    INIT_RECORD_MAX = 163840, /* below the default SO_SNDBUF of 212,992 with room for its bookkeeping */
    INIT_KEY_DIGITS =
        16, /* hexadecimal, of the key by which a strict filter lets something be executed: init's second argument */
    INIT_STRINGS_MAX = 4096, /* arguments plus environment entries */
};

enum init_type {
    /* gateway -> init */
    INIT_START =
        1, /* struct init_command + at most one fd: the worker's fd 3 (without one: INIT_FD_WORKER, once, else none) */
    INIT_EXEC = 2, /* struct init_command + at most one fd: stdin (without one: /dev/null) */
    INIT_STOP =
        3, /* struct init_head: only after a START with INIT_COMMAND_AGAIN; nothing when its WORKER_EXITED is on the way */
    /* init -> gateway */
    INIT_READY =
        16, /* struct init_head + two fds: read ends of stdout and stderr, made by init so that their owner is the instance's uid
                          * and a shell's `> /dev/stderr` works */
    INIT_DONE,          /* struct init_done */
    INIT_WORKER_EXITED, /* struct init_done, request 0 */
    INIT_NOTICES, /* struct init_head + one fd, from the set-up before init begins: who listens to the sandbox's filter; request: enum init_notices */
};

enum init_notices { INIT_NOTICES_DENY, INIT_NOTICES_GO_ON }; /* what the gateway answers */

struct init_head {
    uint32_t type;
    uint32_t size; /* of the record */
    uint64_t request;
};

/* Runs a program NAME.py that no `#!` line gives an interpreter, when it has no argument. */
#define INIT_PYTHON "/usr/bin/python3"

/* argc + envc NUL-terminated strings follow: argv[0] is the path to execute, then its arguments, then NAME=VALUE. */
struct init_command {
    struct init_head head;
    uint32_t argc;
    uint32_t envc;
    uint32_t flags;
    uint32_t reserved;
};

enum init_command_flag {
    INIT_COMMAND_PTY = 1,      /* stdin, stdout, stderr are INIT_FD_WORKER, made the controlling terminal */
    INIT_COMMAND_KEEP_TMP = 2, /* do not empty /tmp afterwards (one-shot sandboxes) */
    INIT_COMMAND_AGAIN = 4,    /* START: the worker may be started again in this sandbox, each time with a new socket */
    INIT_COMMAND_TEMPLATE = 8, /* START: the worker's children outlive it */
    INIT_COMMAND_FILES =
        16, /* EXEC: the event stands in INIT_FILE_REQ, the reply is what INIT_FILE_RES holds at the end: init writes it to the
                                * pipe of stdout, and the program's own stdout goes where its stderr goes */
};

/* In the sandbox's /tmp, there for one request. */
#define INIT_FILE_REQ "/tmp/req"
#define INIT_FILE_RES "/tmp/res"

enum init_done_flag {
    INIT_DONE_EXEC_FAILED = 1, /* `error` is the errno of execve; status is meaningless */
    INIT_DONE_TMP_FULL = 2,    /* /tmp had no free block or inode when the request ended */
    INIT_DONE_NO_EVENT =
        4, /* INIT_COMMAND_FILES: the event could not be written, `error` says why; nothing was started */
    INIT_DONE_NO_REPLY =
        8, /* INIT_COMMAND_FILES: what stands at INIT_FILE_RES is no regular file, or could not be read */
};

struct init_done {
    struct init_head head;
    int32_t status; /* wait status (waitpid(2)) of the request's first process */
    int32_t error;
    uint32_t flags;
    uint32_t killed; /* processes that outlived the first one and were killed */
    uint64_t user_us;
    uint64_t system_us;
    uint64_t maxrss_kib;
    uint64_t tmp_bytes; /* what /tmp and /dev/shm held when the last process was dead */
};

#endif
