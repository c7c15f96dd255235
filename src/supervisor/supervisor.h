/* SPDX-License-Identifier: Apache-2.0 */
/* The privileged half's entry: `faasd serve` and the private daemon of `faasd run`. */
#ifndef FAASD_SUPERVISOR_SUPERVISOR_H
#define FAASD_SUPERVISOR_SUPERVISOR_H

#include "codec/config.h"

/* Where things are (CONTRACT 2). Absolute paths. */
struct supervisor_paths {
    char run[CONFIG_PATH_MAX];         /* sockets, lock, base tree */
    char state[CONFIG_PATH_MAX];       /* db/, versions/, staging/, trash/, logs/, FORMAT */
    char config[CONFIG_PATH_MAX];      /* config.json; conf.d/ beside it */
    char logs[CONFIG_PATH_MAX];        /* "" = state/logs */
    char credentials[CONFIG_PATH_MAX]; /* what systemd gives to read (systemd.exec(5), Credentials); "" = nothing */
};

struct supervisor_options {
    struct supervisor_paths paths;
    bool config_must_exist;     /* --config was given */
    unsigned listen_count;      /* --listen, over the file's */
    const char *url_domain;     /* --url-domain, the same */
    const char *metrics_listen; /* --metrics-listen, over the file's; NULL: none was given */
    const char *listen[CONFIG_LISTEN_MAX];
    bool no_tcp; /* faasd run: sockets only */
    bool allow_degraded;
    bool insecure_control; /* over what the configuration says */
    bool check_config;     /* read the configuration, print what is wrong, exit */
    bool quiet;            /* faasd run: no "ready" line; errors only */
    bool transient;        /* faasd run, faasd dev: nothing has to outlive a power cut */
    int ready_fd;          /* one byte is written when requests are accepted; -1 = none */
};

/* Runs until told to stop. Returns the exit status: 0 after a drain. */
int supervisor_main(const struct supervisor_options *o);

/* The paths for --root DIR (NULL: FAASD_ROOT, systemd's directories, or the system's or user's default). Shared with the client. */
int supervisor_find_paths(const char *root, struct supervisor_paths *ret_paths, struct err *e);

/* config.json parsed in a short-lived child that drops its power first; flags laid over it. */
int supervisor_load_config(const struct supervisor_options *o, struct config *ret_config, struct err *e);

#endif
