/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pid 1 of a sandbox: runs what the gateway asks for on the control socket, one program at a time, and leaves nothing of it behind
 * (sandbox/init_protocol.h). It is started with fd 0 = /dev/null, 1 and 2 = the log pipe, 3 = the control socket and, for most workers
 * and for shells, 4; with an argument it serves workers (INIT_START), without one programs (INIT_EXEC). A second argument is the key of a strict filter (sandbox/profile.h). Every namespace, limit and filter of the sandbox already holds. It runs as the same user as the programs: what keeps them apart
 * is that init is not dumpable (no ptrace, no /proc/1/mem) and that signals from inside its pid namespace do not reach pid 1
 * (pid_namespaces(7)). A request that is not exact ends init, and with it the sandbox.
 */
#ifndef FAASD_INIT_SERVER_H
#define FAASD_INIT_SERVER_H

/* Never returns: it exits when the control socket closes, when a worker ended that is not to be started again, or when something is wrong. */
_Noreturn void server_run(long argc, char **argv);

#endif
