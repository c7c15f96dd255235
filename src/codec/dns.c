/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/dns.h"

#include <assert.h>
#include <string.h>

enum {
    HEAD_BYTES = 12,
    FIXED_BYTES = 10, /* of a record behind its name: type, class, TTL, length */
    LABEL_MAX = 63,
    CLASS_IN = 1,
    CLASS_ANY = 255,
    FLAG_RESPONSE = 0x8000,
    MASK_OPCODE = 0x7800,
    FLAG_RECURSION_DESIRED = 0x0100,
    FLAG_RECURSION_AVAILABLE = 0x0080,
    MASK_RCODE = 0x000f,
    POINTER = 0xc0, /* RFC 1035 4.1.4 */
    TTL_MAX = 0x7fffffff,
};

struct reader {
    const uint8_t *bytes;
    size_t n, at;
    bool bad;
};

static unsigned read_u16(struct reader *r)
{
    if (r->bad || r->n - r->at < 2) {
        r->bad = true;
        return 0;
    }
    unsigned value = (unsigned)r->bytes[r->at] << 8 | r->bytes[r->at + 1];
    r->at += 2;
    return value;
}

static uint32_t read_u32(struct reader *r)
{
    uint32_t high = read_u16(r);
    return high << 16 | read_u16(r);
}

/* A name as its labels stand on the wire, in lower case and without pointers. */
struct wire_name {
    size_t n; /* with the empty label at its end */
    uint8_t bytes[DNS_WIRE_NAME_MAX];
};

static bool add_label(struct wire_name *name, const uint8_t *label, size_t length)
{
    if (name->n + 1 + length > sizeof(name->bytes))
        return false;
    name->bytes[name->n++] = (uint8_t)length;
    for (size_t i = 0; i < length; i++)
        name->bytes[name->n++] = (uint8_t)(label[i] >= 'A' && label[i] <= 'Z' ? label[i] | 0x20 : label[i]);
    return true;
}

/* Each pointer leads before the place where the name, or what the last pointer led to, began: so it ends. */
static void read_name(struct reader *r, struct wire_name *ret_name)
{
    size_t at = r->at, limit = r->at;
    bool followed = false;
    ret_name->n = 0;
    while (!r->bad) {
        if (at >= r->n)
            break;
        unsigned length = r->bytes[at];
        if (length >= POINTER) {
            if (r->n - at < 2)
                break;
            size_t to = (size_t)(length & (POINTER ^ 0xff)) << 8 | r->bytes[at + 1];
            if (!followed)
                r->at = at + 2;
            followed = true;
            if (to >= limit)
                break;
            at = limit = to;
            continue;
        }
        if (length > LABEL_MAX || r->n - at <= length || !add_label(ret_name, r->bytes + at + 1, length))
            break;
        at += 1 + length;
        if (length == 0) {
            if (!followed)
                r->at = at;
            return;
        }
    }
    r->bad = true;
}

