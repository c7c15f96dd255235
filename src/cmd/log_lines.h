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

/* What a log said, for whoever has the request's error to tell after it and nothing to tell twice. */
struct log_shown {
    struct buf lines; /* the messages that were printed, a newline behind each; the first of them when there are many */
    struct buf
        verdict; /* "FunctionError: the program ...": faasd's own word on how the request ended, which was not printed; empty without one */
};

void log_shown_init(struct log_shown *s);
void log_shown_fini(struct log_shown *s);
/* Cuts the verdict into the error's type and the text. False without one. */
bool log_shown_verdict(const struct log_shown *s, struct str *ret_type, struct str *ret_text);
bool log_shown_has(const struct log_shown *s, struct str line);

struct log_request {
    const char *function;
    const char *id;
    struct log_shown *shown; /* to be filled; NULL: every line is printed */
};
/* What one request wrote, on stderr, the messages alone. `c` is a connection of its own. */
int log_lines_of_request(struct client *c, const struct log_request *r, struct err *e);

#endif
