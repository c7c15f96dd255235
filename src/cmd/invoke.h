/* SPDX-License-Identifier: Apache-2.0 */
/* One call of a function over a client's connection: shared by `faasd invoke` and `faasd run`. */
#ifndef FAASD_CMD_INVOKE_H
#define FAASD_CMD_INVOKE_H

#include "cmd/client.h"
#include "cmd/event.h"

enum { INVOKE_ID_MAX = 64 };

struct invoke {
    const char *name;      /* may carry ":QUALIFIER" */
    const char *qualifier; /* NULL: none */
    struct str fields;     /* further header lines */
    struct event event;
    bool async; /* queue it: the reply is 202 with the call's id */
};

int invoke_send(struct client *c, const struct invoke *in, const struct http1_response **ret_reply, struct err *e);

/* The error is faasd's, as opposed to a function's own 404. */
bool invoke_failed_in_faasd(const struct http1_response *reply);

/* The body to a file, a pipe or, as far as it is plain text, a terminal; output NULL: stdout. `command` for messages. */
struct invoke_output {
    const char *command;
    const char *file;
};
int invoke_deliver(struct client *c, const struct http1_response *reply, const struct invoke_output *to, struct err *e);
int invoke_copy_body(struct client *c, int fd, struct err *e);

void invoke_keep_id(const struct http1_response *reply, char id[INVOKE_ID_MAX]); /* X-Request-Id, "" without one */

#endif