static bool is_host_byte(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

static void write_text(const struct wire_name *name, char out[DNS_NAME_MAX])
{
    size_t n = 0;
    for (size_t at = 0; at < name->n && name->bytes[at]; at += 1 + (size_t)name->bytes[at]) {
        if (n)
            out[n++] = '.';
        for (size_t i = 1; i <= name->bytes[at]; i++) {
            if (!is_host_byte(name->bytes[at + i])) {
                out[0] = '\0';
                return;
            }
            assert(n < DNS_NAME_MAX - 1); /* 255 on the wire are at most 253 of text */
            out[n++] = (char)name->bytes[at + i];
        }
    }
    out[n] = '\0';
}

/* ---- queries ---- */

enum dns_outcome dns_read_query(const uint8_t *bytes, size_t n, struct dns_query *ret_query)
{
    struct reader r = {.bytes = bytes, .n = n};
    struct wire_name name;
    *ret_query = (struct dns_query){.id = (uint16_t)read_u16(&r)};
    unsigned flags = read_u16(&r), questions = read_u16(&r), answers = read_u16(&r);
    if (n < HEAD_BYTES || flags & FLAG_RESPONSE)
        return DNS_FOREIGN;
    ret_query->recursion_desired = flags & FLAG_RECURSION_DESIRED;
    if (flags & MASK_OPCODE || questions != 1 || answers != 0)
        return DNS_BAD;
    r.at = HEAD_BYTES;
    read_name(&r, &name);
    ret_query->type = (uint16_t)read_u16(&r);
    ret_query->class = (uint16_t)read_u16(&r);
    /* first in the message, a name has nothing to point to: it stands there as it is */
    if (r.bad || r.at - HEAD_BYTES != name.n + 4)
        return DNS_BAD;
    write_text(&name, ret_query->name);
    ret_query->question_bytes = name.n + 4;
    memcpy(ret_query->question, bytes + HEAD_BYTES, ret_query->question_bytes);
    return ret_query->class == CLASS_IN || ret_query->class == CLASS_ANY ? DNS_GOOD : DNS_BAD;
}

static size_t put_u16(uint8_t *out, size_t at, unsigned value)
{
    out[at] = (uint8_t)(value >> 8);
    out[at + 1] = (uint8_t)value;
    return at + 2;
}

static size_t put_u32(uint8_t *out, size_t at, uint32_t value)
{
    return put_u16(out, put_u16(out, at, value >> 16), value & 0xffff);
}

static size_t put_head(uint8_t *out, uint16_t id, unsigned flags, const unsigned counts[4])
{
    size_t at = put_u16(out, put_u16(out, 0, id), flags);
    for (unsigned i = 0; i < 4; i++)
        at = put_u16(out, at, counts[i]);
    return at;
}

size_t dns_put_query(uint8_t out[DNS_REPLY_MAX], const struct dns_query *q, uint16_t id)
{
    static_assert(HEAD_BYTES + DNS_QUESTION_MAX + 1 + FIXED_BYTES <= DNS_REPLY_MAX, "a query fits");
    static const unsigned counts[4] = {1, 0, 0, 1};
    size_t at = put_head(out, id, FLAG_RECURSION_DESIRED, counts);
    memcpy(out + at, q->question, q->question_bytes);
    at += q->question_bytes;
    out[at++] = 0; /* EDNS (RFC 6891): the root, OPT, how much may come back */
    at = put_u16(out, put_u16(out, at, DNS_OPT), DNS_MESSAGE_MAX);
    return put_u16(out, put_u32(out, at, 0), 0);
}

/* ---- answers ---- */

static bool same_name(const struct wire_name *a, const struct wire_name *b)
{
    return a->n == b->n && memcmp(a->bytes, b->bytes, a->n) == 0;
}

struct record {
    struct wire_name owner;
    unsigned type, class, length;
    uint32_t ttl_s;
    size_t data; /* where it stands */
};

static bool read_record(struct reader *r, struct record *ret_record)
{
    read_name(r, &ret_record->owner);
    ret_record->type = read_u16(r);
    ret_record->class = read_u16(r);
    ret_record->ttl_s = read_u32(r);
    ret_record->length = read_u16(r);
    ret_record->data = r->at;
    if (r->bad || r->n - r->at < ret_record->length) {
        r->bad = true;
        return false;
    }
    if (ret_record->ttl_s > TTL_MAX) /* RFC 2181 8: then it is 0 */
        ret_record->ttl_s = 0;
    r->at += ret_record->length;
    return true;
}

static void note_ttl(struct dns_answer *a, uint32_t ttl_s)
{
    if (ttl_s < a->ttl_s)
        a->ttl_s = ttl_s;
}

/* What `target` has among the answers: its addresses, or, true, the alias that it is becomes `target`. */
static bool follow(struct reader r, unsigned count, struct wire_name *target, struct dns_answer *a)
{
    struct record record;
    for (unsigned i = 0; i < count && read_record(&r, &record); i++) {
        if (record.class != CLASS_IN || !same_name(&record.owner, target))
            continue;
        struct reader data = {.bytes = r.bytes, .n = record.data + record.length, .at = record.data};
        if (record.type == DNS_CNAME) {
            read_name(&data, target);
            if (!data.bad)
                note_ttl(a, record.ttl_s);
            return !data.bad;
        }
        if (record.type != DNS_A || record.length != 4 || a->count == DNS_ADDRESSES_MAX)
            continue;
        a->addresses[a->count++] = read_u32(&data);
        note_ttl(a, record.ttl_s);
    }
    return false;
}

/* The same question, whatever the case of its letters. */
static bool question_matches(struct reader *r, const struct dns_query *q, struct wire_name *ret_name)
{
    struct wire_name asked;
    struct reader ours = {.bytes = q->question, .n = q->question_bytes};
    read_name(&ours, &asked);
    read_name(r, ret_name);
    unsigned type = read_u16(r), class = read_u16(r);
    return !r->bad && !ours.bad && same_name(&asked, ret_name) && type == q->type && class == q->class;
}

enum dns_outcome dns_read_answer(const uint8_t *bytes, size_t n, const struct dns_query *q, uint16_t id,
                                 struct dns_answer *ret_answer)
{
    struct reader r = {.bytes = bytes, .n = n};
    struct wire_name target;
    *ret_answer = (struct dns_answer){.ttl_s = TTL_MAX};
    unsigned got_id = read_u16(&r), flags = read_u16(&r), questions = read_u16(&r), answers = read_u16(&r);
    if (n < HEAD_BYTES || got_id != id || !(flags & FLAG_RESPONSE) || flags & MASK_OPCODE || questions != 1)
        return DNS_FOREIGN;
    r.at = HEAD_BYTES;
    if (!question_matches(&r, q, &target))
        return DNS_FOREIGN;
    ret_answer->rcode = (uint8_t)(flags & MASK_RCODE);
    unsigned count = answers < DNS_RECORDS_MAX ? answers : DNS_RECORDS_MAX;
    for (unsigned i = 0; i < DNS_ALIASES_MAX && follow(r, count, &target, ret_answer); i++)
        ;
    if (ret_answer->count == 0)
        ret_answer->ttl_s = 0;
    return DNS_GOOD;
}

size_t dns_put_reply(uint8_t out[DNS_REPLY_MAX], const struct dns_query *q, const struct dns_answer *a)
{
    enum { RECORD_BYTES = 2 + FIXED_BYTES + 4, TO_QUESTION = POINTER << 8 | HEAD_BYTES };
    static_assert(HEAD_BYTES + DNS_QUESTION_MAX + DNS_ADDRESSES_MAX * RECORD_BYTES <= DNS_REPLY_MAX, "a reply fits");
    assert(a->count <= DNS_ADDRESSES_MAX && (a->count == 0 || q->question_bytes));
    const unsigned counts[4] = {q->question_bytes > 0, a->count, 0, 0};
    unsigned flags = FLAG_RESPONSE | FLAG_RECURSION_AVAILABLE | a->rcode;
    size_t at = put_head(out, q->id, flags | (q->recursion_desired ? FLAG_RECURSION_DESIRED : 0), counts);
    memcpy(out + at, q->question, q->question_bytes);
    at += q->question_bytes;
    for (unsigned i = 0; i < a->count; i++) {
        at = put_u16(out, put_u16(out, put_u16(out, at, TO_QUESTION), DNS_A), CLASS_IN);
        at = put_u16(out, put_u32(out, at, a->ttl_s), 4);
        at = put_u32(out, at, a->addresses[i]);
    }
    return at;
}
