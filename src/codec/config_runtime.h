/* SPDX-License-Identifier: Apache-2.0 */
/* The interpreters of a configuration: those it names, and those that are found on this host. */
#ifndef FAASD_CODEC_CONFIG_RUNTIME_H
#define FAASD_CODEC_CONFIG_RUNTIME_H

#include "codec/config.h"

/* After the files: what stands in `runtimes` must exist and be safe to execute (a refusal names the key), and what /usr/bin has is added behind. Looks
 * at the host's files and nothing else. -errno with a sentence. */
int config_find_runtimes(struct config *c, struct err *e);

/* "runtimes": one entry, replacing an earlier one of its name. -EINVAL. */
int config_set_runtime(struct config *c, const char *name, const char *path, struct err *e);

/* The interpreter that a runtime's name means: its own entry; else, where the name leaves the version open, what is called so on this host, else the highest; for
 * node of some major version also an entry "node", whose version only it knows. NULL: -ENOENT with what there is. family: PYTHON or NODE. */
const struct config_runtime *config_choose_runtime(const struct config *c, enum settings_runtime family,
                                                   const char *name, struct err *e);
int config_python_minor(const struct config_runtime *r); /* 11 of python3.11; -1: neither name nor path says it */

#endif
