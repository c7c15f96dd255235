/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The last lines of one request's log, kept beside the log itself for a caller who asked for them. Belongs to the exchange (exchange.log_tail) and goes with it; while an instance works on the
 * request its line_reader feeds it and is pointed to from here.
 */
#ifndef FAASD_GATEWAY_LOG_TAIL_H
#define FAASD_GATEWAY_LOG_TAIL_H

#include "base/str.h"

enum { LOG_TAIL_MAX = 4096 };

struct line_reader;

struct log_tail {
    struct line_reader *reader; /* borrowed: who feeds it; NULL: nobody, yet or any more */
    size_t total;               /* bytes that were added */
    char bytes[LOG_TAIL_MAX];   /* the last of them: a ring */
};

struct log_tail *log_tail_new(void);    /* NULL: memory is out */
void log_tail_free(struct log_tail *t); /* NULL is fine */

void log_tail_add(struct log_tail *t, struct str line); /* and a newline */
/* What was written up to now is heard, an unfinished line too; nothing is added by the reader afterwards. */
void log_tail_close(struct log_tail *t);
/* In order, into room for LOG_TAIL_MAX. */
struct str log_tail_read(const struct log_tail *t, char out[LOG_TAIL_MAX]);

#endif
