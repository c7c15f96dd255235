/* SPDX-License-Identifier: Apache-2.0 */
/*
 * faasd: a function runtime for one Linux host.
 *
 *   cmd/         the command line: a table of subcommands, flags -> one call
 *   gateway/     the unprivileged half: HTTP, routes, registry, pools, invocations, store
 *   resolver/    an unprivileged process of its own: names for functions with network egress
 *   supervisor/  the privileged half: the message loop, spawning, killing, accounting
 *   sandbox/     the plan of a sandbox, made by the parent, carried out by the child
 *   codec/       bytes <-> structs: http1, json, settings, config, archive
 *   os/          one kernel noun each: ns, mnt, cgroup, seccomp, caps, ...
 *   base/        err, log, buf, str, list, clock, fdio
 */
#include "cmd/cmd.h"

int main(int argc, char **argv)
{
    return cmd_main(argc, argv);
}
