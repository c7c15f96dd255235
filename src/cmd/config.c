/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/changes.h"
#include "cmd/client.h"
#include "cmd/cmd.h"
#include "cmd/config_show.h"
#include "cmd/settings_flags.h"

#include <stdio.h>
#include <string.h>

static int change(const struct client_target *target, const char *name, const struct settings_flags *flags, bool json)
{
    struct buf path;
    struct buf body;
    struct buf reply;
    struct err e = {0};
    buf_init(&path, 0);
    buf_init(&body, 0);
    buf_init(&reply, 0);
    int status = CMD_FAILED;
    if (settings_flags_print_json(flags, &body, &e) < 0 || client_path(&path, name, "") < 0) {
        fprintf(stderr, "faasd config: %s\n", *e.text ? e.text : "out of memory");
    } else {
        const struct client_request request = {
            .method = "PATCH",
            .target = path.data,
            .fields = STR_LITERAL("Content-Type: application/json\r\n"),
            .body = buf_str(&body),
            .body_fd = -1,
            .has_body = true,
        };
        const struct client_call call = {.command = "config", .target = target, .request = &request};
        status = client_call(&call, &reply);
        if (status == CMD_OK)
            status = changes_print(&(struct changes){.command = "config", .reply = buf_str(&reply), .json = json});
    }
    buf_fini(&path);
    buf_fini(&body);
    buf_fini(&reply);
    return status;
}

int cmd_config(int argc, char **argv)
{
    struct client_target target = {0};
    struct settings_flags flags;
    struct config_show show = {.target = &target};
    if (settings_flags_init(&flags) < 0)
        return CMD_FAILED;
    const struct option table[] = {{.name = "json", .kind = OPTION_BOOL, .target = &show.json},
                                   {.name = "daemon", .kind = OPTION_BOOL, .target = &show.daemon},
                                   {.name = "config", .kind = OPTION_TEXT, .target = &show.config},
                                   CLIENT_OPTIONS(&target),
                                   {0}};
    struct options o = {.command = "config",
                        .tables = {table, flags.table},
                        .operands_min = 1,
                        .operands_max = 1,
                        .operands_text = "a function's NAME"};
    int status = options_parse(&o, argc, argv);
    if (status == OPTIONS_GO_ON && (show.daemon || show.config) && strcmp(o.operands[0], "show") != 0)
        status = options_refuse("config", "--daemon and --config are for `faasd config show`");
    else if (status == OPTIONS_GO_ON && settings_flags_are_given(&flags))
        status = client_check_name("config", str_from(o.operands[0]))
                     ? change(&target, o.operands[0], &flags, show.json)
                     : CMD_USAGE;
    else if (status == OPTIONS_GO_ON && strcmp(o.operands[0], "show") == 0)
        status = config_show(&show);
    else if (status == OPTIONS_GO_ON)
        status = options_refuse("config", "nothing to change: give a setting, as in `faasd config %s --memory 256M`",
                                o.operands[0]);
    settings_flags_fini(&flags);
    return status;
}
