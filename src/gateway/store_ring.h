/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lock-free rings between the loop and the store thread, one writer and one reader each. Neither side ever waits for the other: a full ring
 * refuses. Records of bytes for log lines; pointers for jobs.
 */
#ifndef FAASD_GATEWAY_STORE_RING_H
#define FAASD_GATEWAY_STORE_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/* Positions only grow; the place in the ring is the position modulo its size. */
struct store_ring {
    char *bytes;           /* owned, mapped: pages are resident only once used */
    size_t size;           /* a power of two */
    uint64_t trimmed;      /* the writer's: position when unused pages were last given back */
    _Atomic uint64_t head; /* the writer's */
    _Atomic uint64_t tail; /* the reader's */
};

int store_ring_init(struct store_ring *r, size_t size); /* 0 or -errno; size is a power of two and at least a page */
void store_ring_fini(struct store_ring *r);

/* Writer: one record made of the parts. False when it does not fit now. */
bool store_ring_put(struct store_ring *r, const struct iovec *parts, unsigned count);
/* Reader: the oldest record, contiguous and 8-byte aligned; valid until store_ring_pop. False when empty. */
bool store_ring_peek(struct store_ring *r, const char **ret_bytes, size_t *ret_size);
void store_ring_pop(struct store_ring *r);
size_t store_ring_used(const struct store_ring *r); /* bytes, from either side */
/* Where the last record that was put, or popped, ended. */
uint64_t store_ring_written(const struct store_ring *r);
uint64_t store_ring_read(const struct store_ring *r);

enum { STORE_QUEUE_SLOTS = 256 };

struct store_queue {
    void *slots[STORE_QUEUE_SLOTS];
    _Atomic uint32_t head;
    _Atomic uint32_t tail;
};

bool store_queue_put(struct store_queue *q, void *item); /* false when full */
void *store_queue_take(struct store_queue *q);           /* NULL when empty */
bool store_queue_is_empty(const struct store_queue *q);

#endif
