/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sockets that a service manager made for us (sd_listen_fds(3)): descriptors from 3 on, LISTEN_FDS of them, meant for the process LISTEN_PID.
 * TCP sockets stand in place of the addresses that `listen` names. Unix sockets: the one called "control" (FileDescriptorName=) is control.sock's place, the one called
 * "invoke" invoke.sock's; others are further ones to invoke through.
 */
#ifndef FAASD_SUPERVISOR_ACTIVATION_H
#define FAASD_SUPERVISOR_ACTIVATION_H

#include "codec/config.h"

enum { ACTIVATION_FD_FIRST = 3, ACTIVATION_MAX = CONFIG_LISTEN_MAX + 2 };

enum activation_role { ACTIVATION_TCP, ACTIVATION_CONTROL, ACTIVATION_INVOKE, ACTIVATION_MORE };

struct activated {
    int fd; /* made CLOEXEC and non-blocking */
    enum activation_role role;
    bool is_loopback;           /* TCP */
    char name[CONFIG_PATH_MAX]; /* "127.0.0.1:8080", or the socket's path */
};

/* How many there are: 0 when none are meant for this process. -E2BIG. */
int activation_count(struct err *e);
/* Looks at each, once; the variables are gone afterwards, so that no child takes them for its own. A socket that does not listen, or is of another kind, is refused
 * by its number. */
int activation_take(struct activated out[ACTIVATION_MAX], unsigned *ret_count, struct err *e);

#endif
