/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which program runs a function of which runtime: names of runtimes, the interpreters that this host has for them, and the command that
 * init starts. Pure look-ups in the configuration; nothing here touches the file system.
 */
#ifndef FAASD_GATEWAY_RUNTIME_H
#define FAASD_GATEWAY_RUNTIME_H

#include "codec/config.h"
#include "gateway/registry.h"

/* The entry for a function's settings: "python" takes the host's default, "python3.11" that one, "nodejs20.x" the host's node (whose bootstrap refuses another major
 * version when it starts). NULL with a sentence that lists what there is (e->code ENOENT), or without (e->code 0) for the runtimes that need none. */
const struct config_runtime *runtime_find(const struct config *c, const struct settings *s, struct err *e);

/* Begins the command at hand (exec_channel.h) for the worker of a version: interpreter and bootstrap, or the handler itself, then its
 * environment. 0 or -errno with a sentence. */
int runtime_begin_worker(const struct config *c, const struct function *f, const struct version *v, struct err *e);

/* Are instances of such a function to be forked from an initialised one, if its worker says that it can be? */
bool runtime_wants_template(const struct settings *s);

#endif
