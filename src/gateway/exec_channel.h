/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gateway's end of init's control socket (sandbox/init_protocol.h): starts programs inside one sandbox, collects stdout, passes stderr
 * on as log lines, says how they ended. Policy (deadlines, replies) is the owner's.
 *
 *   CLOSED     no socket yet                                             (the owner's timer)
 *   WAITING    init has not said READY                                   (the owner's timer)
 *   READY      the next program's pipes are here                         (needs no timer: nothing is expected)
 *   RUNNING    EXEC was sent                                             (the owner's timer)
 *   FINISHING  DONE came; both pipes are read to their end               (needs none: every writer is dead)
 */
#ifndef FAASD_GATEWAY_EXEC_CHANNEL_H
#define FAASD_GATEWAY_EXEC_CHANNEL_H

#include "gateway/line_reader.h"
#include "gateway/notices.h"
#include "sandbox/init_protocol.h"

enum exec_channel_state {
    EXEC_CHANNEL_CLOSED,
    EXEC_CHANNEL_WAITING,
    EXEC_CHANNEL_READY,
    EXEC_CHANNEL_RUNNING,
    EXEC_CHANNEL_FINISHING
};

/* Each may destroy the channel's owner: the channel touches nothing of itself after a call. */
struct exec_channel_events {
    void (*on_ready)(void *owner);
    void (*on_finished)(void *owner, const struct init_done *done); /* stdout is complete in channel->out */
    /* stdout went over out.limit, or there is no memory for more of it; reading has stopped */
    void (*on_flood)(void *owner);
    /* exec_options.streams: more of stdout stands in channel->out, which the owner takes what it wants from; it must leave the channel to itself. False:
     * no more before exec_channel_resume, except what a program that has ended left in the pipe. NULL for owners that never stream. */
    bool (*on_output)(void *owner);
    void (*on_worker_exited)(void *owner, const struct init_done *done); /* may start the next one */
    void (*on_lost)(void *owner, const char *why); /* init broke the protocol or closed the socket */
};

struct exec_channel {
    struct gateway *gateway;
    const struct exec_channel_events *events;
    void *owner;
    enum exec_channel_state state;
    int control_fd; /* owned */
    ev_io control_watcher;
    int out_fd; /* owned: stdout of the program at hand */
    ev_io out_watcher;
    struct buf out;
    bool streams, paused;    /* of the program at hand */
    struct line_reader log;  /* stderr of the program at hand */
    uint64_t request;        /* number of the program at hand */
    bool unread;             /* on_lost: what was sent last had not been read when init ended */
    bool worker_runs;        /* START was sent and its WORKER_EXITED has not come */
    struct notices *notices; /* owned: who listens to the sandbox's filter; NULL where it tells nothing */
    struct learned_calls
        *learned; /* borrowed, set by the owner before the socket is attached: where what it learns goes; may be NULL */
    struct init_done done; /* of the last program that ended; its `request` says which */
};

/* `log` is initialised by the owner before (line_reader_init): whose lines they are is its knowledge. */
void exec_channel_init(struct exec_channel *c, struct gateway *g, const struct exec_channel_events *events,
                       void *owner);
void exec_channel_attach(struct exec_channel *c, int control_fd); /* CLOSED -> WAITING; takes the descriptor over */
void exec_channel_drain(struct exec_channel *c);                  /* reads what stands in the control socket now */
void exec_channel_fini(struct exec_channel *c);

/* Arguments and environment of one program, put together in the channel module's one record buffer: begin, add all arguments, then all environment
 * entries, then send. -E2BIG when they do not fit one record. */
int exec_command_begin(void);
int exec_command_add_argument(const char *text);
int exec_command_add_environment(const char *name, struct str value);
int exec_command_add_entries(const char *entries, size_t n); /* NAME=VALUE\0 ... */
/* The bytes that names and values may still take. */
size_t exec_command_room(void);

/* An event as a file: a program may read it again by /dev/stdin, whatever its size, and nobody has to pump. *ret_fd is -1 for an empty one (/dev/null). 0 or -errno. */
int exec_command_make_stdin(struct str body, int *ret_fd);

struct exec_options {
    const char *request_id;    /* for the log lines */
    struct log_tail *log_tail; /* borrowed: gets them too; NULL: nobody does */
    int stdin_fd;              /* -1 = /dev/null; stays the caller's */
    size_t out_max;
    uint32_t flags; /* enum init_command_flag */
    bool streams;   /* on_output is told; out_max does not count */
};
/* READY -> RUNNING with the command at hand. 0 or -errno (init is lost then). */
int exec_channel_exec(struct exec_channel *c, const struct exec_options *o);
void exec_channel_resume(struct exec_channel *c); /* after on_output said false */
/* Sends the command at hand as INIT_START: no READY is needed, none of the pipes is used, the channel stays in WAITING and on_worker_exited tells
 * the end. flags: 0, INIT_COMMAND_AGAIN (may be called again after each on_worker_exited) or INIT_COMMAND_TEMPLATE. fd: the worker's fd 3, stays the
 * caller's; -1: the socket that was made with the sandbox, which is handed out once, else none. No worker may be running. 0 or -errno (init is lost then). */
int exec_channel_start_worker(struct exec_channel *c, uint32_t flags, int fd);
/* After a start with INIT_COMMAND_AGAIN: kills what runs, on_worker_exited follows. Nothing when no worker runs, or its end is already on the way. */
int exec_channel_stop_worker(struct exec_channel *c);

#endif
