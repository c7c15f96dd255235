/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files of the configuration's code_buckets. The gateway names a bucket and a key; which directory that is stands in the root-owned configuration, the kernel keeps the
 * way beneath it (openat2(2): no ".." out of it, no link, no other file system), and what is handed out is one regular file, open for reading.
 */
#ifndef FAASD_SUPERVISOR_BUCKET_H
#define FAASD_SUPERVISOR_BUCKET_H

#include "supervisor/channel.h"

/* The descriptor, or -ENXIO: no such bucket, -ENOENT: no such regular file, or what the kernel said. */
int bucket_open(const struct config *c, const char *bucket, const char *key, struct err *e);
void bucket_answer(struct channel *to, const struct config *c, const struct message_object *m); /* a checked message */

#endif
