/* SPDX-License-Identifier: Apache-2.0 */
/* The subordinate ids that the administrator gave a user: /etc/subuid and /etc/subgid (subuid(5)). */
#ifndef FAASD_OS_SUBID_H
#define FAASD_OS_SUBID_H

#include "base/err.h"

#include <stdint.h>
#include <sys/types.h>

enum { SUBID_RANGES_MAX = 8 };

struct subid_range {
    uint32_t first, count;
};

struct subids {
    unsigned count;
    struct subid_range ranges[SUBID_RANGES_MAX];
};

/* The lines of `path` that begin with the user's name or number; more than SUBID_RANGES_MAX, and lines that say nothing, are left out. -ENOENT when there is none.
 * What a directory service would add (nsswitch.conf's `subid`) is not asked. */
int subid_read(const char *path, uid_t user, struct subids *ret_ids, struct err *e);
/* How many in all, and the same cut off at `max`. */
uint32_t subid_total(const struct subids *s);
void subid_cut(struct subids *s, uint32_t max);

#endif
