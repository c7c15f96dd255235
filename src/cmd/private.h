/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The private daemon of `faasd run` and `faasd dev`: a supervisor in a temporary root, beside the command line, gone with it.
 *
 * this process ── guardian ── supervisor ── gateway, sandboxes
 *
 * The guardian waits for the supervisor and then removes the root. It stands between because neither end can do that:
 * the supervisor sees the base tree's binds of /usr mounted beneath the root, and this process may be killed. When
 * this process dies, of whatever, the guardian is told by its death signal; it leads a session of its own, so that a
 * terminal's Ctrl-C reaches it only through this process, in order.
 */
#ifndef FAASD_CMD_PRIVATE_H
#define FAASD_CMD_PRIVATE_H

#include "supervisor/supervisor.h"

#include <sys/types.h>

struct private_options {
    const char *config_path; /* the host's config.json: its grants hold here too */
    const char *log_dir;     /* NULL: logs go with the root */
    const char *listen;      /* an address to serve requests on; NULL: the sockets alone */
    bool allow_degraded;
};

struct private_daemon {
    pid_t guardian;
    char root[64];
    char socket[96]; /* control.sock */
};

/* Returns when requests are accepted. From here to private_stop(), SIGINT, SIGTERM and SIGHUP stop the daemon at once
 * instead of killing this process; its connections then break off. */
int private_start(struct private_daemon *d, const struct private_options *o, struct err *e);

/* The signal that came in between, 0 for none. */
int private_signal(void);

/* Ends it, waits, and puts the signals back. */
void private_stop(struct private_daemon *d);

#endif
