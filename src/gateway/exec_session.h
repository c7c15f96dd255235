/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A sandbox whose init serves one process per request: the gateway's half of sandbox/init_protocol.h. Used for exec functions (through the
 * pool) and, with a sandbox of its own made here, for the unpacker and the deleter.
 */
#ifndef FAASD_GATEWAY_EXEC_SESSION_H
#define FAASD_GATEWAY_EXEC_SESSION_H

#include "base/buf.h"
#include "gateway/gateway.h"

/* What came of a one-shot run. */
struct exec_result {
    struct err error; /* code != 0: the sandbox could not be made or was lost; the rest is empty then */
    int status;       /* wait status of the program */
    bool timed_out;
    bool out_of_memory;
    struct str out;      /* stdout, at most out_max bytes; borrowed for the call */
    struct str err_tail; /* the last of stderr, at most 2 KiB; borrowed for the call */
};

struct exec_once_options {
    enum message_spawn_kind kind; /* UNPACK or DELETE */
    uint64_t staging;             /* UNPACK */
    unsigned layer_count;         /* UNPACK: trees shown to it at /layers/0 and on */
    const char (*layers)[MESSAGE_DIGEST_MAX];
    const char *const *argv; /* NULL-terminated, copied */
    int stdin_fd;            /* taken over; -1 = /dev/null */
    uint64_t memory_bytes;
    uint64_t timeout_ms;
    size_t out_max;
    void (*on_done)(void *owner, const struct exec_result *r); /* once, never from inside exec_once */
    void *owner;
};

/* Makes the sandbox, runs the program, kills the sandbox, calls back. The returned handle is valid until on_done. NULL when memory is out. */
struct exec_once *exec_once(struct gateway *g, const struct exec_once_options *o);
void exec_once_cancel(struct exec_once *run); /* on_done still comes, with -ECANCELED */

#endif
