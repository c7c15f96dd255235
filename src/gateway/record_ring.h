/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The newest records of invocations that have ended, in memory: a ring of fixed size whose pages are resident only once they are used. Putting one in takes no
 * allocation and no system call. A record is named by its number, which only grows: one that has been overwritten is not there any more.
 */
#ifndef FAASD_GATEWAY_RECORD_RING_H
#define FAASD_GATEWAY_RECORD_RING_H

#include "base/str.h"
#include "gateway/account.h"
#include "gateway/invocation.h"

enum { RECORD_TYPE_MAX = 32 };

enum record_status { RECORD_SUCCEEDED, RECORD_FAILED, RECORD_CANCELLED, RECORD_EXPIRED };

/* What the peak of memory is a peak of. */
enum record_peak {
    RECORD_PEAK_UNKNOWN,
    RECORD_PEAK_INSTANCE, /* its instance since it started, earlier requests among it */
    RECORD_PEAK_REQUEST,  /* an instance that saw no other request */
    RECORD_PEAK_PROCESS,  /* the largest process of the request */
};

struct record {
    uint64_t number; /* from 1 on; 0: the place has never been used */
    uint8_t id[ID_UUID_BYTES];
    struct account *account; /* counted */
    uint64_t started_ms;     /* real time: when the request was admitted */
    uint64_t run_us;         /* from delivery to the reply; 0: it never was delivered */
    uint64_t cpu_us;
    uint64_t instance; /* 0: none */
    uint64_t previous; /* number of the one before it of the same instance whose usage is open; 0: none */
    uint32_t queue_us, spawn_us, init_us;
    uint32_t version;
    uint32_t memory_kib; /* the limit */
    uint32_t peak_kib;
    uint16_t http_status;
    uint8_t status, outcome, start; /* enum record_status, invocation_outcome, invocation_start */
    uint8_t peak;                   /* enum record_peak */
    bool delivered;
    bool background;            /* an attempt at an asynchronous call */
    bool usage_open;            /* the kernel's count of its instance is still to come */
    char type[RECORD_TYPE_MAX]; /* of a failure, cut; "" for others */
    struct trace_ids trace;     /* all zero: no trace */
};

struct record_ring {
    struct record *records; /* mapped; NULL until the first */
    uint32_t size;
    uint64_t last; /* number of the newest; 0 = none */
};

void record_ring_init(struct record_ring *r, uint32_t size);
void record_ring_fini(struct record_ring *r);

/* The place of the next record, zeroed but for its number; what stood there is forgotten. NULL when memory is out. */
struct record *record_ring_add(struct record_ring *r);
struct record *record_ring_at(const struct record_ring *r, uint64_t number); /* NULL: overwritten, or never was */
struct record *record_ring_find(const struct record_ring *r, const uint8_t id[ID_UUID_BYTES]); /* NULL: not there */
uint64_t record_ring_oldest(const struct record_ring *r); /* number; 1 more than `last` when there is none */

/* A UUID in lower case as its bytes; false when it is none. */

#endif
