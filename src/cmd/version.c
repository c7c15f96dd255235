/* SPDX-License-Identifier: Apache-2.0 */
#include "version.h"
#include "cmd/cmd.h"
#include "cmd/options.h"
#include "cmd/output.h"

#include <sys/utsname.h>

int cmd_version(int argc, char **argv)
{
    bool json = false;
    const struct option table[] = {{.name = "json", .kind = OPTION_BOOL, .target = &json}, {0}};
    struct options o = {.command = "version", .tables = {table}};
    int status = options_parse(&o, argc, argv);
    if (status != OPTIONS_GO_ON)
        return status;
    struct utsname host;
    const char *machine = uname(&host) == 0 ? host.machine : "unknown";
    if (json)
        printf("{\"version\":\"%s\",\"architecture\":\"%s\"}\n", FAASD_VERSION, machine);
    else
        printf("faasd %s (%s)\n", FAASD_VERSION, machine);
    return output_finish("version", CMD_OK);
}
