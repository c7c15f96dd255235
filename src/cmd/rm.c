/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/client.h"
#include "cmd/cmd.h"
#include "cmd/remove.h"

static int check(const char *command, const char *name)
{
    return client_check_name(command, str_from(name)) ? CMD_OK : CMD_USAGE;
}

int cmd_rm(int argc, char **argv)
{
    const struct removal functions = {.command = "rm",
                                      .verb = "rm",
                                      .operands_text = "the NAME of a function",
                                      .path = "/v1/functions/",
                                      .check = check};
    return remove_all(&functions, argc, argv);
}
