/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/record_ring.h"

#include <assert.h>
#include <string.h>
#include <sys/mman.h>

void record_ring_init(struct record_ring *r, uint32_t size)
{
    assert(size > 0);
    *r = (struct record_ring){.size = size};
}

void record_ring_fini(struct record_ring *r)
{
    for (uint64_t n = record_ring_oldest(r); n <= r->last; n++)
        account_put(record_ring_at(r, n)->account);
    if (r->records)
        munmap(r->records, r->size * sizeof(*r->records));
    r->records = NULL;
    r->last = 0;
}

struct record *record_ring_add(struct record_ring *r)
{
    if (!r->records) {
        void *p = mmap(NULL, r->size * sizeof(*r->records), PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (p == MAP_FAILED)
            return NULL;
        r->records = p;
    }
    struct record *at = &r->records[(r->last + 1) % r->size];
    account_put(at->account);
    *at = (struct record){.number = ++r->last};
    return at;
}

struct record *record_ring_at(const struct record_ring *r, uint64_t number)
{
    if (!r->records || number == 0)
        return NULL;
    struct record *at = &r->records[number % r->size];
    return at->number == number ? at : NULL;
}

uint64_t record_ring_oldest(const struct record_ring *r)
{
    return r->last >= r->size ? r->last - r->size + 1 : 1;
}

/* From the newest back: who asks has seen its id a moment ago. */
struct record *record_ring_find(const struct record_ring *r, const uint8_t id[RECORD_ID_BYTES])
{
    for (uint64_t n = r->last; n >= record_ring_oldest(r) && n > 0; n--) {
        struct record *at = record_ring_at(r, n);
        if (at && memcmp(at->id, id, RECORD_ID_BYTES) == 0)
            return at;
    }
    return NULL;
}

/* ---- ids ---- */

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool is_dash_place(size_t i)
{
    return i == 8 || i == 13 || i == 18 || i == 23;
}

bool record_parse_id(struct str text, uint8_t ret_id[RECORD_ID_BYTES])
{
    uint8_t bytes[RECORD_ID_BYTES] = {0};
    size_t digits = 0;
    if (text.n != ID_UUID_MAX - 1)
        return false;
    for (size_t i = 0; i < text.n; i++) {
        int value = digit(text.p[i]);
        if (is_dash_place(i) ? text.p[i] != '-' : value < 0)
            return false;
        if (is_dash_place(i))
            continue;
        bytes[digits / 2] = (uint8_t)(bytes[digits / 2] << 4 | (uint8_t)value);
        digits++;
    }
    memcpy(ret_id, bytes, sizeof(bytes));
    return true;
}

void record_print_id(const uint8_t id[RECORD_ID_BYTES], char out[ID_UUID_MAX])
{
    char *to = out;
    for (size_t i = 0; i < RECORD_ID_BYTES; i++) {
        if (is_dash_place((size_t)(to - out)))
            *to++ = '-';
        *to++ = "0123456789abcdef"[id[i] >> 4];
        *to++ = "0123456789abcdef"[id[i] & 15];
    }
    *to = '\0';
}
