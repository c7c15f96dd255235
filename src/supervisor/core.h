/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The supervisor's parts, which know each other through this struct. One thread, one libev loop.
 *
 *   phase      moves on by                                            guarded by
 *   STARTING   the first gateway's HELLO -> SERVING; its death -> exit 1   gateway.timer (hello)
 *   SERVING    SIGTERM or SIGINT -> DRAINING                          nothing: it lasts as long as the service
 *   DRAINING   the gateway's exit, a second signal -> STOPPING        drain timer
 *   STOPPING   the last box is gone -> the loop ends                  drain timer
 */
#ifndef FAASD_SUPERVISOR_CORE_H
#define FAASD_SUPERVISOR_CORE_H

#include "os/cgroup.h"
#include "sandbox/spawn.h"
#include "supervisor/ahead.h"
#include "supervisor/box.h"
#include "supervisor/channel.h"
#include "supervisor/configuration.h"
#include "supervisor/egress.h"
#include "supervisor/gateway_process.h"
#include "supervisor/listen.h"
#include "supervisor/reload.h"
#include "supervisor/request.h"
#include "supervisor/secret_key.h"
#include "supervisor/signing_key.h"
#include "supervisor/state.h"
#include "supervisor/trees.h"
#include "supervisor/watchdog.h"

#include <ev.h>

enum supervisor_phase { SUPERVISOR_STARTING, SUPERVISOR_SERVING, SUPERVISOR_DRAINING, SUPERVISOR_STOPPING };

struct supervisor {
    const struct supervisor_options *options; /* borrowed */
    enum supervisor_phase phase;
    int exit_status;
    struct ev_loop *loop; /* owned */
    struct config config;
    struct accounts accounts;
    uint32_t code_owner;
    int self_fd; /* this program, kept even when its file is replaced */
    struct feature_set features;
    struct state state;
    struct listeners listeners;
    char listening[LISTENERS_MAX * CONFIG_PATH_MAX]; /* those, and the sockets, for people */
    struct cgroup_tree *groups;                      /* owned */
    struct sandbox_base *base;                       /* owned */
    struct secret_keys *keys;                        /* owned, supervisor/secret_key.h */
    unsigned char signing_key[SIGNING_KEY_BYTES];    /* handed to each gateway */
    struct gateway_process gateway;
    struct channel channel;
    struct boxes boxes;
    struct trees trees;
    ev_signal on_term, on_int, on_hup;
    ev_timer drain_timer;
    struct watchdog watchdog;
    struct reload reload;
    struct ahead ahead;
    struct egress egress;
};

/* What the parts report, in supervisor.c. */
void supervisor_on_request(struct supervisor *s, union request *r, size_t size,
                           int fd); /* fd: what came with it, borrowed; -1 = nothing */
void supervisor_on_gateway_exit(struct supervisor *s, int status);
void supervisor_on_gateway_broken(struct supervisor *s,
                                  const char *why);  /* it is not to be trusted any more: killed and replaced */
void supervisor_on_boxes_gone(struct supervisor *s); /* the last one was freed */

#endif
