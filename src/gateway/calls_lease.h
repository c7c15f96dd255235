/* SPDX-License-Identifier: Apache-2.0 */
/* The rows that the loop is running: a set of numbers in memory, because a call that was cut off is simply there again at the next start. */
#ifndef FAASD_GATEWAY_CALLS_LEASE_H
#define FAASD_GATEWAY_CALLS_LEASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct calls_leases {
    uint64_t *slots;   /* owned; open addressing, 0 = free */
    size_t count, cap; /* cap: a power of two, or 0 */
};

int calls_leases_add(struct calls_leases *l, uint64_t seq);         /* seq > 0, not in it. 0 or -ENOMEM */
void calls_leases_remove(struct calls_leases *l, uint64_t seq);     /* absent is fine */
bool calls_leases_have(const struct calls_leases *l, uint64_t seq); /* never 0 */
void calls_leases_fini(struct calls_leases *l);

#endif
