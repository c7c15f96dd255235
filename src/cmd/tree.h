/* SPDX-License-Identifier: Apache-2.0 */
/* Removing a directory with all that is in it. */
#ifndef FAASD_CMD_TREE_H
#define FAASD_CMD_TREE_H

#include "base/err.h"

/* Follows no link and crosses no mount point, bind mounts included: what is mounted below makes it fail, never lose a
 * file. An absent one is fine. */
int tree_remove(const char *path, struct err *e);

#endif
