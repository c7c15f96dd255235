/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/store_ring.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

/* Before every record, so that records stay aligned. A `skip` says: go on at the ring's beginning. */
struct record_head {
    uint32_t size;
    uint32_t skip;
};

enum { RECORD_ALIGN = 8, TRIM_BYTES = 128 * 1024 };

static_assert(sizeof(struct record_head) == RECORD_ALIGN, "the head keeps the alignment");

int store_ring_init(struct store_ring *r, size_t size)
{
    assert((size & (size - 1)) == 0);
    void *bytes = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (bytes == MAP_FAILED)
        return -errno;
    *r = (struct store_ring){.bytes = bytes, .size = size};
    return 0;
}

void store_ring_fini(struct store_ring *r)
{
    if (r->bytes)
        munmap(r->bytes, r->size);
    r->bytes = NULL;
}

static void put_head(struct store_ring *r, uint64_t at, struct record_head head)
{
    memcpy(r->bytes + (at & (r->size - 1)), &head, sizeof(head));
}

/* An empty ring's pages hold nothing, and the writer is the only one who could put something there: a burst does not stay resident. */
static void trim(struct store_ring *r, uint64_t head, uint64_t tail)
{
    if (head != tail || head - r->trimmed < TRIM_BYTES)
        return;
    madvise(r->bytes, r->size, MADV_DONTNEED);
    r->trimmed = head;
}

bool store_ring_put(struct store_ring *r, const struct iovec *parts, unsigned count)
{
    uint64_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
    uint64_t tail = atomic_load_explicit(&r->tail, memory_order_acquire);
    size_t size = 0;
    for (unsigned i = 0; i < count; i++)
        size += parts[i].iov_len;
    size_t whole = sizeof(struct record_head) + ((size + RECORD_ALIGN - 1) & ~(size_t)(RECORD_ALIGN - 1));
    size_t to_end = r->size - (head & (r->size - 1));
    size_t skip = whole > to_end ? to_end : 0;
    if (size > UINT32_MAX || skip + whole > r->size - (head - tail))
        return false;
    trim(r, head, tail);
    if (skip) {
        put_head(r, head, (struct record_head){.skip = 1});
        head += skip;
    }
    put_head(r, head, (struct record_head){.size = (uint32_t)size});
    char *at = r->bytes + (head & (r->size - 1)) + sizeof(struct record_head);
    for (unsigned i = 0; i < count; i++) {
        if (parts[i].iov_len)
            memcpy(at, parts[i].iov_base, parts[i].iov_len);
        at += parts[i].iov_len;
    }
    atomic_store(&r->head, head + whole);
    return true;
}

static struct record_head head_at(const struct store_ring *r, uint64_t at)
{
    struct record_head head;
    memcpy(&head, r->bytes + (at & (r->size - 1)), sizeof(head));
    return head;
}

/* Where the oldest record begins, past a skip. */
static bool find_record(struct store_ring *r, uint64_t *ret_at, struct record_head *ret_head)
{
    uint64_t head = atomic_load(&r->head);
    uint64_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
    if (head == tail)
        return false;
    *ret_head = head_at(r, tail);
    if (ret_head->skip) {
        tail += r->size - (tail & (r->size - 1));
        *ret_head = head_at(r, tail);
    }
    *ret_at = tail;
    return true;
}

bool store_ring_peek(struct store_ring *r, const char **ret_bytes, size_t *ret_size)
{
    uint64_t at;
    struct record_head head;
    if (!find_record(r, &at, &head))
        return false;
    *ret_bytes = r->bytes + (at & (r->size - 1)) + sizeof(head);
    *ret_size = head.size;
    return true;
}

void store_ring_pop(struct store_ring *r)
{
    uint64_t at;
    struct record_head head;
    bool found = find_record(r, &at, &head);
    assert(found);
    size_t whole = sizeof(head) + ((head.size + (size_t)RECORD_ALIGN - 1) & ~(size_t)(RECORD_ALIGN - 1));
    atomic_store_explicit(&r->tail, at + whole, memory_order_release);
}

size_t store_ring_used(const struct store_ring *r)
{
    /* The tail first: read the other way round it could run past the head that was seen. */
    uint64_t tail = atomic_load(&r->tail);
    return (size_t)(atomic_load(&r->head) - tail);
}

uint64_t store_ring_written(const struct store_ring *r)
{
    return atomic_load(&r->head);
}

uint64_t store_ring_read(const struct store_ring *r)
{
    return atomic_load(&r->tail);
}

bool store_queue_put(struct store_queue *q, void *item)
{
    uint32_t head = atomic_load_explicit(&q->head, memory_order_relaxed);
    if (head - atomic_load_explicit(&q->tail, memory_order_acquire) == STORE_QUEUE_SLOTS)
        return false;
    q->slots[head % STORE_QUEUE_SLOTS] = item;
    atomic_store(&q->head, head + 1);
    return true;
}

void *store_queue_take(struct store_queue *q)
{
    uint32_t tail = atomic_load_explicit(&q->tail, memory_order_relaxed);
    if (atomic_load(&q->head) == tail)
        return NULL;
    void *item = q->slots[tail % STORE_QUEUE_SLOTS];
    atomic_store_explicit(&q->tail, tail + 1, memory_order_release);
    return item;
}

bool store_queue_is_empty(const struct store_queue *q)
{
    return atomic_load(&q->head) == atomic_load(&q->tail);
}
