/* SPDX-License-Identifier: Apache-2.0 */
/* The access log's file, on the store's thread: DIR/NAME and DIR/NAME.1, together at most as long as one function's logs. What can't be written is dropped, and
 * the daemon's log says so once. */
#ifndef FAASD_GATEWAY_STORE_ACCESS_H
#define FAASD_GATEWAY_STORE_ACCESS_H

#include "base/buf.h"
#include "codec/config.h"

struct store_access {
    int dirfd;                        /* borrowed */
    char name[CONFIG_ACCESS_LOG_MAX]; /* of what is open; "" = nothing */
    int fd;                           /* owned; -1 = none. "stderr" has none */
    uint64_t size, size_max;
    struct buf batch;
    bool troubled;
};

void store_access_init(struct store_access *a, int dirfd);
void store_access_fini(struct store_access *a); /* flushes */
/* `line` without its newline; `name`: "stderr" or a file's. */
void store_access_append(struct store_access *a, struct str name, struct str line);
void store_access_flush(struct store_access *a);

#endif
