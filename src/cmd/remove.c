/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/remove.h"

#include "cmd/client.h"
#include "cmd/cmd.h"

#include <stdio.h>

static int remove_one(const struct removal *r, const struct client_target *target, const char *word, const char *query)
{
    struct buf path, reply;
    int status = CMD_FAILED;
    buf_init(&path, 0);
    buf_init(&reply, 0);
    if (buf_add_text(&path, r->path) == 0 && client_encode(&path, word) == 0 && buf_add_text(&path, query) == 0 &&
        buf_add(&path, "", 1) == 0) {
        const struct client_request request = {.method = "DELETE", .target = path.data, .body_fd = -1};
        const struct client_call call = {.command = r->verb, .target = target, .request = &request};
        status = client_call(&call, &reply);
    } else {
        fprintf(stderr, "faasd %s: out of memory\n", r->verb);
    }
    if (status == CMD_OK)
        fprintf(stderr, "%s: removed\n", word);
    buf_fini(&path);
    buf_fini(&reply);
    return status;
}

int remove_all(const struct removal *r, int argc, char **argv)
{
    struct client_target target = {0};
    bool force = false;
    const struct option common[] = {CLIENT_OPTIONS(&target), {0}};
    const struct option own[] = {{.name = "force", .kind = OPTION_BOOL, .target = &force}, {0}};
    struct options o = {.command = r->command,
                        .tables = {common, r->takes_force ? own : NULL},
                        .operands_min = 1,
                        .operands_max = -1,
                        .operands_text = r->operands_text};
    int status = options_parse(&o, argc, argv);
    if (status != OPTIONS_GO_ON)
        return status;
    status = CMD_OK;
    for (int i = 0; i < o.operand_count; i++) {
        int one = r->check(r->command, o.operands[i]);
        if (one == CMD_OK)
            one = remove_one(r, &target, o.operands[i], force ? "?force=1" : "");
        if (one == CMD_UNREACHABLE || one == CMD_DENIED)
            return one; /* the next would fail in the same way */
        if (one != CMD_OK)
            status = one;
    }
    return status;
}
