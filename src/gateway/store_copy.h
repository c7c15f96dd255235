/* SPDX-License-Identifier: Apache-2.0 */
/* Databases as files, for backup and restore: whether a daemon has them open or not. */
#ifndef FAASD_GATEWAY_STORE_COPY_H
#define FAASD_GATEWAY_STORE_COPY_H

#include "base/err.h"

/* A consistent copy of the database at `from` into the new file `to`, of one moment, while others read and write it. */
int store_copy_database(const char *from, const char *to, struct err *e);
/* Reads all of it. -EUCLEAN: damaged. */
int store_check_database(const char *path, struct err *e);

#endif
