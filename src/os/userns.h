/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The user namespace in which an ordinary user's daemon is root (user_namespaces(7)): its uid 0 is the user, its ids from USERNS_FIRST on are the user's subordinate ids,
 * nothing else of the host is mapped, so that root's files look like nobody's there. It owns a mount namespace as well, a copy of the host's.
 *
 * Whoever entered executes itself again: what a process holds of /proc (its own maps, those of its children) belongs to the namespace in which its program was
 * executed, and to the first namespace's root until then.
 */
#ifndef FAASD_OS_USERNS_H
#define FAASD_OS_USERNS_H

#include "base/err.h"
#include "os/subid.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum {
    USERNS_WHY_MAX = 200,
    USERNS_OVERFLOW = 65534, /* what ids that are not mapped look like (/proc/sys/kernel/overflowuid) */
    USERNS_FIRST = 1000,     /* inside: the first of the subordinate ids */
    USERNS_IDS_MAX = USERNS_OVERFLOW - USERNS_FIRST, /* so no id that is mapped is mistaken for one that is not */
    USERNS_IDS_MIN = 32,                             /* fewer are as good as none */
};

struct userns {
    bool entered; /* this process was executed in a namespace that userns_enter made */
    uid_t owner;  /* who its uid 0 is outside; of a process that has not entered: its effective uid */
    uint32_t ids; /* entered: how many there are from USERNS_FIRST on; 0: all processes have the owner's */
    char why
        [USERNS_WHY_MAX]; /* entered without ids: why there are none; not entered: why userns_enter failed; else "" */
};

/* About this process. Learnt at the first call from what userns_enter left in the environment, which is taken out of there. */
const struct userns *userns_own(void);

/* Makes the namespaces of this single-threaded process and executes it again with its arguments, environment and descriptors as they are. Returns -errno only when nothing
 * was changed; userns_own()->why says it too. `uids`, `gids`: as many of either, mapped by newuidmap(1) and newgidmap(1); NULL: only the user's own id and
 * group are mapped, and `why` says the reason. Where the two programs fail it is as if there were none. */
int userns_enter(const struct subids *uids, const struct subids *gids, const char *why, struct err *e);

#endif
