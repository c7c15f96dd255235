/* SPDX-License-Identifier: Apache-2.0 */
/* The reply under construction; inside the library only. */
#ifndef FAASD_FUNCTION_REPLY_H
#define FAASD_FUNCTION_REPLY_H

#include "faasd/function.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    REPLY_ERROR_TYPE_MAX = 64,
    REPLY_ERROR_MESSAGE_MAX = 1024,
    REPLY_KEPT_BYTES =
        262144, /* a buffer that one large request has grown is given back, so that an idle worker stays small */
    REPLY_FIELDS_MAX = 65536,
    REPLY_FLUSH_BYTES = 65536, /* of a stream: so much is not kept back */
};

struct growing {
    char *data; /* owned; NULL until the first byte */
    size_t length;
    size_t room;
};

struct faasd_reply {
    unsigned status;
    bool failed;   /* type and message stand, the rest does not count */
    bool has_type; /* the handler has named a Content-Type */
    bool streams;  /* its head has been sent, the body follows in CHUNKs */
    int fd;        /* borrowed: where it goes */
    uint64_t id;   /* of its request */
    struct growing fields;
    struct growing body;
    char type[REPLY_ERROR_TYPE_MAX];
    char message[REPLY_ERROR_MESSAGE_MAX];
};

void faasd_reply_reset(struct faasd_reply *reply); /* for the next request; keeps small buffers */
void faasd_reply_free(struct faasd_reply *reply);
/* Makes both buffers ahead, as small as they begin. 0, or -1: no memory. */
int faasd_reply_make_room(struct faasd_reply *reply);

/* What faasd_fail() does. */
void faasd_reply_vfail(struct faasd_reply *reply, const char *type, const char *format, va_list arguments)
    FAASD_PRINTF(3, 0);

/* A stream's last words: what is left of the body, and its end. 0, or -1: faasd has gone. */
int faasd_reply_end_stream(struct faasd_reply *reply);

/* Fills in what the handler left open. */
void faasd_reply_complete(struct faasd_reply *reply);

#endif
