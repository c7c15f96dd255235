/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/client.h"
#include "cmd/cmd.h"

#include <stdio.h>

static int remove_function(const struct client_target *target, const char *name)
{
    struct buf path;
    struct buf reply;
    buf_init(&path, 0);
    buf_init(&reply, 0);
    int status = CMD_FAILED;
    if (client_path(&path, name, "") == 0) {
        const struct client_request request = {.method = "DELETE", .target = path.data, .body_fd = -1};
        const struct client_call call = {.command = "rm", .target = target, .request = &request};
        status = client_call(&call, &reply);
    }
    buf_fini(&path);
    buf_fini(&reply);
    return status;
}

int cmd_rm(int argc, char **argv)
{
    struct client_target target = {0};
    const struct option table[] = {CLIENT_OPTIONS(&target), {0}};
    struct options o = {.command = "rm",
                        .tables = {table},
                        .operands_min = 1,
                        .operands_max = -1,
                        .operands_text = "the NAME of a function"};
    int status = options_parse(&o, argc, argv);
    if (status != OPTIONS_GO_ON)
        return status;
    status = CMD_OK;
    for (int i = 0; i < o.operand_count; i++) {
        int one =
            client_check_name("rm", str_from(o.operands[i])) ? remove_function(&target, o.operands[i]) : CMD_USAGE;
        if (one == CMD_UNREACHABLE || one == CMD_DENIED)
            return one; /* the next would fail in the same way */
        if (one == CMD_OK)
            fprintf(stderr, "%s: removed\n", o.operands[i]);
        else
            status = one;
    }
    return status;
}
