/* SPDX-License-Identifier: Apache-2.0 */
/* The lines of GET /v1/functions/NAME/logs, as they arrive and as people read them. */
#ifndef FAASD_CMD_LOG_LINES_H
#define FAASD_CMD_LOG_LINES_H

#include "cmd/client.h"

#include <stdio.h>

enum log_style {
    LOG_LINES_FULL,    /* time, request, message */
    LOG_LINES_LOCAL,   /* the same in this machine's time zone */
    LOG_LINES_MESSAGE, /* the message alone */
    LOG_LINES_JSON,    /* as it came */
};

/* Prints each line of the reply's body until it ends; flushes after every run that arrived, for followers. */
int log_lines_print(struct client *c, FILE *to, enum log_style style, struct err *e);

/* What one request wrote, by its id, on `to`, the messages alone. `open` is a connection of its own. */
int log_lines_of_request(struct client *c, const char *function, const char *request_id, FILE *to, struct err *e);

#endif
