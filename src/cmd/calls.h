/* SPDX-License-Identifier: Apache-2.0 */
/* What commands about asynchronous calls have in common: `result`, `invocation cancel`, `invocation redrive`, `invoke --async`. */
#ifndef FAASD_CMD_CALLS_H
#define FAASD_CMD_CALLS_H

#include "cmd/client.h"

/* Could this be a call's id? If not, says so: CMD_USAGE is due. */
bool calls_check_id(const char *command, const char *id);
/* "/v1/calls/ID" + rest, with a NUL. 0 or -ENOMEM. The id was checked. */
int calls_path(struct buf *out, const char *id, const char *rest);

/* `faasd invocation ls --async`: GET /v1/calls, page by page. */
struct calls_ls {
    const struct client_target *target;
    const char *function, *status; /* NULL = any */
    uint64_t count;                /* 0 = the default */
    bool json;
};
int calls_ls(const struct calls_ls *l);

/* `faasd invocation cancel ID...` and `faasd invocation redrive ID... | --function NAME`, argv[0] the verb: print "ID STATUS" a line, or the daemon's replies. The exit status of
 * the last that failed. */
int calls_cancel(int argc, char **argv);
int calls_redrive(int argc, char **argv);

#endif
