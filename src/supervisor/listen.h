/* SPDX-License-Identifier: Apache-2.0 */
/* The listening sockets: made once by the supervisor and kept across restarts of the gateway, so that no connection in a backlog is lost. */
#ifndef FAASD_SUPERVISOR_LISTEN_H
#define FAASD_SUPERVISOR_LISTEN_H

#include "supervisor/activation.h"
#include "supervisor/state.h"

#include <sys/types.h>

enum { LISTENERS_MAX = CONFIG_LISTEN_MAX * 2 + 3 };

struct listener {
    int fd;
    uint32_t kind;              /* enum gateway_listener_kind */
    char name[CONFIG_PATH_MAX]; /* "127.0.0.1:8080" with the port it got, or the socket's path */
    ino_t inode;                /* of a Unix socket's file: only that one is removed at the end */
};

struct listeners {
    unsigned count;
    struct listener *at; /* owned, LISTENERS_MAX of them */
    unsigned activated_count;
    struct activated activated
        [ACTIVATION_MAX]; /* what listeners_open() puts in place of what it would make; its descriptors are taken over there */
};

/* Everything the configuration names, invoke.sock and control.sock. A taken port is reported with its holder. Nothing is left behind on failure. `l` is zero but
 * for what is activated. */
int listeners_open(struct listeners *l, const struct config *c, const struct accounts *a,
                   const struct supervisor_paths *p, struct err *e);
void listeners_close(struct listeners *l); /* and removes the Unix sockets that are still ours */

/* Before a new gateway gets them: the old one shared the sockets and may have shut one down. Returns how many could not be brought back. */
unsigned listeners_revive(struct listeners *l);

/* "listen=127.0.0.1:8080,[::1]:8080 control=/run/faasd/control.sock invoke=/run/faasd/invoke.sock", and behind
 * that " metrics=0.0.0.0:9100" where there is one */
void listeners_print(const struct listeners *l, char *out, size_t cap);

#endif
