/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the gateway does to itself before it parses a byte, so that whoever takes it over through a parser holds little: its own database and log
 * directories, the listening sockets, and the messages that the supervisor checks (supervisor/message.h).
 *
 * Called once, by the only thread, before the store's thread is started: a thread inherits the filter and the Landlock domain of its maker, so all of the
 * process is covered without SECCOMP_FILTER_FLAG_TSYNC (seccomp(2), landlock(7)).
 */
#ifndef FAASD_GATEWAY_CONFINE_H
#define FAASD_GATEWAY_CONFINE_H

#include "os/seccomp.h"
#include "supervisor/message.h"

/* Refuses (-EPERM) to go on as uid 0, with a capability, or with a second thread. Nothing is undone on failure: the process is to end. */
int gateway_confine(const struct gateway_boot *boot, struct err *e);

/* The filter's table; the row of tgkill gets this process's pid when the filter is built. */
const struct seccomp_rule *gateway_confine_rules(size_t *ret_count);

#endif
