/* SPDX-License-Identifier: Apache-2.0 */
/* What `faasd deploy` and `faasd run` send: a file, a directory or an archive as one stream. */
#ifndef FAASD_CMD_UPLOAD_H
#define FAASD_CMD_UPLOAD_H

#include "base/err.h"
#include "cmd/client.h"
#include "codec/settings.h"

#include <stdbool.h>

struct upload {
    int fd;         /* owned: the archive, at its start */
    uint64_t bytes; /* of the archive */
    bool native;    /* the one file is linked with libfaasd */
};

/* Says on stderr, after "faasd COMMAND: ", what it changed or left out. `handler` is the file to look at in a
 * directory; "" when unknown. */
struct upload_source {
    const char *command;
    const char *path;
    const char *handler;
    enum settings_runtime runtime;   /* python and node: a file is no program */
    enum settings_contract contract; /* files: NAME.py needs no header */
    bool quiet;                      /* what was changed or left out has been said before */
};
int upload_open(struct upload *u, const struct upload_source *source, struct err *e);

/* A script that runs `argv` in the sandbox, then writes "\n<mark> <exit status>\n" behind its output. `program` takes
 * argv[0]'s place: a path in the sandbox, or with `local` a file here that is sent beside the script. */
struct upload_command {
    char *const *argv; /* NULL-terminated */
    const char *program;
    bool local;
    const char *mark;
};
int upload_open_command(struct upload *u, const struct upload_command *command, struct err *e);
void upload_close(struct upload *u);

/* PUT /v1/functions/NAME. The reply stays to be read. */
struct upload_put {
    const char *name;
    const char *settings; /* JSON in ASCII */
    bool dry_run;
    bool progress; /* on stderr, where that is a terminal */
};
int upload_send(struct client *c, const struct upload *u, const struct upload_put *put,
                const struct http1_response **ret_reply, struct err *e);

#endif
